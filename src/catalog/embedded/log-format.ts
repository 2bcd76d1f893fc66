/**
 * The bytes of the catalog's log: one record a line, `crc32 json\n`, so that a person can read it and a torn one shows.
 * A file is a header, the snapshot it starts from (as many changes as the header says), then one commit a line.
 * Pure: bytes in, records out. It decides what is a torn tail (nothing good after it: cut off) and what is damage (refused).
 */
import { crc32 } from 'node:zlib'
import { FairleadError } from '../../core/errors.ts'
import type { Change, Commit } from './records.ts'

export const LOG_FORMAT = 1

export interface Header {
  readonly format: number
  /** Changes of the snapshot that follow. */
  readonly changes: number
  /** Index the snapshot stands at. */
  readonly index: number
}

export interface ParsedLog {
  readonly header: Header
  readonly snapshot: readonly Change[]
  readonly commits: readonly Commit[]
  /** Length of what is good. */
  readonly goodBytes: number
  /** Length of a torn tail after it; 0: none. */
  readonly tornBytes: number
}

export function encodeLine(record: Header | Change | Commit): string {
  const text = JSON.stringify(record)
  return `${checksum(text)} ${text}\n`
}

/** Throws FL_STORE if the file cannot be trusted; `name` is for the message. */
export function parseLog(bytes: Buffer, name: string): ParsedLog {
  const { records, goodBytes } = parseLines(bytes, name, 0)
  const header = records[0] as Header | undefined
  if (!header) throw damage(name, 0, 'its first record cannot be read')
  if (header.format !== LOG_FORMAT)
    throw new FairleadError(
      'FL_STORE',
      `${name} has format ${String(header.format)}; this version reads ${String(LOG_FORMAT)}`,
    )
  const snapshot = records.slice(1, 1 + header.changes) as Change[]
  // The snapshot was on the disk before the file got its name: what is missing was lost by the disk, not by a crash.
  if (snapshot.length < header.changes) throw damage(name, goodBytes, 'its snapshot is cut short')
  const commits = records.slice(1 + header.changes) as Commit[]
  return { header, snapshot, commits, goodBytes, tornBytes: bytes.length - goodBytes }
}

/** The commits in what was appended after byte `from`. */
export function parseTail(bytes: Buffer, name: string, from: number): readonly Commit[] {
  return parseLines(bytes, name, from).records as Commit[]
}

function parseLines(bytes: Buffer, name: string, from: number): { records: unknown[]; goodBytes: number } {
  const records: unknown[] = []
  let at = from
  while (at < bytes.length) {
    const end = bytes.indexOf(0x0a, at)
    const record = end < 0 ? undefined : decodeLine(bytes.subarray(at, end))
    if (record === undefined) {
      if (anyGood(bytes, at)) throw damage(name, at, 'a record cannot be read, and good ones follow it')
      return { records, goodBytes: at }
    }
    records.push(record)
    at = end + 1
  }
  return { records, goodBytes: at }
}

/** Whether a good record starts after the bad one at `at`. */
function anyGood(bytes: Buffer, at: number): boolean {
  for (let end = bytes.indexOf(0x0a, at); end >= 0;) {
    const next = bytes.indexOf(0x0a, end + 1)
    if (next < 0) return false
    if (decodeLine(bytes.subarray(end + 1, next)) !== undefined) return true
    end = next
  }
  return false
}

function decodeLine(line: Buffer): unknown {
  if (line.length < 10 || line[8] !== 0x20) return undefined
  const text = line.subarray(9)
  if (line.toString('latin1', 0, 8) !== checksum(text)) return undefined
  return JSON.parse(text.toString('utf8')) as unknown
}

function checksum(text: string | Buffer): string {
  return crc32(text).toString(16).padStart(8, '0')
}

function damage(name: string, at: number, what: string): FairleadError {
  const advice = 'Nothing was changed. Restore the file, or move it away to start empty.'
  return new FairleadError('FL_STORE', `${name} is damaged at byte ${String(at)}: ${what}. ${advice}`)
}
