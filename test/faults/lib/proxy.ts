/**
 * `fairlead serve` as the suite's subject: a process with a configuration that is only addresses, catalog and routes. What
 * it thinks is read at its public doors; what it costs, from /proc.
 */
import { closeSync, openSync, readFileSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { launcher } from '../../fixtures/command.ts'
import { freePorts } from '../../fixtures/consul-agent.ts'
import { until } from '../../fixtures/until.ts'
import { type Child, startChild } from './children.ts'

export interface ProxyOptions {
  /** `http://127.0.0.1:8500`. */
  readonly consul: string
  /** Of its files; must exist. */
  readonly folder: string
  /** Path and service. Default: everything to `web`. */
  readonly routes?: readonly { readonly path: string; readonly service: string }[]
  /** More settings, for what only a setting shows (a state folder). */
  readonly more?: string
  /** Most file descriptors. */
  readonly descriptorsMax?: number
  /** ACL token for the catalog. */
  readonly token?: string
  /** Which requests are logged. Default `errors`. */
  readonly access?: 'errors' | 'all'
  /** Gets standard output as a pipe, once for each process; what of it is to be judged it appends to `logFile`. Default: all goes there. */
  readonly reader?: (stdout: Readable, logFile: string) => void
  /** Options of Node's, before the program. */
  readonly nodeArgs?: readonly string[]
}

export interface EndpointSeen {
  readonly handle: string
  readonly address: string
  readonly port: number
  /** As health sees it, where the API tells. */
  readonly state: string
  readonly open: number
}

export interface Proxy extends Child {
  readonly port: number
  readonly adminPort: number
  /** Parsed answer of `GET path` at the admin address; rejects unless 200. */
  get(path: string): Promise<unknown>
  /** Endpoints of a service in the table that is in force; empty when it has none. */
  endpoints(service?: string): Promise<EndpointSeen[]>
  /** A figure from /metrics: the sum over all its labels that hold `labels`; undefined: there is no such figure. */
  metric(name: string, labels?: string): Promise<number | undefined>
  descriptors(): number
  residentBytes(): number
  /** Log lines that are no requests. */
  log(): LogLine[]
  /** What must never be in a log: faults of ours, warnings of Node's, an end that nobody asked for. */
  troubles(): string[]
  /** SIGKILL and a new process on the same ports with the same configuration. */
  restart(): Promise<Proxy>
}

/** What a process has open; a listening socket, of which a proxy makes copies soon after its start, counts once. */
function openFiles(pid: number | undefined): number {
  const folder = `/proc/${pid}/fd`
  const targets = readdirSync(folder).map((name) => {
    try {
      return readlinkSync(join(folder, name))
    } catch {
      // Closed meanwhile.
      return ''
    }
  })
  const sockets = targets.filter((target) => target.startsWith('socket:'))
  return targets.length - sockets.length + new Set(sockets).size
}

export interface LogLine {
  readonly level: string
  readonly msg?: string
}

interface Ports {
  readonly proxy: number
  readonly status: number
  readonly admin: number
}

function configText(options: ProxyOptions, ports: Ports): string {
  const routes = options.routes ?? [{ path: '/', service: 'web' }]
  return [
    `listen: [{ address: "127.0.0.1:${ports.proxy}" }]`,
    `status: { address: "127.0.0.1:${ports.status}" }`,
    `admin: { address: "127.0.0.1:${ports.admin}" }`,
    `catalog: { consul: { address: "${options.consul}"${options.token === undefined ? '' : `, token: "${options.token}"`} } }`,
    'routes:',
    ...routes.map(({ path, service }) => `  - { path: ${path}, service: ${service} }`),
    `log: { access: ${options.access ?? 'errors'} }`,
    options.more ?? '',
    '',
  ].join('\n')
}

export async function startProxy(options: ProxyOptions): Promise<Proxy> {
  const [proxy, status, admin] = (await freePorts(3)) as [number, number, number]
  const ports: Ports = { proxy, status, admin }
  const config = join(options.folder, 'fairlead.yaml')
  writeFileSync(config, configText(options, ports))
  return await launch(options, ports, config, join(options.folder, 'fairlead.log'))
}

async function launch(options: ProxyOptions, ports: Ports, config: string, logFile: string): Promise<Proxy> {
  const { descriptorsMax, reader, nodeArgs = [] } = options
  const limit = descriptorsMax === undefined ? [] : ['prlimit', `--nofile=${descriptorsMax}:${descriptorsMax}`]
  const out = openSync(logFile, 'a')
  const err = openSync(`${logFile}.err`, 'a')
  const command = [...limit, process.execPath, ...nodeArgs, launcher, 'serve', '--config', config]
  const child = startChild(command, ['ignore', reader ? 'pipe' : out, err])
  if (child.process.stdout) reader?.(child.process.stdout, logFile)
  closeSync(out)
  closeSync(err)
  const self = seen(child, ports, logFile, () => relaunch())
  const relaunch = async (): Promise<Proxy> => {
    await child.kill()
    return await launch(options, ports, config, logFile)
  }
  await until(
    async () => {
      if (child.isGone()) throw new Error('it ended')
      return (await fetch(`http://127.0.0.1:${ports.status}/livez`, { headers: { connection: 'close' } })).ok
    },
    {
      timeoutMs: 20_000,
      what: `Fairlead is up: ${readFileSync(logFile, 'utf8')}${readFileSync(`${logFile}.err`, 'utf8')}`,
    },
  )
  return self
}

function seen(child: Child, ports: Ports, logFile: string, restart: () => Promise<Proxy>): Proxy {
  const text = async (port: number, path: string): Promise<string> => {
    const headers = { connection: 'close' }
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { headers, signal: AbortSignal.timeout(10_000) })
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
    return await answer.text()
  }
  const get = async (path: string): Promise<unknown> => JSON.parse(await text(ports.admin, path)) as unknown
  const log = (): LogLine[] =>
    readFileSync(logFile, 'utf8')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('{"level":"access"'))
      .map((line) => JSON.parse(line) as LogLine)
  return {
    ...child,
    port: ports.proxy,
    adminPort: ports.admin,
    get,
    endpoints: async (service = 'web') => endpointsOf(await get(`/v1/services/${service}`)),
    metric: async (name, labels = '') => metricIn(await text(ports.status, '/metrics'), name, labels),
    descriptors: () => openFiles(child.pid),
    residentBytes: () => residentBytesIn(readFileSync(`/proc/${child.pid}/status`, 'utf8')),
    log,
    troubles: () => troublesIn(log(), readFileSync(`${logFile}.err`, 'utf8'), child.process.exitCode),
    restart,
  }
}

