/**
 * What the processes that a supervisor starts have in common: how they hear from it, by their standard input, and speak to it.
 * They leave TERM and INT to the supervisor, which gets them, too, from a terminal or a service manager, and knows in which
 * order things end.
 */
import { writeSync } from 'node:fs'
import { systemClock } from '../../core/clock.ts'

export interface ChildOptions {
  /** Path of control's socket. */
  readonly socket: string
  readonly config: string | undefined
  readonly slot: number
  /** How many workers there are. */
  readonly workers: number
  readonly lameDuckMs: number
  readonly deadlineMs: number
  /** Where the processes of a proxy can be found by one that takes over; undefined: nowhere. */
  readonly stateDir: string | undefined
  /** It was started with `--replace`. */
  readonly replaces: true | undefined
}

/** What somebody may order from outside. */
export interface Orders {
  /** `orphaned`: nobody is there any more who could. */
  readonly stop: (orphaned: boolean) => void
  readonly reload: () => void
}

/** Where a child says that it is there, and control that it serves, and that the whole is to end. */
const readyFd = 3

/** Names this life of this process. */
export function epochOf(): string {
  return `${String(process.pid)}-${String(systemClock.wall())}`
}

/** A supervisor that has gone can say no more: its end is the order to end. */
export function takeOrders({ stop, reload }: Orders): void {
  let asked = false
  const stopOnce = (orphaned: boolean): void => {
    if (!asked) stop(orphaned)
    asked = true
  }
  let rest = ''
  process.stdin.setEncoding('utf8')
  // It runs: from now on it is asked, and has less time to answer in.
  say('beat')
  process.stdin.on('data', (text: string) => {
    const words = `${rest}${text}`.split('\n')
    rest = words.pop() ?? ''
    for (const word of words) {
      if (word === 'stop') stopOnce(false)
      else if (word === 'reload') reload()
      // Only when asked: a supervisor that stands still would let the pipe fill, and us wait for it.
      else if (word === 'beat') say('beat')
    }
  })
  process.stdin.on('end', () => stopOnce(true))
  process.stdin.on('error', () => stopOnce(true))
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => {})
}

/** Tells the supervisor that requests are taken. */
export function sayReady(): void {
  say('ready')
}

/** Tells the supervisor that another proxy has taken over, and that this one ends. */
export function sayRetired(): void {
  say('retired')
}

function say(word: string): void {
  try {
    writeSync(readyFd, `${word}\n`)
  } catch {
    // Nobody is there to hear it; the end of our input tells the same.
  }
}
