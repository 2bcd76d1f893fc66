/**
 * The log: pino behind the {@link Logger} port, JSON for machines and plain lines for a person at a terminal.
 * It writes through the one line writer, so logging never blocks; it must not decide what is worth a line.
 */
import { pino } from 'pino'
import type { Logger } from '../core/log.ts'
import { escapeJsonLine } from './escape.ts'
import type { LineWriter } from './line-writer.ts'
import { prettyLine } from './pretty.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

export interface LogOptions {
  readonly writer: LineWriter
  readonly level: LogLevel
  /** Plain lines instead of JSON. */
  readonly pretty: boolean
  /** Colours in plain lines. */
  readonly color?: boolean
}

export interface AppLogger extends Logger {
  setLevel(level: LogLevel): void
}

export function createLogger(options: LogOptions): AppLogger {
  const { writer, pretty } = options
  const color = options.color ?? false
  const log = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line: string) => void writer.write(pretty ? prettyLine(line, color) : escapeJsonLine(line), true) },
  )
  return {
    debug: (fields, message) => log.debug(fields, message),
    info: (fields, message) => log.info(fields, message),
    warn: (fields, message) => log.warn(fields, message),
    error: (fields, message) => log.error(fields, message),
    setLevel: (level) => {
      log.level = level
    },
  }
}
