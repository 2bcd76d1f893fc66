/** Pipelining through the running data plane, between raw sockets: off unless asked for, safe requests only, nothing is lost. */
import assert from 'node:assert/strict'
import t from 'tap'
import { defaultPipelining } from '../../src/policy/policy.ts'
import { type BackendConnection, okAnswer, type BackendScript } from '../fixtures/raw-backend.ts'
import { settle } from '../fixtures/raw-client.ts'
import { applyEndpoints, endpointsOf, stateOf } from '../fixtures/plane-parts.ts'
import { createRig, type Rig, type RigOptions } from '../fixtures/rig.ts'
import { head } from '../fixtures/rules.ts'
import { until } from '../fixtures/until.ts'

const targetOf = ({ startLine }: { readonly startLine: string }): string => startLine.split(' ')[1] ?? ''
const answerOf = (body: string, ...fields: readonly string[]): string =>
  ['HTTP/1.1 200 OK', `Content-Length: ${body.length}`, ...fields].join('\r\n') + `\r\n\r\n${body}`

/** Answers `/warm`, and leaves the rest to `then`. */
function serving(then: (target: string, connection: BackendConnection) => void): BackendScript {
  return {
    onRequest: (request, connection) => {
      const target = targetOf(request)
      if (target === '/warm') void connection.send(okAnswer)
      else then(target, connection)
    },
  }
}

const echo = serving((target, connection) => void connection.send(answerOf(target)))

async function withPipelining(options: RigOptions, fn: (rig: Rig) => Promise<void>): Promise<void> {
  const rig = await createRig({ ...options, policy: { pipelining: defaultPipelining, ...options.policy } })
  try {
    await fn(rig)
  } catch (error) {
    await rig.abandon()
    throw error
  }
  await rig.close()
}

/** One idle connection to the first backend, and nothing else. */
async function warm(rig: Rig): Promise<void> {
  const client = await rig.client()
  await client.send(head('GET /warm HTTP/1.1'))
  assert.equal((await client.answer()).status, 200)
}

/** Sends each line as a request of a client of its own, all at the same moment; their answers, as status and body. */
async function atOnce(rig: Rig, lines: readonly string[], ...fields: readonly string[]): Promise<readonly string[]> {
  const clients = await Promise.all(lines.map(() => rig.client()))
  await until(() => rig.load.open >= clients.length)
  await settle()
  const all = clients.map(async (client, index) => {
    const line = lines[index] ?? ''
    await client.send(head(line, ...fields))
    const { status, body } = await client.answer(line.split(' ')[0])
    return `${status} ${body}`
  })
  return Promise.all(all)
}

const gets = (...targets: readonly string[]): readonly string[] => targets.map((target) => `GET ${target} HTTP/1.1`)
const eight = gets(...Array.from({ length: 8 }, (_, index) => `/${index}`))
const own = (lines: readonly string[]): readonly string[] => lines.map((line) => `200 ${line.split(' ')[1]}`)

const attemptsOf = (rig: Rig): ReadonlyMap<string, number> => {
  const sums = new Map<string, number>()
  for (const { attempts } of rig.plane.figures().versions)
    for (const [outcome, count] of attempts) sums.set(outcome, (sums.get(outcome) ?? 0) + count)
  return sums
}
const statsOf = (rig: Rig) => [...rig.plane.figures().services].find(({ service }) => service === 'one')

void t.test('requests that come at the same moment share a connection, and get their own answers', async (t) => {
  await withPipelining({ backend: echo }, async (rig) => {
    await warm(rig)
    t.same(await atOnce(rig, eight), own(eight))
    t.equal(rig.backend.connections.length, 1)
    t.same(
      rig.connection.requests.slice(1).map(targetOf).sort(),
      eight.map((line) => line.split(' ')[1]),
    )
  })
})

void t.test('it is off unless asked for', async (t) => {
  await withPipelining({ backend: echo, policy: { pipelining: undefined } }, async (rig) => {
    await warm(rig)
    t.same(await atOnce(rig, eight), own(eight))
    t.ok(rig.backend.connections.length > 1)
  })
})

void t.test('nothing joins that is not safe, has a body, or wants another protocol', async (t) => {
  const lines = ['POST /1 HTTP/1.1', 'PUT /2 HTTP/1.1', 'DELETE /3 HTTP/1.1', 'PATCH /4 HTTP/1.1', 'PURGE /5 HTTP/1.1']
  for (const [many, ...fields] of [
    [lines, 'Content-Length: 0'],
    [gets('/1', '/2', '/3'), 'Transfer-Encoding: chunked\r\n\r\n0'],
    [
      gets('/1', '/2', '/3'),
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ],
  ] as const) {
    let most = 0
    const waiting: BackendConnection[] = []
    const script = serving((target, connection) => {
      waiting.push(connection)
      most = Math.max(most, waiting.filter((one) => one === connection).length)
      if (waiting.length === many.length) for (const one of waiting) void one.send(answerOf(target))
    })
    await withPipelining({ backend: script }, async (rig) => {
      await warm(rig)
      await atOnce(rig, many, ...fields)
      t.equal(most, 1)
    })
  }
})

