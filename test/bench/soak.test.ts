import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import fc from 'fast-check'
import t from 'tap'
import { type Change, chooseChange, isServing, type Member, servingMin } from '../../bench/soak/churn.ts'
import { flatnessOf, type Point, theilSenSlope } from '../../bench/soak/flatness.ts'
import { judgeSoak, judgeTrends } from '../../bench/soak/judge.ts'
import { LogReader } from '../../bench/soak/log-reader.ts'
import { parseSoakOptions } from '../../bench/soak/options.ts'
import { planOf } from '../../bench/soak/plan.ts'
import { renderChanges, renderJudgements, renderSamples } from '../../bench/soak/report.ts'
import type { SoakResult } from '../../bench/soak/run.ts'
import { seededRandom } from '../../src/core/random.ts'

const points = (count: number, value: (at: number) => number): Point[] =>
  Array.from({ length: count }, (_, at) => ({ atMs: at * 1_000, value: value(at) }))

t.test('a slope is that of the line, whatever single points say', (t) => {
  t.equal(theilSenSlope(points(50, (at) => 100 + 2 * at)), 0.002)
  t.equal(theilSenSlope(points(50, (at) => (at % 7 === 3 ? 10_000 : 100 + 2 * at))), 0.002, 'spikes do not bend it')
  t.ok(Number.isNaN(theilSenSlope(points(1, () => 5))))
  t.end()
})

t.test('flat or not', (t) => {
  const cases: readonly (readonly [string, boolean, readonly Point[]])[] = [
    ['noise about a level', true, points(1_000, (at) => 200 + 20 * Math.sin(at * 1.7))],
    ['a spike in the middle', true, points(600, (at) => (at > 250 && at < 300 ? 400 : 200))],
    ['less at the end', true, points(600, (at) => 200 - at / 10)],
    ['a leak of a tenth', false, points(600, (at) => 200 + at / 30)],
    ['a leak below the noise', false, points(1_000, (at) => 200 + at / 50 + 20 * Math.sin(at * 1.7))],
    ['a step up that stays', false, points(600, (at) => (at > 400 ? 240 : 200))],
    ['a step up at the very end', false, points(600, (at) => (at >= 520 ? 240 : 200))],
    ['too few to say', false, points(9, () => 200)],
  ]
  for (const [what, flat, some] of cases) t.equal(flatnessOf(some).flat, flat, what)
  const { rise, growth } = flatnessOf(points(101, (at) => 100 + at))
  t.ok(Math.abs(rise - 100 / 150) < 1e-9, 'by the median')
  t.ok(Math.abs(growth - 190.5 / 109.5) < 1e-9)
  t.end()
})

const fleetOf = (services: number, instances: number): Map<string, Member[]> =>
  new Map(
    Array.from({ length: services }, (_, service) => [
      `s${service}`,
      Array.from({ length: instances }, (__, at): Member => ({
        name: `s${service}.${at}`,
        service: `s${service}`,
        host: '127.0.1.1',
        port: 1 + at,
        version: '1.0.0',
        revision: 0,
        status: 'passing',
        maintenance: false,
      })),
    ]),
  )

function applied(fleet: Map<string, Member[]>, change: Change, name: string): void {
  if (change.kind === 'register') {
    const { service, version } = change
    const member: Member = {
      name,
      service,
      host: '',
      port: 0,
      version,
      revision: 0,
      status: 'passing',
      maintenance: false,
    }
    return void fleet.get(service)?.push(member)
  }
  const { member } = change
  const others = (fleet.get(member.service) ?? []).filter((one) => one.name !== member.name)
  fleet.set(member.service, change.kind === 'deregister' ? others : [...others, member])
}

