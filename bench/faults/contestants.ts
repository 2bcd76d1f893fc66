/**
 * Who takes part when backends are killed, and how each is started before four of them. Configurations lie beside it.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { startConsulAgent } from '../../test/fixtures/consul-agent.ts'
import { findConsul } from '../../test/fixtures/install.ts'
import { projectRoot } from '../lib/contestants.ts'
import { findProgram, freePort, startServer, versionOf } from '../lib/process.ts'
import type { Running } from '../lib/process.ts'
import { renderTemplate } from '../lib/template.ts'
import type { ContestantName } from './options.ts'

export interface Setting {
  /** Of the backends, which listen on 127.0.0.1 and are restarted on the port they had. */
  readonly ports: readonly number[]
  /** A folder of its own; it need not exist. */
  readonly dir: string
}

export interface RunningContestant extends Running {
  readonly port: number
}

export interface Contestant {
  readonly name: ContestantName
  /** For the table; undefined when it is not installed. */
  readonly version: string | undefined
  /** What to do when it is not. */
  readonly install: string
  start(setting: Setting): Promise<RunningContestant>
}

const beside = (name: string): URL => new URL(`contestants/${name}`, import.meta.url)

async function fairlead(): Promise<Contestant> {
  const consul = await findConsul()
  return {
    name: 'fairlead',
    version: consul.path === undefined ? undefined : 'of this tree',
    install: consul.reason,
    async start({ ports, dir }) {
      mkdirSync(dir, { recursive: true })
      const agent = await startConsulAgent()
      try {
        for (const [at, backend] of ports.entries()) {
          const body = { ID: `web-${at + 1}`, Name: 'web', Address: '127.0.0.1', Port: backend }
          await agent.api('PUT', '/v1/agent/service/register', body)
        }
        const [port, statusPort, adminPort] = await Promise.all([freePort(), freePort(), freePort()])
        const values = { port, statusPort, adminPort, consul: agent.address }
        const config = renderTemplate(beside('fairlead.yaml'), join(dir, 'fairlead.yaml'), values)
        const args = [join(projectRoot, 'src/main.ts'), 'serve', '--config', config]
        const ready = (): Promise<boolean> => hasAll(adminPort, ports.length)
        const { execPath } = process
        const running = await startServer({ name: 'fairlead', core: undefined, command: execPath, args, port, ready })
        const stop = async (): Promise<void> => {
          await running.stop()
          await agent.stop()
        }
        return { pid: running.pid, port, stop }
      } catch (error) {
        await agent.stop()
        throw error
      }
    },
  }
}

async function hasAll(adminPort: number, count: number): Promise<boolean> {
  try {
    const answer = await fetch(`http://127.0.0.1:${adminPort}/v1/services/web`, { headers: { connection: 'close' } })
    const text = await answer.text()
    return answer.ok && text.split('"handle"').length === count + 1
  } catch {
    return false
  }
}

function haproxy(name: 'haproxy' | 'haproxy-tuned'): Contestant {
  const program = findProgram('haproxy')
  return {
    name,
    version: versionOf(program, '-v'),
    install: 'apt-get install haproxy',
    async start({ ports, dir }) {
      mkdirSync(dir, { recursive: true })
      const port = await freePort()
      const servers = ports.map((backend, at) => `  server web-${at + 1} 127.0.0.1:${backend} check`).join('\n')
      const config = renderTemplate(beside(`${name}.cfg`), join(dir, 'haproxy.cfg'), { port, servers })
      const args = ['-db', '-f', config]
      return { ...(await startServer({ name, core: undefined, command: program ?? name, args, port })), port }
    },
  }
}

function nginx(): Contestant {
  const program = findProgram('nginx')
  return {
    name: 'nginx',
    version: versionOf(program, '-v'),
    install: 'apt-get install nginx-light',
    async start({ ports, dir }) {
      // Its workers drop their privileges, and must still reach their files.
      mkdirSync(dir, { recursive: true, mode: 0o755 })
      const port = await freePort()
      const servers = ports.map((backend) => `    server 127.0.0.1:${backend};`).join('\n')
      const config = renderTemplate(beside('nginx.conf'), join(dir, 'nginx.conf'), { dir, port, servers })
      const args = ['-p', dir, '-c', config]
      return {
        ...(await startServer({ name: 'nginx', core: undefined, command: program ?? 'nginx', args, port })),
        port,
      }
    },
  }
}

const contestants: Readonly<Record<ContestantName, () => Contestant | Promise<Contestant>>> = {
  fairlead,
  haproxy: () => haproxy('haproxy'),
  'haproxy-tuned': () => haproxy('haproxy-tuned'),
  nginx,
}

/** The contestant of that name, whether it is installed or not. */
export async function contestant(name: ContestantName): Promise<Contestant> {
  return await contestants[name]()
}
