/**
 * What the demonstration says: counts what the client met, judges each failure, and makes the lines. Pure but for its
 * own counts; it prints nothing.
 */
import type { RequestRecord } from '../../proxy/options.ts'
import type { Outcome } from './client.ts'
import type { Member } from './fleet.ts'

/** What the proxy recorded of a request that failed, and the instance that it was at, if that is known. */
export interface FailureFacts {
  readonly record: Pick<RequestRecord, 'cause' | 'endpoint'> | undefined
  readonly member: Pick<Member, 'id' | 'version' | 'killedAtMs'> | undefined
  /** Monotonic, ms. */
  readonly nowMs: number
}

interface Window {
  readonly byInstance: Map<string, number>
  readonly byVersion: Map<string, number>
  /** Requests by duration in tenths of a millisecond: bounded, however long it runs. */
  readonly tenths: Map<number, number>
  requests: number
}

const emptyWindow = (): Window => ({ byInstance: new Map(), byVersion: new Map(), tenths: new Map(), requests: 0 })

/** A request that started this soon after the kill may have met a connection whose end was not seen yet, ms. */
const noticedWithinMs = 250
/** Between the kill and the last moment at which a request that the instance held can have failed, ms. */
const heldForMs = 5_000

export class Report {
  #total = emptyWindow()
  #window = emptyWindow()
  #unsafe = 0
  readonly #lost: string[] = []
  readonly #unexpected: string[] = []
  #retried = 0

  /** Takes one outcome; the line to print when it was a failure. */
  take(outcome: Outcome, facts: FailureFacts): string | undefined {
    for (const window of [this.#total, this.#window]) {
      window.requests++
      const tenth = Math.round(outcome.durationMs * 10)
      window.tenths.set(tenth, (window.tenths.get(tenth) ?? 0) + 1)
      if (outcome.instance !== '') {
        window.byInstance.set(outcome.instance, (window.byInstance.get(outcome.instance) ?? 0) + 1)
        window.byVersion.set(outcome.version, (window.byVersion.get(outcome.version) ?? 0) + 1)
      }
    }
    if (outcome.method !== 'GET') this.#unsafe++
    if (outcome.status === 200 && outcome.error === '') return undefined
    return this.#fail(outcome, facts)
  }

  /** A request that one instance did not answer and another did. */
  retried(): void {
    this.#retried++
  }

  /** Something else that must not happen, such as an instance that ended by itself. */
  unexpected(what: string): void {
    this.#unexpected.push(what)
  }

  /** True when nothing failed but unsafe requests that a killed instance held. */
  get ok(): boolean {
    return this.#unexpected.length === 0 && this.#total.byInstance.size > 0
  }

  /** The share of each version and instance since the last call, and how fast it went. */
  line(elapsedMs: number, windowMs: number, members: readonly Pick<Member, 'id' | 'version'>[]): string {
    const window = this.#window
    this.#window = emptyWindow()
    const answered = Math.max(1, sum(window.byInstance))
    const versions = [...new Set(members.map(({ version }) => version))].toSorted()
    const shares = versions.map((version) => {
      const instances = members
        .filter((member) => member.version === version)
        .map(({ id }) => `${id} ${percent(window.byInstance.get(id) ?? 0, answered)}`)
      return `${version} ${percent(window.byVersion.get(version) ?? 0, answered)} (${instances.join(', ')})`
    })
    const rate = Math.round((window.requests * 1_000) / Math.max(1, windowMs))
    const slowest = quantileMs(window.tenths, 0.99).toFixed(0)
    const failed = this.#lost.length + this.#unexpected.length
    return `${seconds(elapsedMs)}  ${shares.join('  ')}  ${rate}/s, p99 ${slowest} ms, failed ${failed}`
  }

  summary(elapsedMs: number, killed: readonly Pick<Member, 'id' | 'version'>[]): string {
    const { requests, byVersion, tenths } = this.#total
    const answered = Math.max(1, sum(byVersion))
    const shares = [...byVersion]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([version, count]) => `${version} ${percent(count, answered)}`)
    const kills = killed.map(({ id, version }) => `${id} (${version})`).join(', ')
    const lines = [
      `After ${seconds(elapsedMs).trim()}:`,
      `  requests    ${requests} (${requests - this.#unsafe} GET, ${this.#unsafe} POST), ${shares.join(', ')}`,
      `  answers in  p50 ${quantileMs(tenths, 0.5).toFixed(1)} ms, p99 ${quantileMs(tenths, 0.99).toFixed(1)} ms, slowest ${quantileMs(tenths, 1).toFixed(1)} ms`,
      `  killed      ${killed.length}${kills === '' ? '' : `: ${kills}`}`,
      `  retried     ${this.#retried} that one instance could not answer and another did; the client never tries again`,
      `  lost        ${this.#lost.length} unsafe, in flight to a killed instance${indented(this.#lost)}`,
      `  failed      ${this.#unexpected.length} otherwise${indented(this.#unexpected)}`,
    ]
    return `${lines.join('\n')}\n`
  }

  #fail(outcome: Outcome, { record, member, nowMs }: FailureFacts): string {
    const { method, path, status, error, durationMs } = outcome
    const met = status === 0 || error !== '' ? error : String(status)
    const why = record?.cause ? ` (${record.cause})` : ''
    const killedAtMs = member?.killedAtMs
    const where = member ? ` at ${member.id} (${member.version})` : record?.endpoint ? ` at ${record.endpoint}` : ''
    const held =
      killedAtMs !== undefined &&
      killedAtMs >= nowMs - durationMs - noticedWithinMs &&
      killedAtMs <= nowMs &&
      nowMs - killedAtMs < heldForMs
    const text = `${method} ${path} -> ${met}${why}${where}${killedAtMs === undefined ? '' : `, killed ${(nowMs - killedAtMs).toFixed(0)} ms before`}`
    if (held && method === 'POST') {
      this.#lost.push(text)
      return `lost: ${text}; it may have been executed, so it is not repeated`
    }
    this.#unexpected.push(text)
    return `FAILED: ${text}`
  }
}

const indented = (lines: readonly string[]): string => lines.map((line) => `\n                ${line}`).join('')
const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`.padStart(7)
const percent = (part: number, whole: number): string => `${Math.round((part * 100) / whole)}%`

function sum(counts: ReadonlyMap<string | number, number>): number {
  let total = 0
  for (const count of counts.values()) total += count
  return total
}

function quantileMs(tenths: ReadonlyMap<number, number>, share: number): number {
  let left = Math.ceil(sum(tenths) * share)
  let last = 0
  for (const [tenth, count] of [...tenths].toSorted(([a], [b]) => a - b)) {
    last = tenth
    left -= count
    if (left <= 0) break
  }
  return last / 10
}
