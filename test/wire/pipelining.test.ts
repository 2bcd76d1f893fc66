/** Bursts on raw backend sockets: what is written together, who is answered, who is let go and why, and what is paused. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { pauseMinMs } from '../../src/wire/pipelining.ts'
import {
  answerOf,
  chunked,
  echo,
  ended,
  fates,
  join,
  joinAll,
  type Joined,
  serving,
  text,
  warm,
} from '../fixtures/bursts.ts'
import { okAnswer, type BackendScript } from '../fixtures/raw-backend.ts'
import { settle } from '../fixtures/raw-client.ts'
import { withUpstream } from '../fixtures/upstream-parts.ts'
import { until } from '../fixtures/until.ts'

void t.test('requests of one turn leave together, and are answered in order', async (t) => {
  await withUpstream(echo, async (upstream) => {
    await warm(upstream)
    const all = joinAll(upstream, ['/a', '/b', '/c'])
    const [connection] = upstream.backend.connections
    assert(connection)
    const pieces: string[] = []
    connection.socket.on('data', (data: Buffer) => void pieces.push(data.toString('latin1')))
    t.equal(upstream.pool.idle, 0)
    await ended(all)
    t.same(fates(all), ['/a', '/b', '/c'])
    t.same(pieces, [text('/a') + text('/b') + text('/c')])
    await until(() => upstream.pool.idle === 1)
    const next = joinAll(upstream, ['/d'])
    await ended(next)
    t.same(fates(next), ['/d'])
    t.equal(upstream.backend.connections.length, 1)
    t.equal(upstream.pool.pipeliningPause, undefined)
  })
})

void t.test('nobody joins a burst that is written, or full, or ends with HEAD', async (t) => {
  await withUpstream(
    serving(() => undefined),
    async (upstream) => {
      await warm(upstream, 6)
      joinAll(upstream, ['/a', '/b', '/c'], 2)
      await until(() => upstream.backend.requests.length === 6 + 3)
      join(upstream, '/d')
      join(upstream, '/e', 'HEAD')
      join(upstream, '/f')
      await until(() => upstream.backend.requests.length === 6 + 6)
      const together = upstream.backend.connections.map(({ requests }) =>
        requests.slice(1).map(({ startLine }) => startLine.split(' ')[1]),
      )
      t.same(
        together.filter((each) => each.length > 0).sort((a, b) => a.join().localeCompare(b.join())),
        [['/a', '/b'], ['/c'], ['/d', '/e'], ['/f']],
      )
    },
  )
})

void t.test('without an idle connection there is no seat', async (t) => {
  await withUpstream(echo, async (upstream) => {
    t.equal(join(upstream, '/a'), undefined)
    t.equal(upstream.pool.open, 0)
  })
})

interface Trouble {
  readonly name: string
  /** What the backend sends once it has all three. */
  readonly sends: string
  readonly after?: 'end' | 'abort'
  readonly fates: readonly string[]
  readonly reason: string | undefined
  readonly methods?: readonly string[]
}

const troubles: readonly Trouble[] = [
  {
    name: 'an answer that closes',
    sends: answerOf('one', 'Connection: close') + answerOf('two') + answerOf('three'),
    fates: ['one', 'closed reused', 'closed reused'],
    reason: 'close',
  },
  {
    name: 'an answer of HTTP/1.0',
    sends: answerOf('one').replace('HTTP/1.1', 'HTTP/1.0') + answerOf('two'),
    fates: ['one', 'closed reused', 'closed reused'],
    reason: 'close',
  },
  {
    name: 'an answer that the end delimits',
    sends: 'HTTP/1.1 200 OK\r\n\r\none',
    after: 'end',
    fates: ['one', 'closed reused', 'closed reused'],
    reason: 'close',
  },
  {
    name: 'an end after the first answer',
    sends: answerOf('one'),
    after: 'end',
    fates: ['one', 'closed reused', 'closed reused'],
    reason: 'cut',
  },
  {
    name: 'a reset in an answer',
    sends: answerOf('one') + 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ntw',
    after: 'end',
    fates: ['one', 'closed reused received', 'closed reused'],
    reason: 'cut',
  },
  {
    name: 'an end before any answer',
    sends: '',
    after: 'end',
    fates: Array(3).fill('closed reused'),
    reason: undefined,
  },
  {
    name: 'more than was asked',
    sends: answerOf('one') + answerOf('two') + answerOf('three') + answerOf('four'),
    fates: ['one', 'two', 'three'],
    reason: 'surplus',
  },
  {
    name: 'an answer with more bytes than it says',
    sends: answerOf('one') + 'more' + answerOf('two') + answerOf('three'),
    fates: ['one', 'closed reused', 'closed reused'],
    reason: 'invalid',
  },
  {
    name: 'a first answer that cannot be read',
    sends: `HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n${answerOf('two')}`,
    fates: ['invalid reused received', 'closed reused', 'closed reused'],
    reason: 'invalid',
  },
  {
    name: 'a 1xx',
    sends: `HTTP/1.1 103 Early Hints\r\n\r\n${answerOf('one')}${answerOf('two')}${answerOf('three')}`,
    fates: ['one', 'closed reused', 'closed reused'],
    reason: 'informational',
  },
  {
    name: 'a switch of protocols',
    sends: 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n',
    fates: ['invalid reused received', 'closed reused', 'closed reused'],
    reason: 'invalid',
  },
  {
    name: 'a refusal of all as one',
    sends: 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbad',
    fates: Array(3).fill('closed reused'),
    reason: 'refused',
  },
  {
    name: 'an answer that announces a body which it must not have',
    sends: `HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n${answerOf('two')}${answerOf('three')}`,
    fates: ['', 'closed reused', 'closed reused'],
    reason: undefined,
  },
  {
    name: 'a body with the answer to HEAD',
    sends: answerOf('one') + answerOf('two') + answerOf('three'),
    methods: ['GET', 'GET', 'HEAD'],
    fates: ['one', 'two', ''],
    reason: 'surplus',
  },
]

