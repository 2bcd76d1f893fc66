/**
 * One entry of the history of tables, made of what changed and why, with bounds; and its form as one line of a file. Pure.
 */
import { z } from 'zod'
import { describeChange } from '../table/describe-change.ts'
import type { TableChange } from '../table/diff.ts'
import { type Cause, describeCause } from './cause.ts'

/** A cause with its sentence. Read from a file, it may be of a kind that only a later release knows. */
export interface RecordedCause {
  readonly kind: string
  /** See `describeCause`. */
  readonly text: string
}

export interface RecordedChange {
  /** The service, or the services before and after where a route leads elsewhere. */
  readonly services: readonly string[]
  /** As the log says it. */
  readonly text: string
}

export interface HistoryEntry {
  /** Wall clock, ms. */
  readonly atMs: number
  /** Version of the table, which begins anew with each process. */
  readonly table: number
  readonly causes: readonly RecordedCause[]
  /** Never empty, unless all were too many. */
  readonly changes: readonly RecordedChange[]
  /** Changes beyond those. */
  readonly more: number
}

/** Characters of one sentence; the rest is cut. */
const textCharsMax = 1_024
/** Characters of one entry's changes. */
export const entryCharsMax = 65_536

const cut = (text: string): string => (text.length > textCharsMax ? `${text.slice(0, textCharsMax)}\u2026` : text)

export function historyEntry(
  atMs: number,
  table: number,
  changes: readonly TableChange[],
  causes: readonly Cause[],
): HistoryEntry {
  const recorded: RecordedChange[] = []
  let chars = 0
  for (const change of changes) {
    const services = [change.service]
    if (change.kind === 'route' && change.serviceBefore !== undefined) services.push(change.serviceBefore)
    const text = cut(describeChange(change))
    chars += text.length + services.join('').length
    if (chars > entryCharsMax) break
    recorded.push({ services, text })
  }
  return {
    atMs,
    table,
    causes: causes.map((cause) => ({ ...cause, text: cut(describeCause(cause)) })),
    changes: recorded,
    more: changes.length - recorded.length,
  }
}

/** About how much memory it takes, in characters. */
export function charsOf({ causes, changes }: HistoryEntry): number {
  let chars = 100
  for (const cause of causes) chars += JSON.stringify(cause).length
  for (const { services, text } of changes) chars += 50 + text.length + services.join('').length
  return chars
}

/** What of an entry is about `service`; undefined: nothing is. */
export function entryAbout(entry: HistoryEntry, service: string): HistoryEntry | undefined {
  const changes = entry.changes.filter(({ services }) => services.includes(service))
  return changes.length === 0 ? undefined : { ...entry, changes, more: 0 }
}

// === One line of a file ===

const entrySchema: z.ZodType<HistoryEntry> = z.object({
  atMs: z.number(),
  table: z.number(),
  causes: z.array(z.looseObject({ kind: z.string(), text: z.string() })),
  changes: z.array(z.object({ services: z.array(z.string()), text: z.string() })),
  more: z.number(),
})

/** Without a newline. */
export function encodeEntry(entry: HistoryEntry): string {
  return JSON.stringify(entry)
}

/** Undefined: it is none of ours, or torn. */
export function decodeEntry(line: string): HistoryEntry | undefined {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return undefined
  }
  const entry = entrySchema.safeParse(value)
  return entry.success ? entry.data : undefined
}
