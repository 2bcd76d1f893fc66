import fc from 'fast-check'
import t from 'tap'
import { backoffMs } from '../../src/catalog/consul/backoff.ts'
import type { Answer } from '../../src/catalog/consul/consul-client.ts'
import { RateBucket } from '../../src/catalog/consul/rate.ts'
import { type Doubt, watch } from '../../src/catalog/consul/watch.ts'
import { seededRandom } from '../../src/core/random.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'

/** A loop whose answers the test gives one by one. */
function rig(doubts: (Doubt | undefined)[] = []) {
  const clock = new FakeClock()
  const ended = new AbortController()
  const asked: (bigint | undefined)[] = []
  const failures: { retryMs: number; doubt: boolean; error: unknown }[] = []
  const took: string[] = []
  let settle: { resolve: (answer: Answer<string>) => void; reject: (error: Error) => void } | undefined
  const ready = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  const done = watch<string>({
    clock,
    random: () => 1,
    rate: { refillMs: 100, refillMaxMs: 1_000 },
    signal: ended.signal,
    read: async (index) => {
      asked.push(index)
      return await new Promise<Answer<string>>((resolve, reject) => void (settle = { resolve, reject }))
    },
    onAnswer: (answer) => {
      took.push(answer.data)
      if (answer.data === 'throw') throw new Error('listener')
      return doubts.shift()
    },
    onFailure: (failure) => void failures.push(failure),
  })
  return {
    clock,
    ended,
    asked,
    failures,
    took,
    done,
    async answer(index: bigint | undefined, data = 'x') {
      await ready()
      settle?.resolve({ data, index, leader: true, filtered: false })
      await ready()
    },
    async fail(message = 'no') {
      await ready()
      settle?.reject(new Error(message))
      await ready()
    },
    async advance(ms: number) {
      clock.advance(ms)
      await ready()
    },
  }
}

void t.test('it asks from the index it was given', async (t) => {
  const loop = rig()
  await loop.answer(7n)
  await loop.advance(1_000)
  await loop.answer(9n)
  await loop.advance(1_000)
  await loop.answer(9n)
  t.strictSame(loop.asked, [undefined, 7n, 9n, 9n])
  t.equal(loop.took.length, 3, 'a return without news is handed over, too: comparing is not its business')
})

void t.test('an index that goes back begins anew: what came with it may be older than what we know', async (t) => {
  const loop = rig()
  await loop.answer(700n, 'old')
  await loop.advance(1_000)
  await loop.answer(3n, 'new life')
  await loop.advance(1_000)
  t.strictSame(loop.asked, [undefined, 700n, undefined])
  await loop.answer(3n, 'surely')
  t.strictSame(loop.took, ['old', 'surely'])
  t.strictSame(loop.failures, [])
})

void t.test('large indexes are compared exactly', async (t) => {
  const loop = rig()
  await loop.answer(9_007_199_254_740_993n)
  await loop.advance(1_000)
  await loop.answer(9_007_199_254_740_992n)
  await loop.advance(1_000)
  t.strictSame(loop.asked, [undefined, 9_007_199_254_740_993n, undefined])
})

for (const index of [0n, undefined])
  void t.test(`an answer with index ${String(index)} is an error`, async (t) => {
    const loop = rig()
    await loop.answer(7n)
    await loop.advance(1_000)
    await loop.answer(index)
    t.match(loop.failures, [{ doubt: false, error: /X-Consul-Index/ }])
    t.equal(loop.took.length, 1, 'it is not handed over')
    await loop.advance(100)
    t.strictSame(loop.asked, [undefined, 7n, undefined], 'and everything is read anew')
  })

void t.test('after an error it waits ever longer and reads everything anew', async (t) => {
  const loop = rig()
  await loop.answer(7n)
  await loop.advance(1_000)
  for (const expected of [100, 200, 400, 800, 1_600]) {
    await loop.fail()
    t.equal(loop.failures.at(-1)?.retryMs, expected)
    await loop.advance(expected - 1)
    const asked = loop.asked.length
    await loop.advance(1)
    await loop.advance(1_000)
    t.equal(loop.asked.length, asked + 1)
    t.equal(loop.asked.at(-1), undefined)
  }
  await loop.answer(8n)
  await loop.advance(10_000)
  await loop.fail()
  t.equal(loop.failures.at(-1)?.retryMs, 100, 'a success forgives')
})

void t.test("a consumer's failure is the loop's: nothing is lost", async (t) => {
  const loop = rig()
  await loop.answer(7n, 'throw')
  t.match(loop.failures, [{ error: /listener/ }])
  await loop.advance(100)
  t.strictSame(loop.asked, [undefined, undefined], 'it is read again')
})

void t.test('an answer that is doubted is asked for again, whole', async (t) => {
  const loop = rig([undefined, { reason: 'hm', retryMs: 500 }, undefined])
  await loop.answer(7n)
  await loop.advance(1_000)
  await loop.answer(8n)
  t.match(loop.failures, [{ doubt: true, retryMs: 500, error: /hm/ }])
  await loop.advance(500)
  t.strictSame(loop.asked, [undefined, 7n, undefined])
})

void t.test('answers that come at once are paced, and ever slower', async (t) => {
  const loop = rig()
  for (let n = 1n; n < 3n; n++) await loop.answer(n)
  t.equal(loop.asked.length, 2, 'a burst of two')
  const gaps: number[] = []
  let index = 3n
  for (let n = 0; n < 60; n++) {
    const delay = loop.clock.nextDelay() ?? 0
    gaps.push(delay)
    await loop.advance(delay)
    await loop.answer(index++)
  }
  t.ok(gaps.every((gap) => gap >= 99 && gap <= 1_001))
  t.ok((gaps.at(-1) ?? 0) > 900, 'a storm becomes a slow poll')
  await loop.advance(loop.clock.nextDelay() ?? 0)
  await loop.advance(60_000)
  const asked = loop.asked.length
  await loop.answer(index++)
  t.equal(loop.asked.length, asked + 1, 'after quiet the next change is asked for at once')
  for (let n = 0; n < 2; n++) await loop.answer(index++)
  t.equal(loop.clock.nextDelay(), 100, 'and the pace is the first one again')
})

void t.test('it ends when told, waiting or asking', async (t) => {
  const asking = rig()
  await asking.answer(7n)
  asking.ended.abort()
  await asking.answer(8n)
  await asking.done
  t.strictSame(asking.took, ['x'], 'nothing is handed over afterwards')
  const waiting = rig()
  await waiting.fail()
  waiting.ended.abort()
  await waiting.done
  t.equal(waiting.clock.pending, 0, 'no timer is left')
})

void t.test('backoff stays within its bounds', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10_000 }), fc.integer(), (failures, seed) => {
      const ms = backoffMs(failures, seededRandom(seed))
      const ceiling = Math.min(30_000, 100 * 2 ** Math.min(failures - 1, 20))
      return ms >= ceiling / 2 && ms <= ceiling
    }),
  )
  t.end()
})

void t.test('however it is asked, a bucket gives no more than its pace', (t) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 200 }), (pauses) => {
      const bucket = new RateBucket({ refillMs: 100, refillMaxMs: 1_000 }, 0)
      let now = 0
      let given = 0
      for (const pause of pauses) {
        now += pause
        now += bucket.take(now)
        given += 1
      }
      return given <= 2 + now / 100 + 1e-6
    }),
    { numRuns: 300 },
  )
  t.end()
})