for (const mode of ['whole', 'bytes'] as const)
  for (const { name, sends, after, fates: expected, reason, methods } of troubles)
    void t.test(`${name}, ${mode}`, async (t) => {
      const script: BackendScript = {
        onRequest: ({ startLine }, connection) => {
          if (startLine.includes('/warm')) return void connection.send(okAnswer)
          if (!startLine.includes('/3')) return
          void connection.send(sends, mode).then(() => after && connection[after]())
        },
      }
      await withUpstream(script, async (upstream) => {
        await warm(upstream)
        const all = ['/1', '/2', '/3'].map((target, index) => {
          const joined = join(upstream, target, methods?.[index])
          assert(joined)
          return joined
        })
        await ended(all)
        t.same(fates(all), expected)
        // What comes after the last answer may be read with it or later: either way it is the end of the connection.
        await until(() => upstream.backend.connections[0]?.finished === true || upstream.backend.openConnections === 0)
        t.equal(upstream.pool.open, 0)
        if (mode === 'whole' || reason !== 'surplus') t.equal(upstream.pool.pipeliningPause?.reason, reason)
      })
    })

void t.test('bursts pause for a minute, then for two, and are made again', async (t) => {
  const pauses: string[] = []
  const script = serving((target) => answerOf(target, 'Connection: close'))
  await withUpstream(
    script,
    async (upstream) => {
      const trouble = async (): Promise<void> => {
        await warm(upstream)
        await ended(joinAll(upstream, ['/a', '/b']))
        t.equal(upstream.pool.pipeliningPause?.reason, 'close')
        await warm(upstream)
        t.equal(join(upstream, '/c'), undefined)
      }
      await trouble()
      upstream.clock.advance(pauseMinMs)
      t.equal(upstream.pool.pipeliningPause, undefined)
      await trouble()
      upstream.clock.advance(2 * pauseMinMs - 1)
      upstream.deadlines.now()
      t.equal(join(upstream, '/c'), undefined)
      upstream.clock.advance(1)
      await trouble()
      t.same(pauses, ['close 60000', 'close 120000', 'close 240000'])
    },
    {},
    false,
    undefined,
    (reason, forMs) => void pauses.push(`${reason} ${forMs}`),
  )
})

void t.test('a connection that ends in order after a long life is no trouble', async (t) => {
  let count = 0
  const script = serving((target) => answerOf(target, ...(++count === 65 ? ['Connection: close'] : [])))
  await withUpstream(script, async (upstream) => {
    await warm(upstream)
    for (let each = 0; each < 8; each++) {
      await ended(joinAll(upstream, Array(8).fill('/x') as string[]))
      await until(() => upstream.pool.idle === 1)
    }
    const last = joinAll(upstream, ['/a', '/b'])
    await ended(last)
    t.same(fates(last), ['/a', 'closed reused'])
    t.equal(upstream.pool.pipeliningPause, undefined)
  })
})

