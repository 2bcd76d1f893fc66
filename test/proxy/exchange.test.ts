import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import t from 'tap'
import type { RequestRecord } from '../../src/proxy/options.ts'
import {
  applyEndpoints,
  endpointsOf,
  get,
  post,
  stateOf,
  statesOf,
  statsOf,
  swapped,
  underWay,
  versionOf,
  withRig,
} from '../fixtures/plane-parts.ts'
import { noHeaderChanges, type ShapingPolicy } from '../../src/policy/traffic.ts'
import { noService } from '../../src/table/table.ts'
import { routeOf } from '../fixtures/data-plane.ts'
import { digest, noise } from '../fixtures/noise.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { type BackendScript, okAnswer } from '../fixtures/raw-backend.ts'
import { settle } from '../fixtures/raw-client.ts'
import type { Rig, RigOptions } from '../fixtures/rig.ts'
import { until } from '../fixtures/until.ts'
import { value, values } from '../fixtures/wire-message.ts'

const silent: BackendScript = { onRequest: () => undefined }

/** Makes the first attempt of a request go to the backend, and any other to its sibling. */
async function firstAt(rig: Rig, send: () => Promise<void>, arrived: () => boolean): Promise<void> {
  const [first, second] = endpointsOf(rig.plane)
  if (!first || !second) throw new Error('two endpoints')
  applyEndpoints(rig.plane, [first])
  await send()
  await until(arrived)
  applyEndpoints(rig.plane, [first, second])
}

t.test('the record of a request', async (t) => {
  const clock = new FakeClock()
  await withRig({ backend: silent, clock }, async (rig) => {
    const client = await rig.client()
    const text = `${post('Content-Length: 5', 'X-Request-Id: my-id').replace('POST /', 'POST /a?b=c')}hello`
    await client.send(text)
    await until(() => rig.backend.requests.length === 1)
    clock.advance(30)
    await rig.connection.send('HTTP/1.1 201 Made\r\nContent-Length: 2\r\n\r\nok')
    const answer = await client.answer()
    const wanted: RequestRecord = {
      requestId: 'my-id',
      clientAddress: '127.0.0.1',
      method: 'POST',
      host: 'a.test',
      target: '/a?b=c',
      status: 201,
      origin: 'upstream',
      service: 'one',
      version: '',
      endpoint: `127.0.0.1:${rig.backend.port}`,
      handle: 'one-0',
      attempts: 1,
      durationMs: 30,
      bytesReceived: text.length,
      bytesSent: answer.end,
      cause: '',
    }
    t.strictSame(rig.records, [wanted])
    t.equal(value(rig.backend.requests[0]?.fields ?? [], 'x-request-id'), 'my-id')
    await client.send(get())
    await until(() => rig.backend.requests.length === 2)
    await rig.connection.send(okAnswer)
    const next = await client.answer()
    t.match(rig.records[1], { bytesReceived: get().length, bytesSent: next.end - answer.end, durationMs: 0 })
    const ids = rig.backend.requests.map((request) => value(request.fields, 'x-request-id'))
    t.equal(rig.records[1]?.requestId, ids[1])
    const counts = versionOf(rig.plane)
    t.equal(counts.durationSumMs, 30)
    t.equal(counts.durationCounts[0], 1, 'up to 1 ms')
    t.equal(counts.durationCounts[5], 1, 'up to 50 ms')
  })
})

t.test('ids of its own differ, and an odd one is replaced', async (t) => {
  await withRig({}, async (rig) => {
    const client = await rig.client()
    for (const line of ['X-A: b', 'X-A: b', 'X-Request-Id: a b', `X-Request-Id: ${'x'.repeat(129)}`]) {
      await client.send(get('/', line))
      await client.answer()
    }
    const ids = rig.records.map((record) => record.requestId)
    t.equal(new Set(ids).size, 4)
    for (const id of ids) t.match(id, /^[a-z0-9]{10}-[a-z0-9]+$/)
  })
})

