/**
 * Who takes part, how each is started and what version it is. The configurations lie in `bench/contestants/`.
 */
import { appendFileSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ContestantName } from './options.ts'
import { findProgram, freePort, runToEnd, startServer, versionOf } from './process.ts'
import type { Running, StartedServer } from './process.ts'
import { renderTemplate } from './template.ts'

export interface Setting {
  readonly backendPort: number
  /** Core to pin it to; undefined: wherever. */
  readonly core: number | undefined
  /** An empty folder of its own; it need not exist. */
  readonly dir: string
  /** Clients it must be able to hold, each with a connection to the backend; undefined: the usual bounds do. */
  readonly clients?: number
}

export interface RunningContestant extends Running {
  readonly port: number
}

/** The bound of the configurations that have one: on connections of `sides` sides together, with some to spare. */
function connectionBound(clients: number | undefined, sides: 1 | 2): number {
  return clients === undefined ? 8_192 : sides * clients + 512
}

export interface Contestant {
  /** Unique in a run; heads its rows. */
  readonly name: string
  /** Reads HTTP (and so adds X-Forwarded-For and shares connections to the backend), or only copies bytes. */
  readonly readsHttp: boolean
  /** For the table; undefined when it is not installed. */
  readonly version: string | undefined
  /** What to do when it is not. */
  readonly install: string
  start(setting: Setting): Promise<RunningContestant>
}

const beside = (name: string): URL => new URL(`../contestants/${name}`, import.meta.url)

/** The repository's root. */
export const projectRoot: string = fileURLToPath(new URL('../../', import.meta.url))

function packageVersion(file: string): string {
  return (JSON.parse(readFileSync(join(projectRoot, file), 'utf8')) as { version: string }).version
}

/** The options of Node's with which `npm start` of the tree in `root` runs Fairlead, as its image does; an old tree has none. */
export function heapSettings(root: string): readonly string[] {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: { start?: string } }
  return (
    /^exec node ((?:--\S+ )*)/
      .exec(scripts.start ?? '')?.[1]
      ?.trim()
      .split(' ')
      .filter(Boolean) ?? []
  )
}

interface Variation {
  readonly main?: string
  /** Between two looks whether it is ready; undefined: the usual. */
  readonly pollMs?: number
  /** Undefined: the default. */
  readonly workers?: number
  /** The catalog, for a template that has none; given the file of services. */
  readonly catalog?: (file: string) => object
  /** Lines at the end of the configuration. */
  readonly more?: string
}

/** Starts Fairlead from the tree in `root` with a configuration of `bench/contestants/`; resolves when it is ready. */
async function startFairlead(
  root: string,
  name: string,
  template: string,
  { backendPort, core, dir, clients }: Setting,
  { main = 'src/main.ts', pollMs, workers, catalog: source, more = '' }: Variation = {},
): Promise<StartedServer & RunningContestant> {
  mkdirSync(dir, { recursive: true, mode: 0o755 })
  const [port, statusPort, adminPort] = await Promise.all([freePort(), freePort(), freePort()])
  const catalog = join(dir, 'services.json')
  const web = { id: 'web-1', name: 'web', address: '127.0.0.1', port: backendPort }
  writeFileSync(catalog, JSON.stringify({ services: [web] }))
  const values = { port, statusPort, adminPort, catalog }
  const config = renderTemplate(beside(template), join(dir, 'fairlead.yaml'), values)
  if (clients !== undefined)
    appendFileSync(config, `limits: { connectionsPerEndpoint: ${connectionBound(clients, 1)} }\n`)
  if (workers !== undefined) appendFileSync(config, `workers: ${workers}\n`)
  if (source !== undefined) appendFileSync(config, `catalog: ${JSON.stringify(source(catalog))}\n`)
  appendFileSync(config, more)
  const args = [...heapSettings(root), join(root, main), 'serve', '--config', config]
  const ready = (): Promise<boolean> => isReady(statusPort)
  const server = { name, core, command: process.execPath, args, cwd: root, port, ready, pollMs }
  return { ...(await startServer(server)), port }
}

/** Fairlead from the source tree in `root`: the working tree, or another commit's. */
export function fairleadFrom(root: string, name: string, version: string): Contestant {
  const start: Contestant['start'] = (setting) => startFairlead(root, name, 'fairlead.yaml', setting)
  return { name, readsHttp: true, version, install: '', start }
}

/** Fairlead of the working tree where the backend takes several requests at once on a connection. */
function fairleadPipelining(): Contestant {
  const start: Contestant['start'] = (setting) =>
    startFairlead(projectRoot, 'fairlead', 'fairlead.yaml', setting, { more: 'defaults: { pipelining: on }\n' })
  return { name: 'pipelining', readsHttp: true, version: packageVersion('package.json'), install: '', start }
}

/** Fairlead of the working tree with so many workers, all on the core it is given. */
export function fairleadWithWorkers(workers: number): Contestant {
  const start: Contestant['start'] = (setting) =>
    startFairlead(projectRoot, 'fairlead', 'fairlead.yaml', setting, { workers })
  const name = workers === 1 ? 'one process' : `${workers} workers`
  return { name, readsHttp: true, version: packageVersion('package.json'), install: '', start }
}

