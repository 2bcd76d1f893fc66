/** Figures of a run: counts by what happened, slowest requests, throughput in windows. Pure; it judges nothing. */
import type { Execution } from './backend-log.ts'
import type { Outcome, Sent } from './client.ts'

const safe: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/** May be repeated without asking (RFC 9110 section 9.2.1). */
export const isSafe = ({ method }: Pick<Sent, 'method'>): boolean => safe.has(method)

const idempotent: ReadonlySet<string> = new Set([...safe, 'TRACE', 'PUT', 'DELETE'])

/** Must not reach backends twice (RFC 9110 section 9.2.2): POST and its like. */
export const mustRunOnce = ({ method }: Pick<Sent, 'method'>): boolean => !idempotent.has(method)

/** The client did not get what it asked for. What the end of the run cut off says nothing. */
export const hasFailed = ({ outcome }: Pick<Sent, 'outcome'>): boolean => outcome !== 'good' && outcome !== 'abandoned'

/** How often each request reached a backend: by id, its beginnings at all of them. */
export function runsById(executions: readonly Execution[]): ReadonlyMap<string, readonly Execution[]> {
  const found = new Map<string, Execution[]>()
  for (const execution of executions) {
    const known = found.get(execution.id)
    if (known) known.push(execution)
    else found.set(execution.id, [execution])
  }
  return found
}

export interface Figures {
  readonly requests: number
  readonly good: number
  readonly failedSafe: number
  readonly failedUnsafe: number
  readonly outcomes: Readonly<Partial<Record<Outcome, number>>>
  /** Requests of any method that backends saw more than once, and those among them that must run once. */
  readonly seenTwice: number
  readonly postsSeenTwice: number
  /** Most times that one request was seen. */
  readonly seenMost: number
  readonly slowestSafeMs: number
  readonly slowestMs: number
}

export function figuresOf(sent: readonly Sent[], executions: readonly Execution[]): Figures {
  const outcomes: Partial<Record<Outcome, number>> = {}
  let slowestSafeMs = 0
  let slowestMs = 0
  for (const one of sent) {
    outcomes[one.outcome] = (outcomes[one.outcome] ?? 0) + 1
    const tookMs = one.endMs - one.startMs
    slowestMs = Math.max(slowestMs, tookMs)
    if (isSafe(one)) slowestSafeMs = Math.max(slowestSafeMs, tookMs)
  }
  const known = new Set(sent.map(({ id }) => id))
  const repeated = [...runsById(executions)].filter(([id, runs]) => known.has(id) && runs.length > 1)
  return {
    requests: sent.length,
    good: outcomes.good ?? 0,
    failedSafe: sent.filter((one) => hasFailed(one) && isSafe(one)).length,
    failedUnsafe: sent.filter((one) => hasFailed(one) && !isSafe(one)).length,
    outcomes,
    seenTwice: repeated.length,
    postsSeenTwice: repeated.filter(([, runs]) => runs.some(mustRunOnce)).length,
    seenMost: repeated.reduce((most, [, runs]) => Math.max(most, runs.length), 1),
    slowestSafeMs,
    slowestMs,
  }
}

/** Good answers per second that ended in [fromMs, toMs). */
export function throughput(sent: readonly Sent[], fromMs: number, toMs: number): number {
  const count = sent.filter(({ outcome, endMs }) => outcome === 'good' && endMs >= fromMs && endMs < toMs).length
  return toMs > fromMs ? (count * 1_000) / (toMs - fromMs) : 0
}

/** Good answers in each window of `widthMs` from `fromMs` on, up to the last answer. */
export function windows(sent: readonly Sent[], fromMs: number, widthMs: number): number[] {
  const counts: number[] = []
  for (const { outcome, endMs } of sent) {
    const at = Math.floor((endMs - fromMs) / widthMs)
    if (at < 0 || outcome !== 'good') continue
    while (counts.length <= at) counts.push(0)
    counts[at] = (counts[at] as number) + 1
  }
  return counts
}

export interface Fault {
  readonly what: string
  readonly atMs: number
  /** When it was over: a thaw, a restart; undefined: it is for good. */
  readonly endMs: number | undefined
}