t.test('however long it goes on, each service keeps what serves, and each kind of change comes', (t) => {
  fc.assert(
    fc.property(
      fc.integer(),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 3, max: 7 }),
      (seed, services, instances) => {
        const fleet = fleetOf(services, instances)
        const random = seededRandom(seed)
        const limits = { min: 3, max: instances * 2, lasting: new Set(['s0']) }
        const kinds = new Set<string>()
        for (let n = 0; n < 500; n++) {
          const before = new Map([...fleet].map(([name, members]) => [name, [...members]]))
          const change = chooseChange(fleet, limits, random)
          kinds.add(change.kind)
          applied(fleet, change, `new.${n}`)
          for (const [service, members] of fleet) {
            if (members.filter(isServing).length < servingMin) return false
            if (members.length < Math.min(3, instances) || members.length > limits.max) return false
            if (service === 's0' && members.length !== before.get(service)?.length) return false
            if (service === 's0' && members.some(({ maintenance }) => maintenance)) return false
          }
          if (change.kind !== 'register' && change.kind !== 'deregister') {
            const was = before.get(change.member.service)?.find(({ name }) => name === change.member.name)
            if (!was || JSON.stringify(was) === JSON.stringify(change.member)) return false
          }
        }
        return kinds.size === (services === 1 ? 2 : 5)
      },
    ),
    { interruptAfterTimeLimit: 5_000, numRuns: 60 },
  )
  t.end()
})

t.test('phases are in proportion', (t) => {
  t.same(planOf(3_600_000), {
    totalMs: 3_600_000,
    blocked: { fromMs: 1_200_000, forMs: 60_000 },
    blind: { fromMs: 1_800_000, forMs: 180_000 },
  })
  t.same(planOf(600_000).blind, { fromMs: 300_000, forMs: 30_000 })
  t.end()
})

t.test('the command line', (t) => {
  t.match(parseSoakOptions([]), { totalMs: 3_600_000, connections: 5_000, requestsPerS: 1_000, changesPerS: 10 })
  t.match(parseSoakOptions(['--for', '15m', '--rate', '400', '--json', 'x']), {
    totalMs: 900_000,
    requestsPerS: 400,
    json: 'x',
    markdown: undefined,
  })
  const write = t.capture(process.stderr, 'write', () => true)
  t.teardown(() => write.restore())
  for (const wrong of ['1m', '15', 'soon', '25h'])
    t.throws(() => parseSoakOptions(['--for', wrong]), { message: /from 2m to 24h/ })
  t.end()
})

const good: SoakResult = {
  requests: 1_000,
  failed: 0,
  failures: [],
  unwell: [],
  slowestMs: 900,
  socketsOpened: 10,
  echoes: 100,
  changes: { register: 300, deregister: 300 },
  shownMs: [100, 200, 300],
  goneMs: [100],
  lookMs: 500,
  blocked: { requests: 100, seconds: 10, dropped: 5 },
  blind: { told: ['token', '403'], endpointsMin: 3, requests: 100, seconds: 30, backMs: 600 },
  lines: { requests: 1_010, read: 1_000, dropped: 10 },
  troubles: [],
  stoodStillMs: 30,
  samples: Array.from({ length: 600 }, (_, at) => ({
    atMs: at * 1_000,
    // It grows until it is warm.
    residentBytes: 200e6 + (at < 100 ? at * 1e6 : 100e6),
    heapUsedBytes: 50e6,
    externalBytes: 10e6,
    descriptors: 5_000,
    timers: 5,
    clientConnections: 4_000,
    upstreamConnections: 200,
    loopLagMs: 7,
    droppedLines: 0,
    tableVersion: at,
    requests: at * 500,
  })),
}