void t.test('three bursts in a row without an answer are a trouble', async (t) => {
  await withUpstream(
    serving((_target, connection) => {
      connection.end()
      return undefined
    }),
    async (upstream) => {
      for (const reason of [undefined, undefined, 'cut']) {
        await warm(upstream)
        const all = joinAll(upstream, ['/a', '/b'])
        await ended(all)
        t.same(fates(all), ['closed reused', 'closed reused'])
        t.equal(upstream.pool.pipeliningPause?.reason, reason)
      }
    },
  )
})

void t.test('nobody waits behind a slow answer', async (t) => {
  await withUpstream(
    serving(() => undefined),
    async (upstream) => {
      await warm(upstream)
      const all = joinAll(upstream, ['/a', '/b', '/c'])
      const [connection] = upstream.backend.connections
      await until(() => upstream.backend.requests.length === 4)
      upstream.clock.advance(19)
      await settle()
      t.same(fates(all), ['waits', 'waits', 'waits'])
      upstream.clock.advance(11)
      await until(() => all[2]?.taker.fate === 'displaced')
      t.same(fates(all), ['waits', 'displaced', 'displaced'])
      void connection?.send(answerOf('one') + answerOf('two'))
      await ended(all)
      t.same(fates(all), ['one', 'displaced', 'displaced'])
      await until(() => upstream.pool.open === 0, { what: 'the end of the connection' })
    },
  )
})

void t.test('one that may not move stays, and gets its own answer', async (t) => {
  await withUpstream(
    serving(() => undefined),
    async (upstream) => {
      await warm(upstream)
      const all = joinAll(upstream, ['/a', '/b', '/c', '/d'])
      const stays = all[2]
      assert(stays)
      stays.taker.moves = false
      await until(() => upstream.backend.requests.length === 5)
      upstream.clock.advance(30)
      await until(() => stays.taker.events.includes('stays'))
      void upstream.backend.connections[0]?.send(
        answerOf('one') + answerOf('two') + answerOf('three') + answerOf('four'),
      )
      await ended(all)
      t.same(fates(all), ['one', 'displaced', 'three', 'displaced'])
      await until(() => upstream.pool.open === 0)
    },
  )
})

void t.test('nobody waits behind a large answer, nor behind one of unknown length that is not complete', async (t) => {
  const [begin, end] = chunked('one')
  for (const [first, rest, expected] of [
    [`HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n`, 'x'.repeat(65_537), 'displaced'],
    [`HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n`, 'x'.repeat(65_536), 'two'],
    [begin, end, 'displaced'],
    [begin + end, '', 'two'],
  ] as const)
    await withUpstream(
      serving(() => undefined),
      async (upstream) => {
        await warm(upstream)
        const all = joinAll(upstream, ['/a', '/b'])
        await until(() => upstream.backend.requests.length === 3)
        const [connection] = upstream.backend.connections
        await connection?.send(first)
        await until(() => all[0]?.taker.head !== undefined)
        if (expected === 'displaced') await until(() => all[1]?.taker.fate === 'displaced')
        await connection?.send(rest + answerOf('two'))
        await ended(all)
        t.match(fates(all), [rest.startsWith('x') ? /^x+$/ : 'one', expected])
        if (expected === 'displaced') await until(() => upstream.pool.open === 0)
        else await until(() => upstream.pool.idle === 1)
      },
    )
})

void t.test('where too many had to move nothing is pipelined for a while', async (t) => {
  await withUpstream(
    serving(() => undefined),
    async (upstream) => {
      for (let round = 0; round < 5; round++) {
        upstream.backend.script = echo
        await warm(upstream)
        upstream.backend.script = serving(() => undefined)
        t.equal(upstream.pool.pipeliningPause, undefined)
        const all = joinAll(upstream, Array(8).fill('/x') as string[])
        upstream.clock.advance(0)
        await until(() => upstream.backend.requests.length === (round + 1) * 9)
        upstream.clock.advance(20)
        await settle()
        upstream.clock.advance(20)
        await until(() => all[7]?.taker.fate === 'displaced')
        all[0]?.seat.cancel()
      }
      t.equal(upstream.pool.pipeliningPause?.reason, 'slow')
    },
  )
})

