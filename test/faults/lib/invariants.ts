/**
 * The seven things that must hold in every run with a fault, whatever the fault: each either holds, or is told with figures
 * and ids. Pure. The numbers are those of the list they come from: no wrong service, no cut body that looks whole, nothing
 * unsafe twice, few failures and soon over, nothing leaked, no fault of ours, and recovery.
 */
import type { Execution } from './backend-log.ts'
import type { Outcome, Sent } from './client.ts'
import { type Fault, hasFailed, isSafe, mustRunOnce, runsById, timesOf } from './figures.ts'

/** What the proxy holds while nobody asks it anything. */
export interface Footprint {
  /** Open descriptors without its connections to backends, which it may keep. */
  readonly descriptors: number
  readonly residentBytes: number
}

export interface RunFacts {
  /** In the order of ends. */
  readonly sent: readonly Sent[]
  readonly executions: readonly Execution[]
  /** In the order of time. */
  readonly faults: readonly Fault[]
  readonly before: Footprint
  readonly after: Footprint
  readonly troubles: readonly string[]
}

export interface Limits {
  /** Failed GET, HEAD and OPTIONS. Default 0. */
  readonly failedSafeMax?: number
  /** Failed POSTs. Default: any number, since those in flight to a dead one cannot be saved; the ledger must know them. */
  readonly failedUnsafeMax?: number
  /** Requests whose failing is the fault itself, such as poison. Everything else holds for them too. */
  readonly exempt?: (sent: Sent) => boolean
  /** How often one safe request may be seen by backends. Default 2. */
  readonly seenMax?: number
  /** Requests seen twice, as a share of all. Default 1. */
  readonly seenTwiceShareMax?: number
  /** From a fault to the end of the last failed request. Default: not judged. */
  readonly errorWindowMsMax?: number
  /** Good answers in a row that must end the run, exempt ones not counted; 0: not judged. Default 20. */
  readonly goodTail?: number
}

export type Invariant =
  'wrong-service' | 'looks-whole' | 'at-most-once' | 'error-window' | 'footprint' | 'fault-of-ours' | 'recovery'

export interface Violation {
  readonly invariant: Invariant
  readonly text: string
}

/** Sockets of Consul's watches, timers' pipes and the like come and go by a few. */
export const descriptorSlack = 12
/** A heap that has once been busy is larger; what leaks grows beyond this. */
export const residentSlackBytes: number = 192 * 1_048_576

const named = (all: readonly { readonly id: string }[]): string =>
  all
    .slice(0, 5)
    .map((one) => ('outcome' in one ? tell(one as Sent) : one.id))
    .join(', ') + (all.length > 5 ? ` and ${all.length - 5} more` : '')

function tell({ id, method, outcome, status, startMs, endMs, detail }: Sent): string {
  const answer = status === 0 ? '' : ` ${status}`
  return `${id} ${method} ${outcome}${answer} after ${Math.round(endMs - startMs)} ms ${detail}`.trimEnd()
}

/** What does not hold, in the order of the list; empty: all holds. */
export function violations(facts: RunFacts, limits: Limits = {}): Violation[] {
  const found: Violation[] = []
  const add = (invariant: Invariant, text: string): void => void found.push({ invariant, text })
  const having = (...outcomes: readonly Outcome[]): Sent[] => facts.sent.filter((one) => outcomes.includes(one.outcome))

  const wrong = having('wrong-service', 'wrong-request')
  if (wrong.length > 0) add('wrong-service', `${wrong.length} answers belong to others: ${named(wrong)}`)
  const short = having('short', 'invalid')
  if (short.length > 0) add('looks-whole', `${short.length} broken answers look whole: ${named(short)}`)
  atMostOnce(facts, limits, add)
  errorWindow(facts, limits, add)
  footprint(facts, add)
  if (facts.troubles.length > 0) add('fault-of-ours', facts.troubles.join('; '))
  recovery(facts, limits, add)
  return found
}

type Add = (invariant: Invariant, text: string) => void

function atMostOnce({ sent, executions }: RunFacts, limits: Limits, add: Add): void {
  const known = new Set(sent.map(({ id }) => id))
  const runs = [...runsById(executions)].filter(([id]) => known.has(id))
  const told = (some: typeof runs): string =>
    named(some.map(([id, all]) => ({ id: `${id} at ${all.map(({ instance }) => instance).join('+')}` })))
  const repeated = runs.filter(([, all]) => all.length > 1 && all.some(mustRunOnce))
  if (repeated.length > 0)
    add('at-most-once', `${repeated.length} requests that must run once were seen twice: ${told(repeated)}`)
  const { seenMax = 2, seenTwiceShareMax = 1 } = limits
  const often = runs.filter(([, all]) => all.length > seenMax)
  if (often.length > 0)
    add('at-most-once', `${often.length} requests were seen more than ${seenMax} times: ${told(often)}`)
  const twice = runs.filter(([, all]) => all.length > 1).length
  if (twice > seenTwiceShareMax * sent.length)
    add('at-most-once', `${twice} of ${sent.length} requests were seen twice, more than ${seenTwiceShareMax * 100} %`)
}

function errorWindow({ sent, faults }: RunFacts, limits: Limits, add: Add): void {
  const { failedSafeMax = 0, failedUnsafeMax = Infinity, exempt = () => false, errorWindowMsMax = Infinity } = limits
  const failed = sent.filter((one) => hasFailed(one) && !exempt(one))
  const safe = failed.filter(isSafe)
  const unsafe = failed.filter((one) => !isSafe(one))
  if (safe.length > failedSafeMax)
    add('error-window', `${safe.length} safe requests failed (at most ${failedSafeMax}): ${named(safe)}`)
  if (unsafe.length > failedUnsafeMax)
    add('error-window', `${unsafe.length} unsafe requests failed (at most ${failedUnsafeMax}): ${named(unsafe)}`)
  const { errorWindowMs } = timesOf(failed, faults)
  if (errorWindowMs > errorWindowMsMax)
    add(
      'error-window',
      `the last failure came ${Math.round(errorWindowMs)} ms after a fault (at most ${errorWindowMsMax})`,
    )
}

function footprint({ before, after }: RunFacts, add: Add): void {
  const descriptors = after.descriptors - before.descriptors
  if (descriptors > descriptorSlack)
    add('footprint', `${descriptors} descriptors more than before (${before.descriptors})`)
  const bytes = after.residentBytes - before.residentBytes
  const mebibytes = (of: number): number => Math.round(of / 1_048_576)
  if (bytes > residentSlackBytes)
    add('footprint', `${mebibytes(bytes)} MiB more than before (${mebibytes(before.residentBytes)} MiB)`)
}

function recovery({ sent }: RunFacts, limits: Limits, add: Add): void {
  const { goodTail = 20, exempt = () => false } = limits
  if (goodTail === 0) return
  // By start: what waited through the fault may end late and badly, after others have long been well again.
  const asked = sent.filter((one) => !exempt(one) && one.outcome !== 'abandoned')
  const tail = asked.toSorted((a, b) => a.startMs - b.startMs).slice(-goodTail)
  const bad = tail.filter(hasFailed)
  if (tail.length < goodTail) add('recovery', `only ${tail.length} requests were made`)
  if (bad.length > 0) add('recovery', `${bad.length} of the last ${tail.length} requests failed: ${named(bad)}`)
}