t.test('what must hold, one by one', (t) => {
  t.ok(judgeSoak(good).every(({ met }) => met))
  const cases: readonly (readonly [RegExp, Partial<SoakResult>])[] = [
    [/^failed: 1 of 1,000 /, { failed: 1 }],
    [/^failed: 0 of 0 /, { requests: 0 }],
    [/^standard output/, { blocked: { ...good.blocked, dropped: 0 } }],
    [/^standard output/, { blocked: { ...good.blocked, requests: 0 } }],
    [/1 unaccounted/, { lines: { ...good.lines, read: 999 } }],
    [/-1 unaccounted/, { lines: { ...good.lines, dropped: 11 } }],
    [/at least 0 instances/, { blind: { ...good.blind, endpointsMin: 0 } }],
    [/at least Infinity instances/, { blind: { ...good.blind, endpointsMin: Infinity } }],
    [/told in 1 of 2/, { blind: { ...good.blind, told: ['token', undefined] } }],
    [/^what registered meanwhile/, { blind: { ...good.blind, backMs: Infinity } }],
    [/^troubles: a fault/, { troubles: ['a fault of ours'] }],
  ]
  for (const [text, wrong] of cases) {
    const missed = judgeSoak({ ...good, ...wrong }).filter(({ met }) => !met)
    t.equal(missed.length, 1, String(text))
    t.match(missed[0]?.text, text)
  }
  t.end()
})

t.test('what only a long one can say', (t) => {
  const missed = (result: SoakResult, settledMs = 100_000): readonly string[] =>
    judgeTrends(result, settledMs, 540)
      .filter(({ met }) => !met)
      .map(({ text }) => text.split(' ', 1)[0] ?? '')
  t.same(missed(good), [])
  t.same(missed(good, 0), ['resident'], 'were it not for the time it takes to get warm')
  const grows = (field: 'heapUsedBytes' | 'descriptors'): SoakResult => ({
    ...good,
    samples: good.samples.map((sample) => ({ ...sample, [field]: sample[field] * (1 + sample.atMs / 5e6) })),
  })
  t.same(missed(grows('heapUsedBytes')), ['heap'])
  t.same(missed(grows('descriptors')), ['descriptors'])
  t.same(missed({ ...good, changes: { register: 500 } }), ['changes:'])
  t.same(missed({ ...good, blind: { ...good.blind, backMs: 11_000 } }), ['back'])
  t.end()
})

t.test('the report', (t) => {
  const text = renderSamples(good, planOf(600_000))
  const lines = text.split('\n')
  t.equal(lines.length, 14)
  t.match(
    lines[13],
    /^\| 9\.2–10\.0 +\| +286 \| +48 \| +9\.5 \| +5,000 \| +4,000 \| +200 \| +5 \| +500 \| +7 \| +599 \| +0 \| +\|$/,
  )
  t.equal(lines.filter((line) => line.includes('output not read')).length, 1)
  t.equal(lines.filter((line) => line.includes('rights lost')).length, 1)
  t.match(renderChanges(good), /a registration after 200 ms \(median\), 300 \(p99\), 300 \(most\)/)
  t.equal(
    renderJudgements([
      { text: 'a', met: true },
      { text: 'b', met: false },
    ]),
    '- a: met\n- b: MISSED',
  )
  t.end()
})

t.test(
  'lines of the log: requests are counted, and kept where they did not end well; the others are written',
  async (t) => {
    const line = (status: number, cause: string): string =>
      `{"level":"access","id":"r","target":"/s?cause=x","status":${status},"ms":1.5,"out":3,"cause":"${cause}"}`
    const own = '{"level":"warn","msg":"what"}'
    const text = [line(200, ''), own, line(101, 'closed'), line(200, 'upstream_reset'), line(503, 'no_instance')]
    const all = `${text.join('\n')}\n`
    const stdout = new PassThrough()
    const log = new LogReader()
    const file = join(t.testdir(), 'log')
    log.read(stdout, file)
    stdout.write(all.slice(0, 130))
    stdout.end(all.slice(130))
    await new Promise((resolve) => stdout.once('end', resolve))
    t.equal(log.accessLines, 4)
    t.strictSame(log.unwell, text.slice(3))
    t.equal(readFileSync(file, 'latin1'), `${own}\n`)
  },
)
