/**
 * Fairlead as the catalog bench starts it: routes to services in Consul, figures read from outside.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { heapSettings, projectRoot } from '../lib/contestants.ts'
import { freePort, startServer } from '../lib/process.ts'
import type { Running } from '../lib/process.ts'
import type { Client } from './clients.ts'

export interface CatalogProxy extends Running {
  readonly port: number
  readonly statusPort: number
  /** From the start of the process until `/readyz` said yes, ms. */
  readonly readyMs: number
  /** Makes it read a configuration in which something has changed for every service. */
  reload(): void
}

/** The version of the instances that come and go: while one is registered, all requests are its. */
export const arrivingVersion = 'arriving'

export interface ProxyExtras {
  readonly workers?: number
  readonly stateDir?: string
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>
}

/** Starts it with a route `/NAME` for each service; for `watched` the arriving version gets all the weight. */
export async function startProxy(
  dir: string,
  core: number | undefined,
  consulPort: number,
  services: readonly string[],
  watched: string,
  { workers = 1, stateDir, env }: ProxyExtras = {},
): Promise<CatalogProxy> {
  mkdirSync(dir, { recursive: true })
  const [port, statusPort, adminPort] = await Promise.all([freePort(), freePort(), freePort()])
  const config = {
    listen: [{ address: `127.0.0.1:${port}` }],
    status: { address: `127.0.0.1:${statusPort}` },
    admin: { address: `127.0.0.1:${adminPort}` },
    catalog: { consul: { address: `http://127.0.0.1:${consulPort}` } },
    routes: services.map((service) => ({ path: `/${service}`, service })),
    services: { [watched]: { versions: { [arrivingVersion]: 1 } } },
    workers,
    ...(stateDir === undefined ? {} : { stateDir }),
    shutdown: { lameDuck: '0s', deadline: '1s' },
    log: { level: 'warn', access: 'off' },
  }
  const file = join(dir, 'fairlead.yaml')
  writeFileSync(file, JSON.stringify(config))
  let reloads = 0
  const args = [...heapSettings(projectRoot), join(projectRoot, 'src/main.ts'), 'serve', '--config', file]
  const startedAt = performance.now()
  const running = await startServer({
    name: 'fairlead',
    core,
    command: process.execPath,
    args,
    cwd: projectRoot,
    env,
    port: statusPort,
    ready: async () => (await statusOf(statusPort)) === 200,
  })
  const reload = (): void => {
    // A budget of its own for each service: every one of them is built anew.
    const defaults = { retry: { attempts: 2 + (++reloads % 2) } }
    writeFileSync(file, JSON.stringify({ ...config, defaults }))
    process.kill(running.pid, 'SIGHUP')
  }
  return { ...running, port, statusPort, reload, readyMs: performance.now() - startedAt }
}

async function statusOf(statusPort: number): Promise<number> {
  try {
    const answer = await fetch(`http://127.0.0.1:${statusPort}/readyz`, { headers: { connection: 'close' } })
    await answer.text()
    return answer.status
  } catch {
    return 0
  }
}

/** The sum of a metric's samples in a page of Prometheus text, whatever their labels; undefined: it has none. */
export function metricSum(page: string, name: string): number | undefined {
  let sum: number | undefined
  for (const line of page.split('\n')) {
    if (!line.startsWith(`${name} `) && !line.startsWith(`${name}{`)) continue
    sum = (sum ?? 0) + Number(line.slice(line.lastIndexOf(' ') + 1))
  }
  return sum
}

/** The sum of one of its metrics now. Throws when it has none of that name. */
export async function readMetric(client: Client, proxy: CatalogProxy, name: string): Promise<number> {
  const sum = metricSum((await client.get(proxy.statusPort, '/metrics')).body, name)
  if (sum === undefined) throw new Error(`/metrics has no ${name}`)
  return sum
}