interface ServiceJson {
  readonly versions: readonly {
    readonly endpoints: readonly {
      readonly handle: string
      readonly address: string
      readonly port: number
      /** Null, or absent: nothing judges it. */
      readonly health?: { readonly state: string } | null
      readonly connections: { readonly open: number }
    }[]
  }[]
}

function endpointsOf(json: unknown): EndpointSeen[] {
  return (json as ServiceJson).versions.flatMap(({ endpoints }) =>
    endpoints.map(({ handle, address, port, health, connections }) => ({
      handle,
      address,
      port,
      state: health?.state ?? 'unknown',
      open: connections.open,
    })),
  )
}

/** Sums the samples of one metric whose labels hold the text. */
export function metricIn(exposition: string, name: string, labels: string): number | undefined {
  let sum: number | undefined
  for (const line of exposition.split('\n')) {
    if (!line.startsWith(name) || !/[ {]/.test(line[name.length] ?? '')) continue
    if (!line.includes(labels)) continue
    sum = (sum ?? 0) + Number(line.slice(line.lastIndexOf(' ') + 1))
  }
  return sum
}

export function residentBytesIn(status: string): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1_024
}

export function troublesIn(log: readonly LogLine[], stderr: string, exitCode: number | null): string[] {
  const found = log.filter(({ msg }) => msg?.includes('a fault of ours') === true).map(({ msg }) => msg ?? '')
  if (stderr.trim() !== '') found.push(`on standard error: ${stderr.trim().slice(0, 500)}`)
  if (exitCode !== null) found.push(`it ended by itself with ${exitCode}`)
  return found
}
