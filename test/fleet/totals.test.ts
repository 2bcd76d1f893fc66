/** Counts of many workers: sums that are right and never fall, whoever dies, comes back or is heard late. */
import fc from 'fast-check'
import t from 'tap'
import { atOnce } from '../../src/core/turn.ts'
import { CountsReporter, type CountsReport, countUse, endpointsPerTurn } from '../../src/fleet/counts.ts'
import { Totals } from '../../src/fleet/totals.ts'
import { absentVersionsKept, newServiceStats, newVersionStats } from '../../src/live/registry.ts'
import { newMirrorStats } from '../../src/proxy/mirror.ts'
import type { EndpointState, ServiceStats, VersionStats } from '../../src/live/runtime.ts'
import type { DataPlaneFigures } from '../../src/proxy/options.ts'
import { endpoint, noFigures, tableOf } from '../fixtures/data-plane.ts'

const noUse = { endpoints: [], upstream: { open: 0, idle: 0 } }
const own = { linesDropped: 0, messagesLost: 0, cpuMs: 1, residentBytes: 2 }

/** A worker's counting, without the worker. */
class Counting {
  readonly version: VersionStats = newVersionStats('web', '1')
  readonly service: ServiceStats = newServiceStats('web')
  readonly unrouted = new Map<number, number>()
  readonly #reporter = new CountsReporter()

  request(code: number): void {
    this.version.codes.set(code, (this.version.codes.get(code) ?? 0) + 1)
    this.version.durationCounts[2] = (this.version.durationCounts[2] ?? 0) + 1
    this.version.durationSumMs += 3
    this.version.attempts.set('success', (this.version.attempts.get('success') ?? 0) + 1)
    this.service.retries.set('refused', (this.service.retries.get('refused') ?? 0) + 1)
    this.service.rescued++
    this.service.pipeliningPauses.set('slow', (this.service.pipeliningPauses.get('slow') ?? 0) + 1)
    this.unrouted.set(404, (this.unrouted.get(404) ?? 0) + 1)
    const mirrored = (this.version.mirrored ??= newMirrorStats())
    mirrored.outcomes.set('same', (mirrored.outcomes.get('same') ?? 0) + 1)
    mirrored.differenceCounts[0] = (mirrored.differenceCounts[0] ?? 0) + 1
    mirrored.differenceSumMs -= 5
  }

  report(): CountsReport {
    const figures: DataPlaneFigures = {
      ...noFigures,
      versions: [this.version],
      services: [this.service],
      unrouted: this.unrouted,
      downstream: { open: 2, idle: 1 },
    }
    return structuredClone(this.#reporter.report(figures, noUse, own))
  }

  forget(): void {
    this.#reporter.forget()
  }
}

const table = tableOf('web', [endpoint({ service: 'web', handle: 'a', version: '1' })])

function sums(totals: Totals): Record<string, number> {
  const [version] = totals.versions()
  const [service] = totals.services()
  return {
    ok: version?.codes.get(200) ?? 0,
    bucket: version?.durationCounts[2] ?? 0,
    durationMs: version?.durationSumMs ?? 0,
    attempts: version?.attempts.get('success') ?? 0,
    retries: service?.retries.get('refused') ?? 0,
    rescued: service?.rescued ?? 0,
    pauses: service?.pipeliningPauses.get('slow') ?? 0,
    unrouted: totals.unrouted.get(404) ?? 0,
    mirrored: version?.mirrored?.outcomes.get('same') ?? 0,
    differences: version?.mirrored?.differenceCounts[0] ?? 0,
    differenceMs: 0 - (version?.mirrored?.differenceSumMs ?? 0),
  }
}

const allOf = (n: number): Record<string, number> => ({
  ok: n,
  bucket: n,
  durationMs: 3 * n,
  attempts: n,
  retries: n,
  rescued: n,
  pauses: n,
  unrouted: n,
  mirrored: n,
  differences: n,
  differenceMs: 5 * n,
})

const event = fc.record({
  slot: fc.nat({ max: 2 }),
  what: fc.constantFrom('request', 'request', 'report', 'die', 'reconnect'),
})

t.test('whatever happens, they are the sum of all that was reported, and never fall', async (t) => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60, size: 'max' }), (events) => {
      const totals = new Totals()
      totals.tableChanged(table)
      const workers = [new Counting(), new Counting(), new Counting()]
      const epochs = [0, 0, 0]
      const reported = [0, 0, 0]
      const counted = [0, 0, 0]
      let dead = 0
      for (const { slot, what } of events) {
        const worker = workers[slot]
        if (!worker) continue
        if (what === 'request') {
          worker.request(200)
          counted[slot] = (counted[slot] ?? 0) + 1
        } else if (what === 'report') {
          totals.add(slot, String(epochs[slot]), worker.report())
          reported[slot] = counted[slot] ?? 0
        } else {
          totals.gone(slot)
          worker.forget()
          if (what === 'die') {
            workers[slot] = new Counting()
            epochs[slot] = (epochs[slot] ?? 0) + 1
            dead += reported[slot] ?? 0
            counted[slot] = reported[slot] = 0
          }
        }
        t.same(sums(totals), allOf(dead + reported.reduce((a, b) => a + b, 0)))
      }
    }),
    { numRuns: 200 },
  )
})

