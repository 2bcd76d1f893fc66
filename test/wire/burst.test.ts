/** What a burst must leave alone: requests that have one for themselves, connections it is done with, others' pauses. */
import assert from 'node:assert/strict'
import t from 'tap'
import { answerOf, echo, ended, fates, joinAll, serving, text, warm } from '../fixtures/bursts.ts'
import { okAnswer } from '../fixtures/raw-backend.ts'
import { settle } from '../fixtures/raw-client.ts'
import { timeouts, withUpstream } from '../fixtures/upstream-parts.ts'
import { until } from '../fixtures/until.ts'

const silent = serving(() => undefined)
const many = (count: number): readonly string[] => Array(count).fill('/x') as string[]

void t.test('one that is alone in its burst is treated like any other, and speaks against nobody', async (t) => {
  const refusal = 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbad'
  for (const [sends, after, fate] of [
    [answerOf('one', 'Connection: close'), undefined, 'one'],
    [refusal, undefined, 'bad'],
    ['HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n', undefined, 'invalid reused received'],
    ['HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\none', 'end', 'closed reused received'],
    [answerOf('one') + 'more', undefined, 'one'],
  ] as const)
    await withUpstream(
      serving((_target, connection) => {
        void connection.send(sends).then(() => after && connection[after]())
        return undefined
      }),
      async (upstream) => {
        await warm(upstream)
        const all = joinAll(upstream, ['/a'])
        await ended(all)
        t.same(fates(all), [fate])
        t.equal(upstream.pool.pipeliningPause, undefined, fate)
      },
    )
  await withUpstream(silent, async (upstream) => {
    await warm(upstream)
    const before = upstream.clock.pending
    joinAll(upstream, ['/a'])
    await until(() => upstream.backend.requests.length === 2)
    t.equal(upstream.clock.pending, before, 'nor is it watched')
  })
})

void t.test('the last answer of a burst is treated like any other', async (t) => {
  for (const [last, fate, idle] of [
    [answerOf('two', 'Connection: close'), 'two', 0],
    ['HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n', '', 1],
  ] as const)
    await withUpstream(
      serving((target) => (target === '/b' ? answerOf('one') + last : undefined)),
      async (upstream) => {
        await warm(upstream)
        const all = joinAll(upstream, ['/a', '/b'])
        await ended(all)
        t.same(fates(all), ['one', fate])
        t.equal(upstream.pool.pipeliningPause, undefined)
        t.equal(upstream.pool.open, idle)
        // Where a body might yet come the connection rests first.
        upstream.clock.advance(50)
        t.equal(upstream.pool.idle, idle)
      },
    )
})

void t.test('an error is an answer', async (t) => {
  const refusal = 'HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nbad'
  await withUpstream(
    serving((target) => (target === '/b' ? refusal + answerOf('two') : undefined)),
    async (upstream) => {
      await warm(upstream)
      const all = joinAll(upstream, ['/a', '/b'])
      await ended(all)
      t.same(fates(all), ['bad', 'two'])
      t.equal(upstream.pool.pipeliningPause, undefined)
    },
  )
})

void t.test('what cannot be read in the middle of an answer is that one’s own failure', async (t) => {
  const torn = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\nx'
  await withUpstream(
    serving((target) => (target === '/c' ? answerOf('one') + torn : undefined)),
    async (upstream) => {
      await warm(upstream)
      const all = joinAll(upstream, ['/a', '/b', '/c'])
      await ended(all)
      t.same(fates(all), ['one', 'invalid reused received', 'closed reused'])
    },
  )
})

void t.test('an answer that does not come in time is no trouble of its burst', async (t) => {
  await withUpstream(silent, async (upstream) => {
    await warm(upstream)
    const all = joinAll(upstream, ['/a', '/b', '/c'])
    for (const { taker } of all) taker.moves = false
    await until(() => upstream.backend.requests.length === 4)
    await upstream.backend.connections[0]?.send(answerOf('one'))
    await until(() => all[0]?.taker.ended === true)
    upstream.clock.advance(2_050)
    await ended(all)
    t.same(fates(all), ['one', 'first-byte-timeout reused', 'closed reused'])
    t.equal(upstream.pool.pipeliningPause, undefined)
  })
})

void t.test('behind an answer that never ends one waits no longer than for an answer of its own', async (t) => {
  await withUpstream(silent, async (upstream) => {
    await warm(upstream)
    const all = joinAll(upstream, ['/a', '/b', '/c'])
    for (const { taker } of all) taker.moves = false
    all[1]?.seat.begin(all[1].taker, false, false, { ...timeouts, firstByteMs: 4_000 })
    await until(() => upstream.backend.requests.length === 4)
    const [connection] = upstream.backend.connections
    await connection?.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    const pass = async (forMs: number): Promise<void> => {
      for (let ms = 0; ms < forMs; ms += 100) {
        const { length } = all[0]?.taker.body ?? ''
        await connection?.send('1\r\nx\r\n')
        await until(() => (all[0]?.taker.body.length ?? 0) > length)
        upstream.clock.advance(100)
        await settle(2)
      }
    }
    await pass(1_900)
    t.same(fates(all), ['waits', 'waits', 'waits'])
    await pass(300)
    t.same(fates(all), ['waits', 'waits', 'first-byte-timeout reused'])
    await pass(2_000)
    t.same(fates(all), ['waits', 'first-byte-timeout reused', 'first-byte-timeout reused'])
    void connection?.send('0\r\n\r\n')
    await until(() => all[0]?.taker.ended === true)
    await until(() => upstream.pool.open === 0, { what: 'the end of what two others were sent on' })
  })
})

