/**
 * The whole proxy as a child, where it takes over from a running one: the sockets come over a channel that only a process has
 * which was started with it. What was started by hand is then the process around it, which passes orders on.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import { holdProcess, openOutput } from './output.ts'
import { announce, run } from './run.ts'
import { type ChildOptions, takeOrders } from './child.ts'
import { ownCommand } from './own-command.ts'
import { readConfig, type ReadConfig } from './read-config.ts'
import { onSignals } from './signals.ts'
import { go } from '../../handover/greeting.ts'
import { createTaker } from '../../handover/taker.ts'
import { systemClock } from '../../core/clock.ts'

/** The child's part. */
export async function runWhole({ config }: ChildOptions): Promise<void> {
  const read = readConfig(config)
  if (!read) return
  const output = openOutput(read.config.log.level, true)
  const running = createTaker({
    clock: systemClock,
    onEnd: () => output.log.warn({}, 'the proxy that ran before has ended: this one goes on with sockets of its own'),
  })
  await run(read, output, { ...output, running, replaces: true }, takeOrders)
}

/** The parent's: ends with the child, and as it did. */
export function aroundWhole(read: ReadConfig, channel: Socket): void {
  const output = openOutput(read.config.log.level, true)
  announce(read, output.log, { replaces: true })
  const end = holdProcess(output)
  const { lameDuckMs, deadlineMs } = read.config.shutdown
  const config = read.file === undefined ? [] : ['--config', read.file]
  const times = ['--lame-duck', String(lameDuckMs), '--deadline', String(deadlineMs)]
  const child = startProcess(['whole', ...times, ...config], channel)
  const tell = (word: string): void => void child.stdin?.write(`${word}\n`)
  onSignals(
    () => tell('stop'),
    output,
    () => child.kill('SIGKILL'),
  )
  process.on('SIGHUP', () => tell('reload'))
  child.on('error', (error) => {
    output.log.error({ error: error.message }, `fairlead cannot run: ${error.message}`)
    void end(1)
  })
  child.on('exit', (code, signal) => {
    if (code === null) output.log.error({ signal }, `the proxy has died (${String(signal)})`)
    void end(code ?? 1)
  })
}

/** A process of the proxy, from the same program. `channel`: over which it gets sockets of a running proxy. */
export function startProcess(args: readonly string[], channel?: Socket): ChildProcess {
  const [program, ...rest] = ownCommand(['process', ...args])
  // In this turn, so that what is answered is for the child to read.
  channel?.write(`${go}\n`)
  const child = spawn(program, rest, {
    stdio: ['pipe', 'inherit', 'inherit', 'pipe', ...(channel ? [channel] : [])],
    ...(channel ? { env: { ...process.env, NODE_CHANNEL_FD: '4' } } : {}),
  })
  channel?.destroy()
  // A child that has just died is told of by its end.
  child.stdin?.on('error', () => {})
  return child
}