void t.test('whoever leaves has the others get their own answers', async (t) => {
  for (const [leaving, expected] of [
    [[0], ['waits', 'two', 'three']],
    [[1], ['one', 'waits', 'three']],
    [[2], ['one', 'two', 'waits']],
    [
      [0, 2],
      ['waits', 'two', 'waits'],
    ],
  ] as const)
    await withUpstream(
      serving(() => undefined),
      async (upstream) => {
        await warm(upstream)
        const all = joinAll(upstream, ['/a', '/b', '/c'])
        await until(() => upstream.backend.requests.length === 4)
        for (const index of leaving) all[index]?.seat.cancel()
        void upstream.backend.connections[0]?.send(answerOf('one') + answerOf('two') + answerOf('three'))
        await until(() => all.every(({ taker }, index) => taker.ended || expected[index] === 'waits'))
        t.same(fates(all), expected)
        await until(() => upstream.pool.idle + (upstream.pool.open === 0 ? 1 : 0) === 1)
      },
    )
  await withUpstream(
    serving(() => undefined),
    async (upstream) => {
      await warm(upstream)
      const all = joinAll(upstream, ['/a', '/b'])
      await until(() => upstream.backend.requests.length === 3)
      for (const { seat } of all) seat.cancel()
      await until(() => upstream.backend.openConnections === 0, { what: 'the end of what nobody wants' })
      t.same(fates(all), ['waits', 'waits'])
    },
  )
})

void t.test('one that leaves in the middle of its answer has the rest of it dropped', async (t) => {
  await withUpstream(
    serving(() => undefined),
    async (upstream) => {
      await warm(upstream)
      const all = joinAll(upstream, ['/a', '/b'])
      const [first, second] = all
      assert(first && second)
      second.taker.moves = false
      // It was slow, too, so that nothing more was read.
      first.taker.on.head = () => {
        first.seat.pause()
        first.seat.cancel()
      }
      await until(() => upstream.backend.requests.length === 3)
      const [connection] = upstream.backend.connections
      await connection?.send('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\none')
      await until(() => first.taker.head !== undefined)
      void connection?.send(`secret${answerOf('two')}`)
      await until(() => second.taker.ended)
      t.same([first.taker.body, second.taker.body], ['', 'two'])
      await until(() => upstream.pool.idle === 1)
    },
  )
})

void t.test('what is left before it was written is not sent, and costs no connection', async (t) => {
  await withUpstream(echo, async (upstream) => {
    await warm(upstream)
    const all = joinAll(upstream, ['/a', '/b'])
    all[0]?.seat.cancel()
    await until(() => all[1]?.taker.fate === '/b')
    t.same(upstream.backend.requests.map(({ startLine }) => startLine.split(' ')[1]).slice(1), ['/b'])
    await until(() => upstream.pool.idle === 1)
    for (const { seat } of joinAll(upstream, ['/a', '/b'])) seat.cancel()
    await settle()
    t.equal(upstream.pool.idle, 1)
    t.equal(upstream.backend.requests.length, 2)
  })
})

void t.test('a connection that is gone before it was written to costs no attempt', async (t) => {
  await withUpstream(echo, async (upstream) => {
    await warm(upstream)
    const all = joinAll(upstream, ['/a', '/b'])
    upstream.pool.useTls({ verify: false, serverName: undefined, identity: undefined })
    await ended(all)
    t.same(fates(all), ['closed reused unsent', 'closed reused unsent'])
  })
})

void t.test('nobody joins what came while bursts were written, and was written with them', async (t) => {
  await withUpstream(echo, async (upstream) => {
    await warm(upstream)
    const latest = upstream.send({ text: text('/warm'), fresh: true })
    await until(() => upstream.pool.idle === 2)
    const first = join(upstream, '/a')
    assert(first)
    const others: Joined[] = []
    // As where its client has the next request waiting.
    first.taker.on.failure = () => void others.push(...joinAll(upstream, ['/b']))
    latest.connection.destroy()
    await until(() => others.length === 1)
    others.push(...joinAll(upstream, ['/c']))
    await ended(others)
    t.same(fates(others), ['/b', '/c'])
  })
})

void t.test('bytes that nobody asked for are no answer to what is being gathered', async (t) => {
  await withUpstream(echo, async (upstream) => {
    await warm(upstream)
    await upstream.backend.connections[0]?.send(answerOf('poison'))
    await settle()
    const seat = join(upstream, '/a')
    if (seat) await until(() => seat.taker.ended)
    t.not(seat?.taker.fate, 'poison')
  })
})

