/**
 * Fairlead as the benches of policy start it: the process, on ports of its own, with whatever settings it is given.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectRoot } from '../lib/contestants.ts'
import { freePort, startServer } from '../lib/process.ts'
import type { Running } from '../lib/process.ts'

export interface PolicyProxy extends Running {
  readonly port: number
  readonly adminPort: number
}

const main = join(projectRoot, 'src/main.ts')

/** Starts it with `settings` beside its addresses, and waits until it is ready. `dir` is its own and need not exist. */
export async function startProxy(dir: string, core: number | undefined, settings: object): Promise<PolicyProxy> {
  mkdirSync(dir, { recursive: true })
  const [port, statusPort, adminPort] = await Promise.all([freePort(), freePort(), freePort()])
  const config = {
    listen: [{ address: `127.0.0.1:${port}` }],
    status: { address: `127.0.0.1:${statusPort}` },
    admin: { address: `127.0.0.1:${adminPort}` },
    shutdown: { lameDuck: '0s', deadline: '1s' },
    log: { level: 'warn', access: 'off' },
    ...settings,
  }
  const file = join(dir, 'fairlead.yaml')
  writeFileSync(file, JSON.stringify(config))
  const running = await startServer({
    name: 'fairlead',
    core,
    command: process.execPath,
    args: [main, 'serve', '--config', file],
    cwd: projectRoot,
    port: statusPort,
    ready: () => isGood(`http://127.0.0.1:${statusPort}/readyz`),
  })
  return { ...running, port, adminPort }
}

/** Starts `fairlead catalog`, which speaks Consul's HTTP API, and waits until it does. */
export async function startCatalog(core: number | undefined): Promise<Running & { readonly address: string }> {
  const port = await freePort()
  const address = `http://127.0.0.1:${port}`
  const running = await startServer({
    name: 'fairlead catalog',
    core,
    command: process.execPath,
    args: [main, 'catalog', '--address', `127.0.0.1:${port}`],
    cwd: projectRoot,
    port,
    ready: () => isGood(`${address}/v1/status/leader`),
  })
  return { ...running, address }
}

async function isGood(url: string): Promise<boolean> {
  try {
    const answer = await fetch(url, { headers: { connection: 'close' } })
    await answer.text()
    return answer.ok
  } catch {
    return false
  }
}