void t.test('a connection that a burst is done with is watched for it no more', async (t) => {
  await withUpstream(echo, async (upstream) => {
    await warm(upstream)
    const all = joinAll(upstream, ['/a', '/b'])
    await ended(all)
    await until(() => upstream.pool.idle === 1)
    upstream.backend.script = silent
    const { exchange } = upstream.send({ text: text('/later') })
    await until(() => upstream.backend.requests.length === 4)
    upstream.clock.advance(30)
    await settle()
    await upstream.backend.connections[0]?.send(okAnswer)
    await until(() => exchange.ended, { what: 'the answer of whoever has it now' })
    t.equal(exchange.body, 'ok')
  })
})

void t.test(
  'whoever leaves behind an answer that is read changes nothing for whoever reads it, nor for the rest',
  async (t) => {
    await withUpstream(silent, async (upstream) => {
      await warm(upstream)
      const all = joinAll(upstream, ['/a', '/b', '/c'])
      const [first, second] = all
      assert(first && second)
      first.taker.on.head = () => first.seat.pause()
      await until(() => upstream.backend.requests.length === 4)
      const [connection] = upstream.backend.connections
      await connection?.send('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\none')
      await until(() => first.taker.body === 'one')
      second.seat.cancel()
      await connection?.send('two')
      await settle()
      t.same(fates(all), ['waits', 'waits', 'waits'])
      t.equal(first.taker.body, 'one', 'still paused')
      first.seat.resume()
      void connection?.send(answerOf('second') + answerOf('third'))
      await until(() => all[2]?.taker.ended === true)
      t.same(fates(all), ['onetwo', 'waits', 'third'])
    })
  },
)

void t.test('a pause before anything was written holds nobody else', async (t) => {
  await withUpstream(echo, async (upstream) => {
    await warm(upstream)
    const all = joinAll(upstream, ['/a', '/b'])
    all[0]?.seat.pause()
    all[0]?.seat.cancel()
    await until(() => all[1]?.taker.ended === true)
    t.same(fates(all), ['waits', '/b'])
  })
})

void t.test('trouble while nothing is pipelined makes the pause no longer', async (t) => {
  const pauses: string[] = []
  await withUpstream(
    silent,
    async (upstream) => {
      await warm(upstream, 2)
      const all = [...joinAll(upstream, ['/a', '/b'], 2), ...joinAll(upstream, ['/a', '/b'], 2)]
      await until(() => upstream.backend.requests.length === 6)
      for (const connection of upstream.backend.connections) void connection.send(answerOf('x', 'Connection: close'))
      await ended(all)
      t.same(fates(all), ['x', 'closed reused', 'x', 'closed reused'])
      t.same(pauses, ['close 60000'])
    },
    {},
    false,
    undefined,
    (reason, forMs) => void pauses.push(`${reason} ${forMs}`),
  )
})

void t.test('one burst that is answered, and those without an answer are counted anew', async (t) => {
  let answers = false
  const script = serving((target, connection) => {
    if (answers) return answerOf(target)
    connection.end()
    return undefined
  })
  await withUpstream(script, async (upstream) => {
    for (answers of [false, false, true, false, false]) {
      if (upstream.pool.idle === 0) await warm(upstream)
      const all = joinAll(upstream, ['/a', '/b'])
      await ended(all)
      t.same(fates(all), answers ? ['/a', '/b'] : ['closed reused', 'closed reused'])
      await until(() => upstream.pool.idle + (upstream.pool.open === 0 ? 1 : 0) === 1)
    }
    t.equal(upstream.pool.pipeliningPause, undefined)
  })
})

void t.test('where answers usually take long one waits for longer, but not for ever', async (t) => {
  for (const [usualMs, patienceMs] of [
    [40, 80],
    [900, 100],
  ] as const)
    await withUpstream(silent, async (upstream) => {
      await warm(upstream)
      for (let count = 2; count < 2 + 40; count++) {
        const all = joinAll(upstream, ['/a'])
        await until(() => upstream.backend.requests.length === count)
        upstream.clock.advance(usualMs)
        void upstream.backend.connections[0]?.send(okAnswer)
        await ended(all)
        await until(() => upstream.pool.idle === 1)
      }
      const all = joinAll(upstream, ['/a', '/b'])
      await until(() => upstream.backend.requests.length === 43)
      for (let waited = 0; waited < patienceMs - 10; waited += 10) {
        upstream.clock.advance(10)
        await settle(2)
      }
      t.same(fates(all), ['waits', 'waits'], `${usualMs}`)
      upstream.clock.advance(20)
      await until(() => all[1]?.taker.fate === 'displaced')
    })
})

void t.test('how many had to move is measured by how many were pipelined lately', async (t) => {
  await withUpstream(echo, async (upstream) => {
    await warm(upstream)
    const answered = async (rounds: number): Promise<void> => {
      upstream.backend.script = echo
      for (let round = 0; round < rounds; round++) {
        if (upstream.pool.idle === 0) await warm(upstream)
        await ended(joinAll(upstream, many(512), 512))
        await until(() => upstream.pool.idle === 1)
      }
    }
    const displaced = async (count: number): Promise<void> => {
      const before = upstream.backend.requests.length
      upstream.backend.script = silent
      const all = joinAll(upstream, many(count + 1), 512)
      await until(() => upstream.backend.requests.length === before + count + 1)
      upstream.clock.advance(20)
      await settle()
      upstream.clock.advance(20)
      await until(() => all[count]?.taker.fate === 'displaced')
      all[0]?.seat.cancel()
    }
    await answered(4)
    await displaced(64)
    t.equal(upstream.pool.pipeliningPause, undefined, '64 of 2113')
    await answered(20)
    await displaced(255)
    t.equal(upstream.pool.pipeliningPause?.reason, 'slow', '255 of more than 12000, but of the last 4096')
  })
})
