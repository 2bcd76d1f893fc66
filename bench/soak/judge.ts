/** What must hold in a soak, and whether it did. Pure. */
import { figure } from '../lib/report.ts'
import { flatnessOf, growthMax, riseMax } from './flatness.ts'
import type { SoakResult } from './run.ts'
import type { Sample } from './samples.ts'

export interface Judgement {
  readonly text: string
  readonly met: boolean
}

/** Time to see what registered while Consul could not be read, ms. */
const backMsMax = 10_000

/** What holds whatever the length of the soak. */
export function judgeSoak(result: SoakResult): readonly Judgement[] {
  const { failed, requests, socketsOpened, echoes, lines, blocked, blind, troubles } = result
  const unaccounted = lines.requests - lines.read - lines.dropped
  const told = blind.told.filter((text) => text !== undefined).length
  return [
    {
      text: `failed: ${failed} of ${figure(requests, 0)} requests and ${figure(socketsOpened, 0)} WebSockets with ${figure(echoes, 0)} echoes (goal: 0)`,
      met: failed === 0 && requests > 0 && echoes > 0,
    },
    {
      text: `standard output blocked for ${figure(blocked.seconds, 0)} s: ${figure(blocked.requests, 0)} requests answered meanwhile, lines lost (goal: some)`,
      met: blocked.requests > 0 && blocked.dropped > 0,
    },
    {
      text: `lines of the access log: ${figure(lines.read, 0)} read and ${figure(lines.dropped, 0)} counted as lost; ${unaccounted} unaccounted for (goal: 0)`,
      met: unaccounted === 0,
    },
    {
      text: `rights lost for ${figure(blind.seconds, 0)} s: ${figure(blind.requests, 0)} requests answered meanwhile, at least ${blind.endpointsMin} instances of each service stayed, told in ${told} of 2 halves (goal: both)`,
      met: blind.requests > 0 && blind.endpointsMin > 0 && blind.endpointsMin < Infinity && told === 2,
    },
    {
      text: `what registered meanwhile was routed ${figure(blind.backMs / 1_000, 1)} s after the rights were back`,
      met: Number.isFinite(blind.backMs),
    },
    { text: `troubles: ${troubles.length === 0 ? 'none' : troubles.join('; ')}`, met: troubles.length === 0 },
  ]
}

/** What only a soak of minutes can say: `settledMs` of it are left out. */
export function judgeTrends(result: SoakResult, settledMs: number, changesMin: number): readonly Judgement[] {
  const settled = result.samples.filter(({ atMs }) => atMs >= settledMs)
  const trend = (what: string, read: (sample: Sample) => number): Judgement => {
    const { rise, growth, flat } = flatnessOf(settled.map((sample) => ({ atMs: sample.atMs, value: read(sample) })))
    const percent = (share: number): string => `${share >= 0 ? '+' : ''}${figure(share * 100, 1)} %`
    return {
      text: `${what} after ${figure(settledMs / 60_000, 1)} min: ${percent(rise)} from then to the end by its slope (at most ${percent(riseMax)}), last sixth ${percent(growth - 1)} over the second (at most ${percent(growthMax - 1)})`,
      met: flat,
    }
  }
  const changes = Object.values(result.changes).reduce((sum, count) => sum + count, 0)
  return [
    trend('resident memory', (sample) => sample.residentBytes),
    trend('heap in use', (sample) => sample.heapUsedBytes),
    trend('descriptors', (sample) => sample.descriptors),
    { text: `changes: ${figure(changes, 0)} (at least ${figure(changesMin, 0)})`, met: changes >= changesMin },
    {
      text: `back within ${backMsMax / 1_000} s of the rights' return`,
      met: result.blind.backMs <= backMsMax,
    },
  ]
}
