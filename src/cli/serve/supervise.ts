/**
 * The supervisor as a process: starts the processes that the proxy is made of, from the same program, and passes signals on.
 * Each child has a pipe from here as its standard input: a word on it is an order, its end is our own. They are plain
 * children and not `node:cluster`'s, whose workers end with their primary.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../core/clock.ts'
import { errorText } from '../../core/errors.ts'
import { type Child, type ChildEvents, type Role, Supervisor } from '../../fleet/supervisor.ts'
import { holdProcess, openOutput } from './output.ts'
import type { ReadConfig } from './read-config.ts'
import { announce } from './run.ts'
import { onSignals } from './signals.ts'

/** How much longer than lame duck and deadline together children may take to end, ms. */
const graceMs = 5_000

/** Runs until it is told to stop, and then ends the process. */
export function supervise(read: ReadConfig, workers: number): void {
  const output = openOutput(read.config.log.level, true)
  const { log } = output
  const { lameDuckMs, deadlineMs } = read.config.shutdown
  announce(read, log, { workers })
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
  const given = [
    '--socket',
    join(folder, 'control'),
    '--lame-duck',
    String(lameDuckMs),
    '--deadline',
    String(deadlineMs),
  ]
  const config = read.file === undefined ? [] : ['--config', read.file]
  const supervisor = new Supervisor({
    workers,
    clock: systemClock,
    log,
    spawn: (role, events) => start([...rolePart(role), ...given, ...config], events),
    endMs: lameDuckMs + deadlineMs + graceMs,
    onEnd: (code) => {
      rmSync(folder, { recursive: true, force: true })
      void end(code)
    },
  })
  onSignals(
    () => supervisor.stop(),
    output,
    () => {
      supervisor.kill()
      rmSync(folder, { recursive: true, force: true })
    },
  )
  process.on('SIGHUP', () => supervisor.reload())
  supervisor.start()
}

function rolePart(role: Role): readonly string[] {
  return role.kind === 'control' ? ['control'] : ['worker', '--slot', String(role.slot)]
}

function start(args: readonly string[], { onReady, onEnd }: ChildEvents): Child {
  const [, entry = ''] = process.argv
  const child = spawn(process.execPath, [...process.execArgv, entry, 'process', ...args], {
    stdio: ['pipe', 'inherit', 'inherit', 'pipe'],
  })
  const { stdin } = child
  // A child that has just died is told of by its end.
  stdin?.on('error', () => {})
  child.stdio[3]?.on('data', onReady).on('error', () => {})
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