export interface Times {
  /** From the latest fault before it to the end of a failed request, at most; 0 without failures. */
  readonly errorWindowMs: number
  /** Throughput in the first second after a fault, relative to the second before the first fault (or what there is of it); the worst fault. */
  readonly firstSecond: number
  /** The same of the second that begins one second after it. */
  readonly nextSecond: number
}

/** Width of a slice, ms; and how many make a level, since one alone is mostly noise. */
export const sliceMs = 100
const levelSlices = 5

/**
 * Throughput in slices from `faultMs` on, for two seconds, relative to the three seconds before (or what there is of them), and
 * after how many ms it is back at `level`: from then on the next five slices have it on average. 0: it never fell, Infinity: not in
 * these two seconds.
 */
export function returnOf(
  sent: readonly Sent[],
  faultMs: number,
  level: number,
): { readonly shares: readonly number[]; readonly backMs: number } {
  const begun = sent.reduce((start, { startMs }) => Math.min(start, startMs), Infinity)
  const before = throughput(sent, Math.max(faultMs - 3_000, begun), faultMs)
  const rate = (at: number, slices: number): number =>
    throughput(sent, faultMs + at * sliceMs, faultMs + (at + slices) * sliceMs) / before
  const starts = Array.from({ length: 20 }, (_, at) => at)
  // It falls only once clients wait for the one that is gone: what comes before that is no return.
  const fell = starts.find((at) => rate(at, levelSlices) < level)
  const back = fell === undefined ? 0 : starts.find((at) => at >= fell && rate(at, levelSlices) >= level)
  return { shares: starts.map((at) => rate(at, 1)), backMs: back === undefined ? Infinity : back * sliceMs }
}

/** NaN where a window has no data: without a fault, or with one too near to an end of the run. */
export function timesOf(sent: readonly Sent[], faults: readonly Fault[]): Times {
  const first = faults[0]?.atMs
  if (first === undefined) return { errorWindowMs: 0, firstSecond: NaN, nextSecond: NaN }
  const last = sent.reduce((end, { endMs }) => Math.max(end, endMs), 0)
  const begun = sent.reduce((start, { startMs }) => Math.min(start, startMs), Infinity)
  const fromMs = Math.max(first - 1_000, begun)
  const before = throughput(sent, fromMs, first)
  const relative = (offsetMs: number): number => {
    if (before === 0 || first - fromMs < 300) return NaN
    const whole = faults.filter(({ atMs }) => atMs + offsetMs + 1_000 <= last)
    const shares = whole.map(({ atMs }) => throughput(sent, atMs + offsetMs, atMs + offsetMs + 1_000) / before)
    return shares.length === 0 ? NaN : Math.min(...shares)
  }
  const failures = sent.filter(hasFailed).map(({ endMs }) => {
    const earlier = faults.filter(({ atMs }) => atMs <= endMs).at(-1)
    return earlier === undefined ? Infinity : endMs - earlier.atMs
  })
  return {
    errorWindowMs: failures.reduce((most, ms) => Math.max(most, ms), 0),
    firstSecond: relative(0),
    nextSecond: relative(1_000),
  }
}

/** One line for people. */
export function figuresText(figures: Figures, times: Times): string {
  const outcomes = Object.entries(figures.outcomes).map(([outcome, count]) => `${outcome} ${count}`)
  const share = (value: number): string => (Number.isNaN(value) ? '–' : `${Math.round(value * 100)} %`)
  return [
    `${figures.requests} requests (${outcomes.join(', ')})`,
    `failed safe ${figures.failedSafe}, failed POSTs ${figures.failedUnsafe}`,
    `seen twice ${figures.seenTwice}, POSTs twice ${figures.postsSeenTwice}, most ${figures.seenMost}`,
    `slowest GET ${Math.round(figures.slowestSafeMs)} ms, slowest ${Math.round(figures.slowestMs)} ms`,
    `last failure ${Math.round(times.errorWindowMs)} ms after a fault`,
    `throughput in the 1st second after a fault ${share(times.firstSecond)}, in the 2nd ${share(times.nextSecond)}`,
  ].join('; ')
}