void t.test('those behind an answer that closes are sent again, alone, and spend no budget', async (t) => {
  const options: RigOptions = {
    backend: serving((target, connection) => {
      void connection.send(answerOf(target, 'Connection: close'))
      connection.end()
    }),
    policy: { retry: { attempts: 3, budget: 0, bodyBytes: 0 } },
  }
  await withPipelining(options, async (rig) => {
    await warm(rig)
    t.same(await atOnce(rig, eight), own(eight))
    t.match(statsOf(rig), {
      pipeliningPauses: new Map([['close', 1]]),
      retries: new Map([['stale-connection', 7]]),
      retryBudgetExhausted: 0,
    })
    await warm(rig)
    const before = rig.backend.connections.length
    t.same(await atOnce(rig, eight), own(eight))
    t.ok(rig.backend.connections.length >= before + 7, 'each on a connection of its own')
    t.equal(statsOf(rig)?.retries.get('stale-connection'), 7)
  })
})

void t.test('a backend that dies with a burst loses nothing where another one is', async (t) => {
  for (const how of ['end', 'abort'] as const) {
    const options: RigOptions = {
      backend: serving((_target, connection) => {
        connection[how]()
      }),
      siblings: [echo],
    }
    await withPipelining(options, async (rig) => {
      while (rig.backend.connections.length === 0 || (rig.siblings[0]?.connections.length ?? 0) === 0) await warm(rig)
      t.same(await atOnce(rig, eight), own(eight))
    })
  }
})

void t.test('those behind a slow answer go on connections of their own, and may still be retried', async (t) => {
  const slow: BackendConnection[] = []
  const alone: BackendConnection[] = []
  let fails = true
  const options: RigOptions = {
    backend: serving((target, connection) => {
      // The first burst waits for ever; what comes alone meets a connection's end once.
      if (slow.length < 8) return void slow.push(connection)
      alone.push(connection)
      if (fails) {
        fails = false
        connection.end()
      } else void connection.send(answerOf(target))
    }),
    policy: { retry: { attempts: 2, budget: 1, bodyBytes: 0 } },
  }
  await withPipelining(options, async (rig) => {
    const { clock } = rig as unknown as { clock: { advance(ms: number): void } }
    await atOnce(rig, gets(...(Array(8).fill('/warm') as string[])))
    const answers = atOnce(rig, eight)
    await until(() => slow.length === 8)
    t.equal(new Set(slow).size, 1)
    await settle()
    clock.advance(30)
    await until(() => attemptsOf(rig).get('displaced') === 7)
    void slow[0]?.send(answerOf(targetOf(slow[0].requests[1] ?? { startLine: '' })))
    await until(() => !fails)
    t.same(await answers, own(eight))
    t.equal(new Set(alone).size, 8, 'seven, and the one that was retried')
    await until(() => slow[0]?.finished === true || slow[0]?.closed === true)
  })
})

/** Answers the eight of the first burst, whose connection has warmed up, and those that came alone. */
function answerAll(seen: readonly BackendConnection[]): void {
  for (const [index, connection] of seen.entries())
    void connection.send(
      answerOf(targetOf((index < 8 ? connection.requests[index + 1] : connection.requests[0]) ?? { startLine: '' })),
    )
}

void t.test('only as many are sent again at once as the retry budget allows', async (t) => {
  const seen: BackendConnection[] = []
  const options: RigOptions = {
    backend: serving((_target, connection) => void seen.push(connection)),
    policy: { retry: { attempts: 2, budget: 0, bodyBytes: 0 } },
  }
  await withPipelining(options, async (rig) => {
    const { clock } = rig as unknown as { clock: { advance(ms: number): void } }
    await warm(rig)
    const answers = atOnce(rig, eight)
    await until(() => seen.length === 8)
    await settle()
    clock.advance(30)
    await until(() => seen.length === 11)
    clock.advance(30)
    await settle(20)
    t.equal(seen.length, 11, 'three')
    t.equal(statsOf(rig)?.retryBudgetExhausted, 0)
    answerAll(seen)
    t.same(await answers, own(eight))
  })
})

void t.test('a client that goes takes nobody with it', async (t) => {
  const seen: BackendConnection[] = []
  await withPipelining({ backend: serving((_target, connection) => void seen.push(connection)) }, async (rig) => {
    await warm(rig)
    const clients = await Promise.all(eight.map(() => rig.client()))
    await until(() => rig.load.open >= clients.length)
    await settle()
    for (const [index, client] of clients.entries()) void client.send(head(eight[index] ?? ''))
    await until(() => seen.length === 8)
    t.equal(new Set(seen).size, 1)
    const [connection] = seen
    const order = connection?.requests.slice(1).map(targetOf) ?? []
    for (const target of [order[0], order[3], order[7]]) clients[Number(target?.slice(1))]?.abort()
    await until(() => rig.records.length === 4)
    for (const target of order) void connection?.send(answerOf(target))
    for (const index of [1, 2, 4, 5, 6]) {
      const target = order[index] ?? ''
      t.equal((await clients[Number(target.slice(1))]?.answer())?.body, target)
    }
  })
})