void t.test('a slow client behind whose answer others wait holds them no longer than a slow answer', async (t) => {
  await withUpstream(
    serving(() => undefined),
    async (upstream) => {
      await warm(upstream)
      const all = joinAll(upstream, ['/a', '/b'])
      const [first] = all
      assert(first)
      first.taker.on.head = () => first.seat.pause()
      await until(() => upstream.backend.requests.length === 3)
      void upstream.backend.connections[0]?.send('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\none')
      await until(() => first.taker.head !== undefined)
      all[1]?.seat.resume()
      upstream.clock.advance(20)
      await settle()
      upstream.clock.advance(20)
      await until(() => all[1]?.taker.fate === 'displaced')
      void upstream.backend.connections[0]?.send('twoxyz')
      await settle()
      t.equal(first.taker.body, 'one', 'paused by itself, and resumed by nobody else')
      first.seat.resume()
      await ended(all)
      t.equal(first.taker.body, 'onetwoxyz')
    },
  )
})

void t.test('a slow client whose answer is complete holds nobody', async (t) => {
  await withUpstream(
    serving(() => undefined),
    async (upstream) => {
      await warm(upstream)
      const all = joinAll(upstream, ['/a', '/b'])
      const [first] = all
      assert(first)
      first.taker.on.head = () => first.seat.pause()
      await until(() => upstream.backend.requests.length === 3)
      const [connection] = upstream.backend.connections
      await connection?.send(chunked('one').join(''))
      await until(() => first.taker.ended)
      void connection?.send(answerOf('two'))
      await ended(all)
      t.same(fates(all), ['one', 'two'])
    },
  )
})

/** One answer, as it is cut into pieces, for each request; each carries its target. */
const shape = fc.record({
  framing: fc.constantFrom('length', 'chunked', 'empty', 'large'),
  leaves: fc.constantFrom('never', 'never', 'never', 'before', 'after', 'head'),
  moves: fc.boolean(),
})

void t.test('no answer goes to whoever did not ask for it, however the stream is cut and whoever leaves', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(shape, { minLength: 2, maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 12 }),
      fc.option(fc.nat(400), { nil: undefined }),
      fc.boolean(),
      async (shapes, cuts, endsAt, waits) => {
        const bodyOf = (index: number): string =>
          shapes[index]?.framing === 'large' ? `<${index}>`.repeat(25_000) : `<${index}>`.repeat(3)
        let served = 0
        await withUpstream(
          serving(() => void served++),
          async (upstream) => {
            await warm(upstream)
            const all = joinAll(
              upstream,
              shapes.map((_, index) => `/${index}`),
            )
            for (const [index, { leaves, moves }] of shapes.entries()) {
              const one = all[index]
              assert(one)
              one.taker.moves = moves
              if (leaves === 'before') one.seat.cancel()
              if (leaves === 'head') one.taker.on.head = () => one.taker.ended || one.seat.cancel()
            }
            const staying = shapes.filter(({ leaves }) => leaves !== 'before').length
            await until(() => served === staying)
            for (const [index, { leaves }] of shapes.entries()) if (leaves === 'after') all[index]?.seat.cancel()
            if (waits) upstream.clock.advance(30)
            const [connection] = upstream.backend.connections
            assert(connection)
            // Those that left before were not sent, and get no answer.
            const kept = shapes.flatMap(({ leaves }, index) => (leaves === 'before' ? [] : [index]))
            const own = streamOf(shapes, kept, bodyOf).slice(0, endsAt)
            let at = 0
            for (let each = 0; at < own.length && !connection.closed; each++) {
              const size = own.length - at > 5_000 ? 5_000 : (cuts[each % cuts.length] ?? 1)
              void connection.send(own.slice(at, at + size))
              at += size
              await settle(2)
            }
            if (endsAt !== undefined) connection.end()
            const expected = all.filter((_, index) => shapes[index]?.leaves === 'never')
            await ended(expected)
            for (const [index, { taker }] of all.entries()) {
              assert.ok(
                taker.head === undefined || taker.head.lines.includes(`X-Id: ${index}\r\n`),
                'another one’s head',
              )
              assert.ok(bodyOf(index).startsWith(taker.body), 'another one’s body')
              if (taker.events.includes('complete') && shapes[index]?.framing !== 'empty')
                assert.equal(taker.body, bodyOf(index))
            }
          },
        )
      },
    ),
    { numRuns: 150 },
  )
  t.pass()
})

function streamOf(
  shapes: readonly { readonly framing: string }[],
  kept: readonly number[],
  bodyOf: (index: number) => string,
): string {
  return kept
    .map((index) => {
      const framing = shapes[index]?.framing
      if (framing === 'empty') return `HTTP/1.1 204 No Content\r\nX-Id: ${index}\r\n\r\n`
      const body = bodyOf(index)
      return framing === 'chunked'
        ? chunked(body).join('').replace('\r\n', `\r\nX-Id: ${index}\r\n`)
        : answerOf(body, `X-Id: ${index}`)
    })
    .join('')
}
