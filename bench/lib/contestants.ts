/**
 * Who takes part, how each is started and what version it is. The configurations lie in `bench/contestants/`.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ContestantName } from './options.ts'
import { findProgram, freePort, startServer, versionOf } from './process.ts'
import type { Running } from './process.ts'
import { renderTemplate } from './template.ts'

export interface Setting {
  readonly backendPort: number
  /** Core to pin it to; undefined: wherever. */
  readonly core: number | undefined
  /** An empty folder of its own; it need not exist. */
  readonly dir: string
}

export interface RunningContestant extends Running {
  readonly port: number
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

/** Fairlead from the source tree in `root`: the working tree, or another commit's. */
export function fairleadFrom(root: string, name: string, version: string): Contestant {
  return {
    name,
    readsHttp: true,
    version,
    install: '',
    async start({ backendPort, core, dir }) {
      mkdirSync(dir, { recursive: true, mode: 0o755 })
      const [port, statusPort, adminPort] = await Promise.all([freePort(), freePort(), freePort()])
      const catalog = join(dir, 'services.json')
      const web = { id: 'web-1', name: 'web', address: '127.0.0.1', port: backendPort }
      writeFileSync(catalog, JSON.stringify({ services: [web] }))
      const values = { port, statusPort, adminPort, catalog }
      const config = renderTemplate(beside('fairlead.yaml'), join(dir, 'fairlead.yaml'), values)
      const args = [join(root, 'src/main.ts'), 'serve', '--config', config]
      const running = await startServer({
        name,
        core,
        command: process.execPath,
        args,
        cwd: root,
        port,
        ready: () => isReady(statusPort),
      })
      return { ...running, port }
    },
  }
}

async function isReady(statusPort: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${statusPort}/readyz`, { headers: { connection: 'close' } })).ok
  } catch {
    return false
  }
}

function nodeContestant(name: 'relay' | 'http-proxy', readsHttp: boolean, version: string): Contestant {
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
    async start({ backendPort, core, dir }) {
      mkdirSync(dir, { recursive: true, mode: 0o755 })
      const port = await freePort()
      const config = renderTemplate(beside('nginx.conf'), join(dir, 'nginx.conf'), { dir, port, backendPort })
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
    async start({ backendPort, core, dir }) {
      mkdirSync(dir, { recursive: true, mode: 0o755 })
      const port = await freePort()
      const config = renderTemplate(beside('haproxy.cfg'), join(dir, 'haproxy.cfg'), { port, backendPort })
      const args = ['-db', '-f', config]
      return { ...(await startServer({ name: 'haproxy', core, command: program ?? 'haproxy', args, port })), port }
    },
  }
}

const contestants: Readonly<Record<ContestantName, () => Contestant>> = {
  fairlead: () => fairleadFrom(projectRoot, 'fairlead', packageVersion('package.json')),
  relay: () => nodeContestant('relay', false, process.version),
  'http-proxy': () => nodeContestant('http-proxy', true, packageVersion('node_modules/http-proxy/package.json')),
  nginx: nginxContestant,
  haproxy: haproxyContestant,
}

/** The contestant of that name, whether it is installed or not. */
export function contestant(name: ContestantName): Contestant {
  return contestants[name]()
}