/** Compiles the working tree into `dist/`, as `npm run build` does. */
export async function buildPackage(): Promise<void> {
  const project = join(projectRoot, 'src/tsconfig.build.json')
  const compiler = join(projectRoot, 'node_modules/typescript/bin/tsc')
  await runToEnd(undefined, 'env', ['-u', 'NODE_OPTIONS', process.execPath, compiler, '-p', project])
  copyFileSync(join(projectRoot, 'src/launch.mjs'), join(projectRoot, 'dist/launch.mjs'))
}

/**
 * Fairlead of the working tree, as built last, with ten routes; asked every 2 ms whether it is ready. Its catalog is the Consul
 * agent at that address, or a file.
 */
export function startSidecar(setting: Setting, consul?: string): Promise<StartedServer & RunningContestant> {
  return startFairlead(projectRoot, 'fairlead', 'sidecar.yaml', setting, {
    main: 'dist/launch.mjs',
    pollMs: 2,
    catalog: (file) => (consul === undefined ? { file } : { consul: { address: consul } }),
  })
}

async function isReady(statusPort: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${statusPort}/readyz`, { headers: { connection: 'close' } })).ok
  } catch {
    return false
  }
}

function nodeContestant(name: ContestantName, readsHttp: boolean, version: string): Contestant {
  return {
    name,
    readsHttp,
    version,
    install: '',
    async start({ backendPort, core }) {
      const port = await freePort()
      const args = [fileURLToPath(beside(`${name}.ts`)), String(port), String(backendPort)]
      return { ...(await startServer({ name, core, command: process.execPath, args, port })), port }
    },
  }
}

function nginxContestant(): Contestant {
  const program = findProgram('nginx')
  return {
    name: 'nginx',
    readsHttp: true,
    version: versionOf(program, '-v'),
    install: 'apt-get install nginx-light',
    async start({ backendPort, core, dir, clients }) {
      mkdirSync(dir, { recursive: true, mode: 0o755 })
      const port = await freePort()
      const connections = connectionBound(clients, 2)
      const values = { dir, port, backendPort, connections, files: connections + 100 }
      const config = renderTemplate(beside('nginx.conf'), join(dir, 'nginx.conf'), values)
      const args = ['-p', dir, '-c', config]
      return { ...(await startServer({ name: 'nginx', core, command: program ?? 'nginx', args, port })), port }
    },
  }
}

function haproxyContestant(): Contestant {
  const program = findProgram('haproxy')
  return {
    name: 'haproxy',
    readsHttp: true,
    version: versionOf(program, '-v'),
    install: 'apt-get install haproxy',
    async start({ backendPort, core, dir, clients }) {
      mkdirSync(dir, { recursive: true, mode: 0o755 })
      const port = await freePort()
      const values = { port, backendPort, connections: connectionBound(clients, 1) }
      const config = renderTemplate(beside('haproxy.cfg'), join(dir, 'haproxy.cfg'), values)
      const args = ['-db', '-f', config]
      return { ...(await startServer({ name: 'haproxy', core, command: program ?? 'haproxy', args, port })), port }
    },
  }
}

function caddyContestant(): Contestant {
  const program = findProgram('caddy')
  return {
    name: 'caddy',
    readsHttp: true,
    version: versionOf(program, 'version'),
    install: 'apt-get install caddy',
    async start({ backendPort, core, dir }) {
      mkdirSync(dir, { recursive: true, mode: 0o755 })
      const port = await freePort()
      const config = renderTemplate(beside('Caddyfile'), join(dir, 'Caddyfile'), { port, backendPort })
      const args = ['run', '--adapter', 'caddyfile', '--config', config]
      // its state goes to a folder that is removed with the rest
      const env = { GOMAXPROCS: '1', HOME: dir, XDG_DATA_HOME: dir, XDG_CONFIG_HOME: dir }
      return { ...(await startServer({ name: 'caddy', core, command: program ?? 'caddy', args, env, port })), port }
    },
  }
}

const contestants: Readonly<Record<ContestantName, () => Contestant>> = {
  fairlead: () => fairleadFrom(projectRoot, 'fairlead', packageVersion('package.json')),
  pipelining: fairleadPipelining,
  relay: () => nodeContestant('relay', false, process.version),
  'http-proxy': () => nodeContestant('http-proxy', true, packageVersion('node_modules/http-proxy/package.json')),
  fastify: () => nodeContestant('fastify', true, packageVersion('node_modules/@fastify/http-proxy/package.json')),
  undici: () => nodeContestant('undici', true, packageVersion('node_modules/undici/package.json')),
  nginx: nginxContestant,
  haproxy: haproxyContestant,
  caddy: caddyContestant,
}

/** The contestant of that name, whether it is installed or not. */
export function contestant(name: ContestantName): Contestant {
  return contestants[name]()
}
