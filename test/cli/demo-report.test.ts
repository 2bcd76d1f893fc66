/** What the demonstration says of what its client met, and which failures it forgives. */
import t from 'tap'
import type { Outcome } from '../../src/cli/demo/client.ts'
import { type FailureFacts, Report } from '../../src/cli/demo/report.ts'

const answered: Outcome = {
  method: 'GET',
  path: '/items/1',
  status: 200,
  requestId: 'r-1',
  version: '9.8.0',
  instance: 'shop-4',
  error: '',
  durationMs: 12,
}
const noFacts: FailureFacts = { record: undefined, member: undefined, nowMs: 5_000 }
const failed: Outcome = { ...answered, method: 'POST', path: '/orders/7', status: 502, version: '', instance: '' }
const record = { cause: 'terminated', endpoint: '127.0.0.1:9' }

/** The instance was killed this long before the failure. */
function killed(beforeMs: number): FailureFacts {
  return { record, member: { id: 'shop-4', version: '9.8.0', killedAtMs: 5_000 - beforeMs }, nowMs: 5_000 }
}

t.test('answers are no news', async (t) => {
  const report = new Report()
  t.notOk(report.ok, 'nothing answered proves nothing')
  t.equal(report.take(answered, noFacts), undefined)
  t.ok(report.ok)
})

t.test('an unsafe request that the killed instance held is lost, told, and forgiven', async (t) => {
  for (const beforeMs of [0, 5, 11, 40]) {
    const report = new Report()
    report.take(answered, noFacts)
    const line = report.take(failed, killed(beforeMs))
    t.equal(
      line,
      `lost: POST /orders/7 -> 502 (terminated) at shop-4 (9.8.0), killed ${beforeMs} ms before; it may have been executed, so it is not repeated`,
    )
    t.ok(report.ok)
    const summary = report.summary(20_000, [{ id: 'shop-4', version: '9.8.0' }])
    t.match(summary, /lost {8}1 unsafe.*\n {16}POST \/orders\/7/)
    t.match(summary, /failed {6}0 otherwise\n/)
    t.match(summary, 'killed      1: shop-4 (9.8.0)\n')
    t.match(summary, 'requests    2 (1 GET, 1 POST), 9.8.0 100%')
  }
})

t.test('anything else that fails is not forgiven', async (t) => {
  const cases: [string, Outcome, FailureFacts][] = [
    ['a safe request at a killed instance', { ...failed, method: 'GET' }, killed(5)],
    [
      'an unsafe request at an instance that lives',
      failed,
      { ...killed(0), member: { id: 'a', version: '1', killedAtMs: undefined } },
    ],
    ['one that started well after the kill', failed, killed(500)],
    ['one that failed long after the kill', { ...failed, durationMs: 7_000 }, killed(6_000)],
    ['one of which the proxy knows nothing', failed, noFacts],
    ['no answer at all', { ...failed, status: 0, error: 'ECONNRESET' }, noFacts],
    ['an answer that was cut', { ...answered, error: 'the answer was cut' }, noFacts],
  ]
  for (const [name, outcome, facts] of cases) {
    const report = new Report()
    report.take(answered, noFacts)
    t.match(report.take(outcome, facts), /^FAILED: /, name)
    t.notOk(report.ok, name)
    t.match(report.summary(1_000, []), 'failed      1 otherwise\n')
  }
  const report = new Report()
  report.take(answered, noFacts)
  report.unexpected('shop-1 ended by itself')
  t.notOk(report.ok)
})

t.test('a line shows the shares since the last line', async (t) => {
  const report = new Report()
  const members = [
    { id: 'shop-1', version: '9.7.0' },
    { id: 'shop-4', version: '9.8.0' },
  ]
  for (let i = 0; i < 3; i++) report.take({ ...answered, instance: 'shop-1', version: '9.7.0' }, noFacts)
  report.take({ ...answered, durationMs: 80 }, noFacts)
  t.equal(
    report.line(1_000, 1_000, members),
    '  1.0 s  9.7.0 75% (shop-1 75%)  9.8.0 25% (shop-4 25%)  4/s, p99 80 ms, failed 0',
  )
  report.take(answered, noFacts)
  t.match(
    report.line(2_000, 500, members),
    /9\.7\.0 0% \(shop-1 0%\) {2}9\.8\.0 100% \(shop-4 100%\) {2}2\/s, p99 12 ms/,
  )
})