void t.test('whoever could get no connection of its own keeps its place behind a slow answer', async (t) => {
  const seen: BackendConnection[] = []
  const options: RigOptions = {
    backend: serving((_target, connection) => void seen.push(connection)),
    limits: { connectionsPerEndpoint: 2 },
  }
  await withPipelining(options, async (rig) => {
    const { clock } = rig as unknown as { clock: { advance(ms: number): void } }
    await warm(rig)
    const answers = atOnce(rig, eight)
    await until(() => seen.length === 8)
    await settle()
    clock.advance(30)
    await until(() => seen.length === 9)
    clock.advance(30)
    await settle()
    t.equal(attemptsOf(rig).get('displaced'), 1, 'the one for which there was room')
    answerAll(seen)
    t.same(await answers, own(eight))
  })
})

void t.test('what has come of an answer goes on at once', async (t) => {
  let backend: BackendConnection | undefined
  await withPipelining({ backend: serving((_target, connection) => void (backend = connection)) }, async (rig) => {
    await warm(rig)
    const client = await rig.client()
    await client.send(head('GET /a HTTP/1.1'))
    await until(() => backend !== undefined)
    t.equal(backend, rig.connection, 'one that was idle')
    for (const [piece, wanted] of [
      ['HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n', '\r\n\r\n'],
      ['one', '\r\n\r\none'],
      ['two', '\r\n\r\nonetwo'],
    ] as const) {
      await backend?.send(piece)
      await until(() => client.received.endsWith(wanted), { what: wanted })
    }
    t.equal((await client.answer()).body, 'onetwo')
  })
})

void t.test('a connection that serves no more has made room before what was on it goes elsewhere', async (t) => {
  const options: RigOptions = {
    backend: serving((target, connection) => {
      if (target === '/0') void connection.send('HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n')
      else if (connection !== rigConnection) void connection.send(answerOf(target))
    }),
    limits: { connectionsPerEndpoint: 1 },
  }
  let rigConnection: BackendConnection | undefined
  await withPipelining(options, async (rig) => {
    await warm(rig)
    rigConnection = rig.connection
    t.same(await atOnce(rig, gets('/0', '/1')), ['304 ', '200 /1'])
  })
})

const nothingNew: readonly (readonly [string, (rig: Rig) => void])[] = [
  [
    'an operator drains it',
    ({ plane }) => {
      const { key, life } = stateOf(plane, 'one-0')
      plane.operate(key, life, { kind: 'drain', forMs: undefined, reason: '', by: '' })
    },
  ],
  [
    'it is in maintenance',
    ({ plane }) =>
      applyEndpoints(
        plane,
        endpointsOf(plane).map((endpoint) => ({ ...endpoint, status: 'maintenance', weight: 0 })),
      ),
  ],
]
for (const [why, becomes] of nothingNew)
  void t.test(`who gets nothing new gets nothing again of what waits there behind a slow answer: ${why}`, async (t) => {
    const seen: BackendConnection[] = []
    const backend = serving((target, connection) => {
      seen.push(connection)
      if (connection !== seen[0]) void connection.send(answerOf(target))
    })
    await withPipelining({ backend }, async (rig) => {
      const { clock } = rig as unknown as { clock: { advance(ms: number): void } }
      await warm(rig)
      const answers = atOnce(rig, eight)
      await until(() => seen.length === 8)
      await settle()
      becomes(rig)
      clock.advance(30)
      await settle()
      clock.advance(30)
      await settle()
      t.equal(attemptsOf(rig).get('displaced'), undefined)
      for (const target of rig.connection.requests.slice(1).map(targetOf)) void rig.connection.send(answerOf(target))
      t.same(await answers, own(eight))
      t.equal(seen.length, 8)
    })
  })

void t.test(
  'what was displaced, and breaks where it is alone, takes one place in the retry budget, and gives it back',
  async (t) => {
    const seen: BackendConnection[] = []
    const options: RigOptions = {
      backend: serving((_target, connection) => {
        seen.push(connection)
        if (connection !== seen[0]) connection.abort()
      }),
      siblings: [echo],
      policy: { retry: { attempts: 2, budget: 1, bodyBytes: 0 } },
    }
    await withPipelining(options, async (rig) => {
      const { clock } = rig as unknown as { clock: { advance(ms: number): void } }
      const both = endpointsOf(rig.plane)
      applyEndpoints(rig.plane, both.slice(0, 1))
      await warm(rig)
      const lines = gets('/0', '/1')
      const answers = atOnce(rig, lines)
      await until(() => seen.length === 2)
      await settle()
      applyEndpoints(rig.plane, both)
      clock.advance(30)
      await until(() => rig.siblings[0]?.requests.length === 1)
      await rig.connection.send(answerOf(targetOf(rig.connection.requests[1] ?? { startLine: '' })))
      t.same(await answers, own(lines))
      t.match(statsOf(rig), { retries: new Map([['reset', 1]]), retryBudgetExhausted: 0, retrying: 0, inFlight: 0 })
    })
  },
)