t.test('what is there now goes with its worker; what it counted stays', async (t) => {
  const totals = new Totals()
  totals.tableChanged(table)
  const worker = new Counting()
  worker.request(200)
  worker.service.inFlight = 5
  if (worker.version.mirrored) worker.version.mirrored.inFlight = 3
  totals.add(0, 'x', worker.report())
  totals.add(1, 'y', new Counting().report())
  t.same(totals.downstream, { open: 4, idle: 2 })
  t.equal([...totals.services()][0]?.inFlight, 5)
  t.equal([...totals.versions()][0]?.mirrored?.inFlight, 3)
  t.same(
    [...totals.workers()].map(({ slot, connections }) => [slot, connections]),
    [
      [0, 2],
      [1, 2],
    ],
  )
  totals.gone(0)
  t.same(totals.downstream, { open: 2, idle: 1 })
  t.equal([...totals.services()][0]?.inFlight, 0)
  t.equal([...totals.versions()][0]?.mirrored?.inFlight, 0)
  t.same(
    [...totals.workers()].map(({ slot }) => slot),
    [1],
  )
  t.equal(sums(totals)['ok'], 1)
})

t.test('counts that began anew in a worker are added, not taken away', async (t) => {
  const totals = new Totals()
  totals.tableChanged(table)
  const worker = new Counting()
  for (let i = 0; i < 5; i++) worker.request(200)
  totals.add(0, 'x', worker.report())
  const again = new Counting()
  again.request(200)
  totals.add(0, 'x', again.report())
  t.equal(sums(totals)['ok'], 6)
})

t.test('a report names only what changed, and all again to one who knows nothing', async (t) => {
  const worker = new Counting()
  worker.request(200)
  t.equal(worker.report().versions.length, 1)
  t.equal(worker.report().versions.length, 0)
  worker.forget()
  t.equal(worker.report().versions.length, 1)
})

const use = (key: string, inFlight: number, open: number) =>
  ({ key, life: 1, inFlight, pool: { open, idle: open >> 1 } }) as unknown as EndpointState

t.test('endpoints in use are named, others are not', async (t) => {
  const { endpoints, upstream } = atOnce(countUse([use('a', 1, 0), use('b', 0, 2), use('c', 0, 0), use('d', 1, 3)]))
  t.same(
    endpoints.map(({ key }) => key),
    ['a', 'b', 'd'],
  )
  t.same(upstream, { open: 5, idle: 2 })
})

t.test('so many endpoints are looked at in a turn, also while they come and go', async (t) => {
  const states = new Set(Array.from({ length: 3 * endpointsPerTurn }, (_, i) => use(String(i), 1, 1)))
  const counting = countUse(states)
  let turns = 1
  for (; counting.next().done !== true; turns++) if (turns === 2) states.clear()
  t.equal(turns, 3)
})

t.test('labels that no table has any more are bounded, and so is what is remembered of them', async (t) => {
  const totals = new Totals()
  totals.tableChanged(table)
  const total = absentVersionsKept + 50
  for (let i = 0; i < total; i++) {
    const stats = newVersionStats('web', `v${String(i)}`)
    stats.codes.set(200, 1)
    totals.add(0, 'x', { ...new Counting().report(), versions: [stats] })
  }
  totals.tableChanged(table)
  t.equal([...totals.versions()].length, absentVersionsKept)
})
