/**
 * The supervisor as a process: starts the processes that the proxy is made of, from the same program, and passes signals on.
 * Each child has a pipe from here as its standard input: a word on it is an order, its end is our own. They are plain
 * children and not `node:cluster`'s, whose workers end with their primary.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../core/clock.ts'
import { errorText } from '../../core/errors.ts'
import { type Child, type ChildEvents, type Role, Supervisor } from '../../fleet/supervisor.ts'
import { holdProcess, openOutput } from './output.ts'
import type { ReadConfig } from './read-config.ts'
import { announce } from './run.ts'
import type { Running } from './running.ts'
import { onSignals } from './signals.ts'
import { startProcess } from './whole.ts'

/** How much longer than lame duck and deadline together children may take to end, ms. */
const graceMs = 5_000

export interface Count {
  /** It was started with `--replace`. */
  readonly replaces: boolean
  readonly workers: number
  /** What the configuration says; less than there are where a proxy that runs has more. */
  readonly wanted: number
}

/** Runs until it is told to stop, and then ends the process. */
export function supervise(read: ReadConfig, { workers, wanted, replaces }: Count, running?: Running): void {
  const output = openOutput(read.config.log.level, true)
  const { log } = output
  const { lameDuckMs, deadlineMs } = read.config.shutdown
  announce(read, log, { workers })
  if (workers > wanted)
    log.warn(
      { workers, wanted },
      `${workers} workers and not ${wanted}: so many ran before, and each has a queue of connections that another one has to take; ` +
        'fewer there are after a stop and a start',
    )
  const end = holdProcess(output)
  let folder: string
  try {
    folder = mkdtempSync(join(tmpdir(), 'fairlead-'))
  } catch (error) {
    log.error(
      { error: errorText(error) },
      `fairlead cannot run: there is no place for the socket between its processes: ${errorText(error)}; ` +
        'set TMPDIR to a folder that can be written, or workers to 1',
    )
    void end(1)
    return
  }
  const clear = (): void => rmSync(folder, { recursive: true, force: true })
  const given = [
    '--socket',
    join(folder, 'control'),
    '--lame-duck',
    String(lameDuckMs),
    '--deadline',
    String(deadlineMs),
    ...(replaces ? ['--replaces'] : []),
    '--workers',
    String(workers),
    ...(read.config.stateDir === undefined ? [] : ['--state-dir', read.config.stateDir]),
  ]
  const config = read.file === undefined ? [] : ['--config', read.file]
  const takeChannel = channelsOf(running)
  const supervisor = new Supervisor({
    workers,
    clock: systemClock,
    log,
    spawn: (role, events) => start([...rolePart(role), ...given, ...config], events, takeChannel(role)),
    endMs: lameDuckMs + deadlineMs + graceMs,
    onEnd: (code) => {
      clear()
      void end(code)
    },
  })
  onSignals(
    () => supervisor.stop(),
    output,
    () => {
      supervisor.kill()
      clear()
    },
  )
  process.on('SIGHUP', () => supervisor.reload())
  supervisor.start()
}

/** Each is for the first process of its kind: a later one finds what it is to have in the others' hands. */
function channelsOf(running: Running | undefined): (role: Role) => Socket | undefined {
  const channels = new Map(
    running && [
      ['control', running.control],
      ...[...running.workers].map(([slot, socket]) => [`worker ${slot}`, socket] as const),
    ],
  )
  return (role) => {
    const name = nameOf(role)
    const socket = channels.get(name)
    channels.delete(name)
    return socket
  }
}

function rolePart(role: Role): readonly string[] {
  return role.kind === 'control' ? ['control'] : ['worker', '--slot', String(role.slot)]
}

function nameOf(role: Role): string {
  return role.kind === 'control' ? 'control' : `worker ${role.slot}`
}

function start(
  args: readonly string[],
  { onReady, onBeat, onRetired, onEnd }: ChildEvents,
  channel: Socket | undefined,
): Child {
  const child = startProcess(args, channel)
  const { stdin } = child
  child.stdio[3]
    ?.on('data', (bytes: Buffer) => {
      for (const word of bytes.toString().split('\n')) {
        if (word === 'beat') onBeat()
        else if (word === 'ready') onReady()
        else if (word === 'retired') onRetired()
      }
    })
    .on('error', () => {})
  let over = false
  const ended = (code: number | undefined, how: string): void => {
    if (over) return
    over = true
    onEnd(code, how)
  }
  child.on('error', (error) => ended(undefined, error.message))
  child.on('exit', (code, signal) => ended(code ?? undefined, code === null ? String(signal) : `exit code ${code}`))
  return {
    pid: child.pid ?? 0,
    tell: (word) => void stdin?.write(`${word}\n`),
    kill: () => void child.kill('SIGKILL'),
  }
}