const causes: readonly (readonly [name: string, text: string, status: number, cause: string, service: string, options?: RigOptions])[] = [
  ['no route', get().replace('a.test', 'x'), 404, 'no-route', ''],
  ['no endpoint', get('/void'), 503, 'no-endpoint', 'empty'],
  ['a bad path', get('/%2e%2e/x'), 400, 'path', ''],
  ['TRACE', get().replace('GET', 'TRACE'), 405, 'trace', ''],
  ['a loop', get('/', 'Via: 1.1 fairlead, 1.1 fairlead, 1.1 fairlead'), 508, 'loop', ''],
  ['the last hop', get('/', 'Max-Forwards: 0').replace('GET', 'OPTIONS'), 200, 'max-forwards', ''],
  ['a bad head', get('/', 'A : b'), 400, 'header-section', ''],
  ['a bad key', get('/', 'Connection: upgrade', 'Upgrade: websocket'), 400, 'websocket-key', 'one'],
  ['a bad body', `${post('Transfer-Encoding: chunked')}x\r\n`, 400, 'chunk-size', 'one'],
  ['a large body', post('Content-Length: 11'), 413, 'body-bytes', '', { limits: { bodyBytes: 10 } }],
  ['a reset', post('Content-Length: 0'), 502, 'reset', 'one', { backend: { onRequest: (_request, connection) => connection.abort() } }],
  ['an end', post('Content-Length: 0'), 502, 'closed', 'one', { backend: { onRequest: (_request, connection) => connection.end() } }],
  ['junk', get(), 502, 'invalid', 'one', { backend: { onRequest: (_request, connection) => void connection.send('junk') } }],
] // prettier-ignore

t.test('an answer has one date: its own, or ours', async (t) => {
  const own = 'Tue, 15 Nov 1994 08:12:31 GMT'
  for (const field of [`Date: ${own}\r\n`, ''])
    await withRig(
      {
        backend: {
          onRequest: (_request, connection) => void connection.send(okAnswer.replace('\r\n\r\n', `\r\n${field}\r\n`)),
        },
      },
      async (rig) => {
        const client = await rig.client()
        await client.send(get())
        const dates = values((await client.answer()).fields, 'date')
        t.equal(dates.length, 1)
        t.equal(dates[0] === own, field !== '')
      },
    )
})

t.test('why the proxy answers itself', async (t) => {
  for (const [name, text, status, cause, service, options] of causes)
    await withRig(options ?? {}, async (rig) => {
      const client = await rig.client()
      await client.send(text)
      t.equal((await client.answer()).status, status, name)
      t.match(rig.records, [{ status, cause, service, origin: 'proxy' }], name)
      t.equal(rig.records.length, 1)
    })
})

t.test('a peer that is trusted is told at which instance it failed, and nobody else is', async (t) => {
  const backend: BackendScript = { onRequest: (_request, connection) => connection.abort() }
  for (const [trust, wanted] of [
    [['127.0.0.0/8'], 'fairlead; error=connection_terminated; details="one-0"'],
    [[], 'fairlead; error=connection_terminated'],
  ] as const)
    await withRig({ backend, trust }, async (rig) => {
      const client = await rig.client()
      await client.send(post('Content-Length: 0'))
      t.equal(value((await client.answer()).fields, 'proxy-status'), wanted)
      await client.send(get('/nowhere').replace('a.test', 'x'))
      t.equal(value((await client.answer()).fields, 'proxy-status'), 'fairlead; error=destination_not_found')
    })
})

t.test('a redirect to the host that was asked for is 400 to a client that names none', async (t) => {
  await withRig({}, async (rig) => {
    const { table } = rig.plane.current()
    const route = routeOf('rig:redirect', '', '/', noService)
    const redirect = { status: 302, to: 'https://$host$path' } as const
    rig.plane.apply({ ...table, version: 2, routes: [{ ...route, policy: { ...route.policy, redirect } }] })
    const named = await rig.client()
    await named.send(get('/x'))
    t.equal(value((await named.answer()).fields, 'location'), 'https://a.test/x')
    const unnamed = await rig.client()
    await unnamed.send('GET /x HTTP/1.0\r\n\r\n')
    const answer = await unnamed.answer()
    t.equal(answer.status, 400)
    t.equal(value(answer.fields, 'location'), undefined)
    await unnamed.closedByPeer()
    t.match(rig.records[1], { status: 400, cause: 'host-missing', origin: 'proxy', service: '' })
  })
})

