/**
 * Shows a text anew every second: in place on a terminal, one below the other elsewhere. It ends when it is interrupted or
 * nobody reads any more, and leaves the terminal as it is.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { errorText } from '../core/errors.ts'

export interface Display {
  readonly terminal: boolean
  /** Lines of the terminal. */
  readonly rows: () => number
  readonly print: (text: string) => void
  /** Resolves after a second, or as soon as `signal` aborts; never rejects. */
  readonly rest: (signal: AbortSignal) => Promise<void>
}

const everyMs = 1_000

const ownDisplay: Display = {
  terminal: process.stdout.isTTY,
  rows: () => process.stdout.rows,
  print: (text) => void process.stdout.write(text),
  rest: (signal) => pause(everyMs, undefined, { signal }).catch(() => {}),
}

export interface WatchOptions {
  /** Nothing is redrawn and nothing stands between two texts, for programs that read. */
  readonly plain?: boolean
  readonly display?: Display
  /** By default the process's SIGINT and SIGTERM, and the end of whoever reads. */
  readonly signal?: AbortSignal
}

/** Until then; rejects where the first `show` does. A later one that fails is shown as what went wrong. */
export async function watch(show: () => Promise<string>, options: WatchOptions = {}): Promise<void> {
  const { plain = false, display = ownDisplay, signal = interrupted() } = options
  const redraw = display.terminal && !plain
  for (let first = true; !signal.aborted; first = false) {
    let text: string
    try {
      text = await show()
    } catch (error) {
      if (first) throw error
      if (plain) {
        process.stderr.write(`fairlead: ${errorText(error)}\n`)
        text = ''
      } else text = `${errorText(error)}\n`
    }
    if (signal.aborted) return
    if (redraw) display.print(frame(text, display.rows(), first))
    else display.print(first || plain ? text : `\n${text}`)
    await display.rest(signal)
  }
}

/** From the top left, each line to its end, then nothing; without what does not fit, or the top would scroll away. */
function frame(text: string, rows: number, first: boolean): string {
  const lines = text.trimEnd().split('\n')
  const room = Math.max(1, rows - 1)
  const shown =
    lines.length <= room ? lines : [...lines.slice(0, room - 1), `and ${lines.length - room + 1} more lines`]
  return `${first ? '\u001b[2J' : ''}\u001b[H${shown.map((line) => `${line}\u001b[K\n`).join('')}\u001b[J`
}

function interrupted(): AbortSignal {
  const controller = new AbortController()
  const end = (): void => controller.abort()
  process.once('SIGINT', end)
  process.once('SIGTERM', end)
  process.stdout.once('error', end)
  return controller.signal
}
