/**
 * The suite's child processes: started without the test runner's hooks, and none left behind, however the suite ends.
 * A frozen child is ended by SIGKILL like any other.
 */
import { type ChildProcess, spawn, type StdioOptions } from 'node:child_process'
import { once } from 'node:events'

const alive = new Set<ChildProcess>()

function killAll(): void {
  for (const child of alive) child.kill('SIGKILL')
}
process.on('exit', killAll)
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)
  process.once(signal, () => {
    killAll()
    process.exit(code)
  })

export interface Child {
  readonly process: ChildProcess
  readonly pid: number
  /** Resolves when it is gone. */
  readonly ended: Promise<void>
  isGone(): boolean
  /** SIGKILL; resolves when it is gone. Idempotent. */
  kill(): Promise<void>
  signal(name: NodeJS.Signals): void
  freeze(): void
  thaw(): void
}

/** Starts a program; `prefix` is put before it, such as a command that changes its limits and then becomes it. */
export function startChild(command: readonly string[], stdio: StdioOptions): Child {
  const child = spawn('env', ['-u', 'NODE_OPTIONS', ...command], { stdio, env: { ...process.env, NO_COLOR: '1' } })
  alive.add(child)
  const ended = once(child, 'exit').then(() => void alive.delete(child))
  const isGone = (): boolean => child.exitCode !== null || child.signalCode !== null
  return {
    process: child,
    pid: child.pid ?? 0,
    ended,
    isGone,
    kill: async () => {
      if (!isGone()) child.kill('SIGKILL')
      await ended
    },
    signal: (name) => void child.kill(name),
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
  }
}

/** The first line that it prints; rejects with what it said when it ends before, or after 15 s. */
export async function firstLine(child: Child): Promise<string> {
  const { stdout, stderr } = child.process
  let text = ''
  let complaint = ''
  stderr?.on('data', (chunk: Buffer) => void (complaint = (complaint + chunk.toString()).slice(-4_000)))
  return await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`said nothing within 15 s: ${complaint}`)), 15_000)
    const fail = (): void => {
      clearTimeout(timer)
      reject(new Error(`ended before it was up: ${complaint}`))
    }
    child.process.once('exit', fail)
    stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      const end = text.indexOf('\n')
      if (end < 0) return
      clearTimeout(timer)
      child.process.off('exit', fail)
      resolve(text.slice(0, end))
    })
  })
}
