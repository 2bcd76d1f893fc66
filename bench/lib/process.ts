/**
 * The bench's child processes: started on a core, awaited, ended, and never left behind.
 * It must not know what they do. taskset(1) is from util-linux, which every Linux distribution has.
 */
import { execFileSync, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

export interface Running {
  readonly pid: number
  /** Ends it: SIGTERM, and SIGKILL after 2 s. Resolves when it is gone. Idempotent. */
  readonly stop: () => Promise<void>
}

export interface StartedServer extends Running {
  /** From before the process was made to the first time it was seen to be up. */
  readonly readyAfterMs: number
}

const alive = new Set<ChildProcess>()

function killAll(): void {
  for (const child of alive) child.kill('SIGKILL')
}
process.on('exit', killAll)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => process.exit(signal === 'SIGINT' ? 130 : 143))

/** The path of a program, looked for on PATH and where system daemons are; undefined when it is not installed. */
export function findProgram(name: string): string | undefined {
  try {
    const path = [process.env['PATH'], '/usr/local/sbin', '/usr/sbin', '/sbin'].filter(Boolean).join(':')
    return execFileSync('sh', ['-c', 'command -v "$0"', name], { encoding: 'utf8', env: { PATH: path } }).trim()
  } catch {
    return undefined
  }
}

/** What a program prints when asked for its version, to either stream, reduced to the number. */
export function versionOf(program: string | undefined, flag: string): string | undefined {
  if (program === undefined) return undefined
  const text = execFileSync('sh', ['-c', '"$0" "$1" 2>&1', program, flag], { encoding: 'utf8' })
  return /\d+\.\d+(\.\d+)?/.exec(text)?.[0] ?? 'unknown'
}

/** The cores of the machine this process may run on, in order; undefined when it cannot be pinned. */
export function allowedCores(): readonly number[] | undefined {
  try {
    const text = execFileSync('taskset', ['-cp', String(process.pid)], { encoding: 'utf8' })
    return text
      .slice(text.lastIndexOf(':') + 1)
      .split(',')
      .flatMap((range) => {
        const [first = Number.NaN, last = first] = range.split('-').map(Number)
        return Array.from({ length: last - first + 1 }, (_, index) => first + index)
      })
  } catch {
    return undefined
  }
}

/** Moves this process, and whatever it starts from now on, to one core; undefined: stays where it is. */
export function pinSelf(core: number | undefined): void {
  if (core !== undefined) execFileSync('taskset', ['-a', '-cp', String(core), String(process.pid)], { stdio: 'ignore' })
}

interface Surroundings {
  readonly cwd?: string | undefined
  /** Added to this process's own environment. */
  readonly env?: Readonly<Record<string, string>> | undefined
}

function launch(
  core: number | undefined,
  command: string,
  args: readonly string[],
  { cwd, env }: Surroundings = {},
): ChildProcess {
  const [program, all] = core === undefined ? [command, args] : ['taskset', ['-c', String(core), command, ...args]]
  const surroundings = {
    ...(cwd === undefined ? {} : { cwd }),
    ...(env === undefined ? {} : { env: { ...process.env, ...env } }),
  }
  const child = spawn(program, [...all], { stdio: ['ignore', 'pipe', 'pipe'], ...surroundings })
  alive.add(child)
  child.once('close', () => alive.delete(child))
  return child
}

/** Collects the last 4,000 characters of what a child prints, for the message when it fails. */
function tailOf(child: ChildProcess): () => string {
  let tail = ''
  const add = (chunk: Buffer): void => void (tail = (tail + chunk.toString()).slice(-4_000))
  child.stdout?.on('data', add)
  child.stderr?.on('data', add)
  return () => tail
}

export interface ServerCommand extends Surroundings {
  /** For messages. */
  readonly name: string
  /** Core to pin it to; undefined: wherever. */
  readonly core: number | undefined
  readonly command: string
  readonly args: readonly string[]
  /** It is up when this port on 127.0.0.1 accepts, and `ready`, if given, resolves true. */
  readonly port: number
  readonly ready?: () => Promise<boolean>
  /** How often that is asked; default 25. */
  readonly pollMs?: number | undefined
}

/** Starts a server and waits until it is up, at most 15 s. Rejects with what it printed when it ends before. */
export async function startServer(server: ServerCommand): Promise<StartedServer> {
  const startedAt = performance.now()
  const child = launch(server.core, server.command, server.args, server)
  const printed = tailOf(child)
  let failure: Error | undefined
  child.once('error', (error) => void (failure = error))
  const ended = (): boolean => failure !== undefined || child.exitCode !== null || child.signalCode !== null
  const stop = async (): Promise<void> => {
    if (ended()) return
    const closed = once(child, 'close')
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), 2_000)
    await closed
    clearTimeout(timer)
  }
  const deadline = startedAt + 15_000
  while (!((await accepts(server.port)) && (server.ready === undefined || (await server.ready())))) {
    if (ended()) throw new Error(`${server.name} did not start: ${failure?.message ?? printed()}`)
    if (performance.now() > deadline) {
      await stop()
      throw new Error(`${server.name} was not up after 15 s: ${printed()}`)
    }
    await delay(server.pollMs ?? 25)
  }
  return { pid: child.pid ?? 0, stop, readyAfterMs: performance.now() - startedAt }
}

/** Runs a program to its end on a core and resolves with its stdout; rejects unless it exits 0. */
export async function runToEnd(core: number | undefined, command: string, args: readonly string[]): Promise<string> {
  const child = launch(core, command, args)
  const printed = tailOf(child)
  let stdout = ''
  child.stdout?.on('data', (chunk: Buffer) => void (stdout += chunk.toString()))
  await once(child, 'close')
  if (child.exitCode !== 0) throw new Error(`${command} exited with ${child.exitCode}: ${printed()}`)
  return stdout
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const end = (result: boolean): void => {
      socket.destroy()
      resolve(result)
    }
    socket.once('connect', () => end(true))
    socket.once('error', () => end(false))
  })
}

/** A port of 127.0.0.1 that was free a moment ago, for programs that cannot choose one themselves. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
