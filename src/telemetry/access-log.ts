/**
 * The access log: one line per request that ended, built by concatenation since it is on the path of every request.
 * It writes what the record holds (which has no header values: no Authorization, no Cookie) and steers nothing.
 */
import type { Clock } from '../core/clock.ts'
import type { DataPlaneObserver, RequestRecord } from '../proxy/options.ts'
import { escapeField, isPlain } from './escape.ts'
import type { LineWriter } from './line-writer.ts'
import { prettyLine } from './pretty.ts'

/** `errors`: answers of 500 and above, clients that left (499), cut answers, and whatever has a cause. */
export type AccessMode = 'all' | 'errors' | 'off'

export interface AccessLogOptions {
  readonly writer: LineWriter
  readonly clock: Clock
  readonly pretty: boolean
}

export interface AccessLog {
  /** The observer for a mode; undefined for `off`, so that the data path makes no records. */
  observer(mode: AccessMode): DataPlaneObserver | undefined
  /** Lines that the reader of the log did not take in time. */
  dropped(): number
}

export function createAccessLog(options: AccessLogOptions): AccessLog {
  const { writer, pretty } = options
  const time = timeText(options.clock)
  let dropped = 0
  const write = (record: RequestRecord): void => {
    const line = accessLine(record, time())
    if (!writer.write(pretty ? prettyLine(line, false) : line)) dropped++
  }
  const all: DataPlaneObserver = { requestDone: write }
  const errors: DataPlaneObserver = {
    requestDone: (record) => {
      if (isError(record)) write(record)
    },
  }
  return {
    observer: (mode) => (mode === 'off' ? undefined : mode === 'all' ? all : errors),
    dropped: () => dropped,
  }
}

function isError(record: RequestRecord): boolean {
  return record.status >= 499 || record.status === 0 || record.cause !== ''
}

/** Fields that are this long together are looked at together, and none can be too long. */
const plainCharsMax = 1_024

/** The line of one request, newline included. */
export function accessLine(record: RequestRecord, time: string): string {
  const { requestId, clientAddress, method, host, target, service, version, endpoint, handle, cause } = record
  // Nearly every line is plain; one look at all fields is several times cheaper than one at each.
  const all = requestId + clientAddress + method + host + target + service + version + endpoint + handle + cause
  return all.length <= plainCharsMax && isPlain(all) ? plainLine(record, time) : plainLine(escaped(record), time)
}

function escaped(record: RequestRecord): RequestRecord {
  return {
    ...record,
    requestId: escapeField(record.requestId, 128),
    clientAddress: escapeField(record.clientAddress, 64),
    method: escapeField(record.method, 32),
    host: escapeField(record.host, 255),
    target: escapeField(record.target),
    service: escapeField(record.service, 255),
    version: escapeField(record.version, 255),
    endpoint: escapeField(record.endpoint, 300),
    handle: escapeField(record.handle, 255),
    cause: escapeField(record.cause, 64),
  }
}

function plainLine(record: RequestRecord, time: string): string {
  return (
    `{"level":"access","time":"${time}","id":"${record.requestId}","client":"${record.clientAddress}",` +
    `"method":"${record.method}","host":"${record.host}","target":"${record.target}","status":${record.status},` +
    `"origin":"${record.origin}","service":"${record.service}","version":"${record.version}",` +
    `"endpoint":"${record.endpoint}","handle":"${record.handle}","attempts":${record.attempts},` +
    `"ms":${Math.round(record.durationMs * 1_000) / 1_000},"in":${record.bytesReceived},"out":${record.bytesSent},` +
    `"cause":"${record.cause}"}\n`
  )
}

/** ISO 8601 in UTC with milliseconds; the part above the second is made once a second. */
function timeText(clock: Clock): () => string {
  let second = NaN
  let prefix = ''
  return () => {
    const now = Math.floor(clock.wall())
    const nowSecond = Math.floor(now / 1_000)
    if (nowSecond !== second) {
      second = nowSecond
      // oxlint-disable-next-line no-restricted-globals -- writes a given time, reads none
      prefix = new Date(nowSecond * 1_000).toISOString().slice(0, 20)
    }
    const ms = now - nowSecond * 1_000
    return `${prefix}${ms < 10 ? '00' : ms < 100 ? '0' : ''}${ms}Z`
  }
}