t.test('where an instance is asked by its own address, the one that is asked next is asked by its own', async (t) => {
  await withRig({ backend: silent, siblings: [{}] }, async (rig) => {
    const { table } = rig.plane.current()
    const none = noHeaderChanges
    const shaping: ShapingPolicy = { strip: undefined, prepend: undefined, host: { kind: 'instance' }, request: none, response: none } // prettier-ignore
    const routes = table.routes.map((each) => ({ ...each, policy: { ...each.policy, shaping } }))
    rig.plane.apply({ ...table, version: 2, routes })
    const client = await rig.client()
    await firstAt(
      rig,
      () => client.send(get()),
      () => rig.backend.requests.length === 1,
    )
    rig.connection.abort()
    t.equal((await client.answer()).status, 200)
    for (const backend of [rig.backend, ...rig.siblings])
      t.equal(value(backend.requests[0]?.fields ?? [], 'host'), `127.0.0.1:${backend.port}`)
  })
})

t.test('timeouts of an upstream are answered, once', async (t) => {
  const clock = new FakeClock()
  await withRig({ backend: silent, clock }, async (rig) => {
    const client = await rig.client()
    await client.send(get())
    await until(() => rig.backend.requests.length === 1)
    clock.advance(29_900)
    t.equal(rig.records.length, 0)
    clock.advance(200)
    t.equal((await client.answer()).status, 504)
    t.match(rig.records, [{ status: 504, cause: 'first-byte-timeout', attempts: 1 }])
    await until(() => rig.backend.openConnections === 0)
    await client.send(get())
    await until(() => rig.backend.requests.length === 2)
    await rig.backend.connections[1]?.send('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab')
    await client.wait('some of it', () => client.received.endsWith('ab'))
    clock.advance(60_100)
    await client.wait('the cut', () => !client.open)
    t.match(rig.records[1], { status: 200, origin: 'upstream', cause: 'idle-timeout' })
  })
})

t.test('a connection that went stale is replaced, by one at the same place where there is no other', async (t) => {
  let stale = true
  const script: BackendScript = {
    onRequest: (request, connection) => {
      if (connection.requests.length === 1 || !stale) void connection.send(okAnswer)
      else connection.abort()
      if (request.startLine.includes('/last')) stale = false
    },
  }
  await withRig({ backend: script }, async (rig) => {
    const client = await rig.client()
    for (let each = 0; each < 3; each++) {
      await client.send(get())
      t.equal((await client.answer()).status, 200)
    }
    t.equal(statsOf(rig.plane).retries.get('stale-connection'), 2)
    t.equal(statsOf(rig.plane).retryBudgetExhausted, 0)
    await client.send(post('Content-Length: 0'))
    t.equal((await client.answer()).status, 502, 'but a POST that was sent is not sent again')
    t.equal(rig.requests.filter((request) => request.startLine.startsWith('POST')).length, 1)
  })
})

