/** What every process of the proxy has around it: its log, and the last words of a crash. */
import { systemClock } from '../../core/clock.ts'
import { errorText } from '../../core/errors.ts'
import { type AccessLog, createAccessLog } from '../../telemetry/access-log.ts'
import { atomicBytes, createLineWriter, type LineWriter } from '../../telemetry/line-writer.ts'
import { createLogger, type AppLogger, type LogLevel } from '../../telemetry/log.ts'
import { createSink } from '../../telemetry/sink.ts'

/** How long the log may take to get out at the end, ms. */
export const lastWordsMs = 500

export interface Output {
  readonly log: AppLogger
  readonly accessLog: AccessLog
  readonly writer: LineWriter
}

/** Standard output. `shared`: other processes of this proxy write there, too. */
export function openOutput(level: LogLevel, shared: boolean): Output {
  const sink = createSink(1)
  const writer = createLineWriter({ sink, clock: systemClock, ...(shared ? { writeBytesMax: atomicBytes } : {}) })
  const pretty = sink.terminal
  const color = pretty && !process.env['NO_COLOR']
  const log = createLogger({ writer, level, pretty, color })
  return { log, accessLog: createAccessLog({ writer, clock: systemClock, pretty }), writer }
}

/** Keeps this process alive until the returned function ends it. Crash-only: what was not foreseen is logged, and ends it. */
export function holdProcess({ log, writer }: Output): (code: number) => Promise<void> {
  // Timers of the clock let a process end; waiting for a catalog must not.
  // oxlint-disable-next-line no-restricted-globals -- measures nothing, only holds the process
  const hold = setInterval(() => {}, 2 ** 30)
  const end = async (code: number): Promise<void> => {
    clearInterval(hold)
    await writer.flush(lastWordsMs)
    process.exit(code)
  }
  const crash = (error: unknown): void => {
    log.error({ err: error }, `a fault of ours ends this process: ${errorText(error)}`)
    void end(1)
  }
  process.on('uncaughtException', crash)
  process.on('unhandledRejection', crash)
  return end
}
