import t from 'tap'
import { roundOrder } from '../../bench/lib/measure.ts'
import type { CaseResult, ContestantResult, Sample } from '../../bench/lib/measure.ts'
import { chooseCores } from '../../bench/lib/lab.ts'
import { exchanges } from '../../bench/lib/payload.ts'
import { cpuRatio, doubts, goals, markdownTable, renderCase, renderGoal } from '../../bench/lib/report.ts'

function result(name: string, micros: readonly number[], more: Partial<Sample> = {}): ContestantResult {
  const samples = micros.map((cpuMicrosPerRequest): Sample => ({
    requests: 40_000,
    seconds: 1,
    p50Ms: 1,
    p99Ms: 2,
    errors: 0,
    requestsPerSecond: 40_000,
    cpuMicrosPerRequest,
    coreBusy: 0.99,
    proxyBusy: 0.98,
    ...more,
  }))
  return { name, samples, residentBytes: 50 * 1_048_576, peakBytes: 60 * 1_048_576 }
}

const small = (...results: readonly ContestantResult[]): CaseResult => ({
  exchange: exchanges.small,
  connections: 64,
  results,
})

t.test('ratios pair the rounds, so drift cancels', (t) => {
  const drifting = small(result('fairlead', [11, 22, 44]), result('haproxy', [10, 20, 40]))
  t.match(cpuRatio(drifting, 'fairlead', 'haproxy'), { told: true, spread: { median: 1.1, min: 1.1, max: 1.1 } })
  t.equal(cpuRatio(drifting, 'fairlead', 'relay'), undefined)
  t.end()
})

t.test('a case: ratios only to those present, throughput in brackets where the core was not the bottleneck', (t) => {
  const idle = result('nginx', [15, 15, 15], { coreBusy: 0.9, proxyBusy: 0.9 })
  const text = renderCase(small(result('haproxy', [16, 17, 18]), idle))
  t.match(text, /### 64-byte answers, 64 connections/)
  t.match(text, /÷ haproxy/)
  t.notMatch(text, /÷ relay/)
  t.match(text, /\| haproxy +\| +17\.0 \(16\.0–18\.0\) \| +1\.00 \| +40,000 \| +99 % \|/)
  t.match(text, /\| nginx +\|.*\[40,000\] \| +90 % \|/)
  t.end()
})

t.test('figures that cannot be trusted say so', (t) => {
  t.same(doubts(small(result('haproxy', [16]))), [])
  t.match(doubts(small(result('haproxy', [16], { proxyBusy: 0.6 }))), [/39 % of its core went to others/])
  t.match(doubts(small(result('haproxy', [16, 16], { errors: 3 }))), [/6 errors/])
  t.end()
})

t.test('a ratio that means nothing is not printed, and the figures beside it are', (t) => {
  const noisy = renderCase(small(result('fairlead', [10, 20, 40]), result('haproxy', [10, 10, 10])))
  t.match(noisy, /\| fairlead +\| +20\.0 \(10\.0–40\.0\) \| +too noisy \| +40,000 \|/)
  const short = renderCase(small(result('fairlead', [10, 10]), result('haproxy', [10, 10])))
  t.match(short, /\| fairlead +\| +10\.0 \| +too few rounds \|/)
  t.end()
})

t.test('the goals are met, missed, or not measured', (t) => {
  const steady = (name: string, micros: number): ContestantResult => result(name, [micros, micros, micros])
  const met = (...results: readonly ContestantResult[]): unknown => goals([small(...results)]).map((goal) => goal.met)
  t.same(met(steady('fairlead', 20), steady('haproxy', 16), steady('relay', 15)), [true, false])
  t.same(met(steady('fairlead', 20), steady('relay', 20)), [undefined, true])
  t.same(met(steady('fairlead', 13), steady('haproxy', 10)), [true, undefined], '1.3 is still met')
  t.same(met(result('fairlead', [5, 10, 20]), steady('haproxy', 10)), [undefined, undefined], 'too noisy to be met')
  const [noisy] = goals([small(result('fairlead', [5, 10, 20]), steady('haproxy', 10))]).map(renderGoal)
  t.match(noisy, /^- CPU per small request, 64 connections, beside haproxy: too noisy \(goal: at most 1\.30\)$/)
  t.same(goals([{ ...small(), exchange: exchanges.large }]), [])
  t.end()
})

t.test('tables are aligned', (t) => {
  t.equal(
    markdownTable(
      ['name', 'n'],
      [
        ['a', '1'],
        ['longer', '22222'],
      ],
    ),
    ['| name   |     n |', '| ------ | ----: |', '| a      |     1 |', '| longer | 22222 |'].join('\n'),
  )
  t.end()
})

t.test('rounds interleave, and alternate for the guard', (t) => {
  t.same(
    [0, 1, 2].map((round) => roundOrder(3, round, false)),
    [
      [0, 1, 2],
      [0, 1, 2],
      [0, 1, 2],
    ],
  )
  t.same(
    [0, 1, 2].map((round) => roundOrder(2, round, true)),
    [
      [0, 1],
      [1, 0],
      [0, 1],
    ],
  )
  t.end()
})

t.test('cores: the first two allowed and one more for load, or none at all', (t) => {
  const none = { proxy: undefined, rest: undefined, spare: undefined }
  t.same(chooseCores([2, 5, 6]), { proxy: 2, rest: 5, spare: 6 })
  t.same(chooseCores([2, 5]), { proxy: 2, rest: 5, spare: undefined })
  t.same(chooseCores([0]), none)
  t.same(chooseCores(undefined), none)
  t.end()
})