t.test(
  'what has not left is sent elsewhere, whatever the method, and nothing that came before it is its answer',
  async (t) => {
    // All three of one turn: the request is read, and with it what the connection that it is given says meanwhile.
    const surprises: readonly [string, (rig: Rig) => void][] = [
      ['FIN', (rig) => rig.connection.end()],
      ['RST', (rig) => rig.connection.abort()],
      ['an answer', (rig) => void rig.connection.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil')],
    ]
    for (const [name, surprise] of surprises) {
      const script: BackendScript = { onRequest: (_request, connection) => void connection.send(okAnswer) }
      await withRig({ backend: script }, async (rig) => {
        const client = await rig.client()
        await client.send(get())
        await client.answer()
        const sent = client.send(`${post('Content-Length: 5')}hello`)
        surprise(rig)
        await sent
        const answer = await client.answer()
        t.match([answer.status, answer.body], [200, 'ok'], name)
        t.equal(rig.backend.requests.length, 2, `${name}: the first backend connection had it never, the second once`)
        t.strictSame(
          rig.backend.connections.map((each) => each.requests.length),
          [1, 1],
          name,
        )
        t.strictSame(
          rig.records.map((record) => record.attempts),
          [1, 2],
          name,
        )
      })
    }
  },
)

t.test('an answer that turns out bad in the read that brought it is cut behind what was good of it', async (t) => {
  const answer = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz'
  await withRig({ backend: { onRequest: (_request, connection) => void connection.send(answer) } }, async (rig) => {
    const client = await rig.client()
    await client.send(get())
    await until(() => client.finished || client.reset)
    t.match(client.received, /^HTTP\/1\.1 200 [^]*\r\n\r\n3\r\nabc\r\n$/)
  })
})

t.test('what has not left is no execution: one that breaks after it is repeated as if it were the first', async (t) => {
  const answers: BackendScript = { onRequest: (_request, connection) => void connection.send(okAnswer) }
  let broken = 0
  const breaksOnce: BackendScript = {
    onRequest: (_request, connection) => void (broken++ === 0 ? connection.end() : connection.send(okAnswer)),
  }
  const rigOptions: RigOptions = { backend: answers, siblings: [breaksOnce, breaksOnce], random: () => 0 }
  await withRig(rigOptions, async (rig) => {
    const client = await rig.client()
    await client.send(get())
    await client.answer()
    const sent = client.send(get())
    rig.connection.end()
    await sent
    t.equal((await client.answer()).status, 200)
    t.equal(broken, 2, 'one broke, the other answered')
    t.equal(rig.records[1]?.attempts, 3)
  })
})

t.test('a body is sent again, whole, if it was kept', async (t) => {
  for (const [size, limit, wanted] of [
    [1_000, 1_000, 200],
    [1_001, 1_000, 502],
    [0, 0, 200],
  ] as const)
    await withRig(
      { backend: silent, siblings: [{}], policy: { retry: { attempts: 3, budget: 1, bodyBytes: limit } } },
      async (rig) => {
        const client = await rig.client()
        const text = `${post(`Content-Length: ${size}`).replace('POST', 'GET')}${'x'.repeat(size)}`
        await firstAt(
          rig,
          () => client.send(text, size > 0 ? 'whole' : 'bytes'),
          () => rig.backend.requests.length === 1,
        )
        rig.connection.abort()
        t.equal((await client.answer()).status, wanted, `${size} of ${limit}`)
        if (wanted === 200) t.equal(rig.siblings[0]?.requests[0]?.body.length, size)
        else t.equal(rig.siblings[0]?.connections.length, 0)
        t.equal(underWay(rig.plane), 0)
      },
    )
})

t.test('a body in chunks that broke off midway is begun again elsewhere and completed', async (t) => {
  let heads = 0
  await withRig({ backend: { onHead: () => heads++, onRequest: () => undefined }, siblings: [{}] }, async (rig) => {
    const client = await rig.client()
    const head = post('Transfer-Encoding: chunked').replace('POST', 'OPTIONS')
    await firstAt(
      rig,
      () => client.send(`${head}3\r\nabc\r\n`),
      () => heads === 1 && rig.connection.received.includes('abc'),
    )
    rig.connection.abort()
    await until(() => rig.siblings[0]?.connections[0]?.received.includes('abc'))
    await client.send('2\r\nde\r\n0\r\n\r\n')
    t.equal((await client.answer()).status, 200)
    t.equal(rig.siblings[0]?.requests[0]?.body, 'abcde')
  })
})

t.test('an endpoint that has as many connections as it may is passed over', async (t) => {
  await withRig({ backend: silent, siblings: [silent], limits: { connectionsPerEndpoint: 1 } }, async (rig) => {
    const clients = await Promise.all([0, 1, 2].map(() => rig.client()))
    await clients[0]?.send(get())
    await until(() => rig.requests.length === 1)
    await clients[1]?.send(get())
    await until(() => rig.requests.length === 2)
    t.equal(rig.backend.requests.length, 1)
    await clients[2]?.send(get())
    const answer = await clients[2]?.answer()
    t.equal(answer?.status, 503)
    t.equal(value(answer?.fields ?? [], 'proxy-status'), 'fairlead; error=connection_limit_reached')
    t.match(rig.records, [{ cause: 'connection-limit', attempts: 0 }])
    t.strictSame(statesOf(rig.plane).map((state) => state.inFlight), [1, 1]) // prettier-ignore
  })
})

t.test('a version that has nobody left gives its requests to another', async (t) => {
  await withRig({ backend: silent, siblings: [{}] }, async (rig) => {
    const [first, second] = endpointsOf(rig.plane)
    if (!first || !second) throw new Error('two endpoints')
    const groups = [
      { version: '1', weight: 1, endpoints: [{ ...first, version: '1' }] },
      { version: '2', weight: 0.000_001, endpoints: [{ ...second, version: '2' }] },
    ]
    rig.plane.apply(swapped(rig.plane, (service) => ({ ...service, groups })))
    const client = await rig.client()
    await client.send(get())
    await until(() => rig.backend.requests.length === 1)
    rig.connection.abort()
    t.equal((await client.answer()).status, 200)
    t.match(rig.records, [{ version: '2', attempts: 2 }])
    t.equal(versionOf(rig.plane, 'one', '2').codes.get(200), 1)
    t.equal(versionOf(rig.plane, 'one', '1').attempts.get('reset'), 1)
  })
})

t.test('a version that has somebody left keeps its requests', async (t) => {
  await withRig({ refusing: true, siblings: [{}] }, async (rig) => {
    const [dead, good, other] = endpointsOf(rig.plane)
    if (!dead || !good || !other) throw new Error('three endpoints')
    const groups = [
      { version: '1', weight: 1, endpoints: [dead, good].map((each) => ({ ...each, version: '1' })) },
      { version: '2', weight: 1, endpoints: [{ ...other, version: '2' }] },
    ]
    rig.plane.apply(swapped(rig.plane, (service) => ({ ...service, groups })))
    const client = await rig.client()
    for (let each = 0; each < 60; each++) {
      await client.send(get())
      await client.answer()
    }
    const again = rig.records.filter((record) => record.attempts > 1)
    t.ok(again.length >= 5, `${again.length} were tried again`)
    t.strictSame(new Set(again.map((record) => record.version)), new Set(['1']))
  })
})

t.test('an upload is held back by a backend that does not read, and goes on when it does', async (t) => {
  const size = 16_000_000
  await withRig({ backend: { sink: true, onConnect: (connection) => void connection.socket.pause() } }, async (rig) => {
    const client = await rig.client()
    let left = false
    client.socket.write(`${post(`Content-Length: ${size}`)}${'x'.repeat(size)}`, 'latin1', () => {
      left = true
    })
    await until(() => rig.backend.connections.length === 1)
    await settle(60)
    t.notOk(left, 'the client still has some of it')
    rig.connection.socket.resume()
    await until(() => rig.backend.bytesReceived > size)
    await rig.connection.send(okAnswer)
    t.equal((await client.answer()).status, 200)
  })
})

t.test('an answer is held back by a client that does not read, and goes on when it does', async (t) => {
  const size = 32_000_000
  for (const [framing, head, body] of [
    ['length', `Content-Length: ${size}`, 'x'.repeat(size)],
    ['chunks', 'Transfer-Encoding: chunked', `${size.toString(16)}\r\n${'x'.repeat(size)}\r\n0\r\n\r\n`],
  ] as const)
    await withRig({ backend: silent }, async (rig) => {
      const client = await rig.client()
      client.socket.pause()
      await client.send(get())
      await until(() => rig.backend.requests.length === 1)
      let left = false
      rig.connection.socket.write(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n${body}`, 'latin1', () => {
        left = true
      })
      await settle(60)
      t.notOk(left, `${framing}: the backend still has some of it`)
      client.socket.resume()
      await client.wait('the end of it', () => client.received.length > size, 20_000)
      t.equal((await client.answer()).body.length, size)
      t.equal(stateOf(rig.plane, 'one-0').pool.idle, 1)
    })
})

t.test('an answer that comes in small pieces is held back by a client that does not read, too', async (t) => {
  const accepted: Socket[] = []
  const onAccept = (message: unknown): void => void accepted.push((message as { readonly socket: Socket }).socket)
  subscribe('net.server.socket', onAccept)
  t.teardown(() => unsubscribe('net.server.socket', onAccept))
  await withRig({ backend: silent }, async (rig) => {
    const client = await rig.client()
    await client.send(get())
    await until(() => rig.backend.requests.length === 1)
    const downstream = accepted.find(({ localPort }) => localPort === rig.port)
    if (!downstream) throw new Error('no connection of the client')
    // Instead of megabytes of small pieces that fill what the kernel keeps for the client.
    downstream.cork()
    const size = 4 * downstream.writableHighWaterMark
    await rig.connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`)
    for (let sent = 0; sent < size; sent += 1_024) {
      await rig.connection.send('x'.repeat(1_024))
      await settle(2)
    }
    t.ok(downstream.writableLength < 1.1 * downstream.writableHighWaterMark, `${downstream.writableLength} of ${size}`)
    downstream.uncork()
    t.equal((await client.answer()).body.length, size)
  })
})

t.test('slow clients side by side get each its own bytes', async (t) => {
  const bodies = [1, 2, 3, 4].map((seed) => noise(8_000_000, seed))
  const script: BackendScript = {
    onRequest: (request, connection) => {
      const body = bodies[Number(request.startLine.split('/')[1]?.[0])] ?? ''
      const chunked = request.startLine.includes('chunked')
      const head = chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.length}`
      const coded = chunked ? `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n` : body
      void connection.send(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n${coded}`)
    },
  }
  for (const how of ['length', 'chunked'])
    await withRig({ backend: script }, async (rig) => {
      const clients = await Promise.all(bodies.map(() => rig.client()))
      for (const [index, client] of clients.entries()) {
        client.socket.pause()
        await client.send(get(`/${index}${how}`))
      }
      await settle(60)
      for (const client of clients) client.socket.resume()
      const got = clients.map(async (client) => {
        await client.wait('all of it', () => client.received.length >= 8_000_000, 20_000)
        return digest((await client.answer()).body)
      })
      t.strictSame(await Promise.all(got), bodies.map((body) => digest(body)), how) // prettier-ignore
    })
})

t.test('a client that leaves takes its request with it', async (t) => {
  await withRig({ backend: silent }, async (rig) => {
    const client = await rig.client()
    await client.send(get())
    await until(() => rig.backend.requests.length === 1)
    client.abort()
    await until(() => rig.backend.openConnections === 0)
    t.match(rig.records, [{ status: 499, cause: 'client-gone', origin: 'proxy' }])
    t.equal(versionOf(rig.plane).attempts.get('client'), 1)
    t.equal(underWay(rig.plane), 0)
  })
})

t.test('a body that turns out bad once its answer has begun cuts that, and puts no other answer into it', async (t) => {
  const backend: BackendScript = {
    onHead: (_head, connection) => void connection.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha'),
    onRequest: () => undefined,
  }
  await withRig({ backend }, async (rig) => {
    const client = await rig.client()
    await client.send(`${post('Transfer-Encoding: chunked')}3\r\nabc\r\n`)
    await until(() => client.received.endsWith('ha'))
    await client.send('junk\r\n')
    await until(() => client.finished || client.reset)
    t.ok(client.received.endsWith('\r\n\r\nha'))
    t.match(rig.records.at(-1), { status: 200 })
  })
})
