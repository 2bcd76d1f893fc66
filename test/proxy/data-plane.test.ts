import t from 'tap'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { settle } from '../fixtures/raw-client.ts'
import { defaultWireLimits } from '../../src/wire/limits.ts'
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
import { type BackendScript, okAnswer } from '../fixtures/raw-backend.ts'
import { ScriptedHealth } from '../fixtures/scripted-health.ts'
import { until } from '../fixtures/until.ts'

const silent: BackendScript = { onRequest: () => undefined }

t.test('an endpoint that leaves finishes its requests, gets no more, and its connections end', async (t) => {
  await withRig({ backend: silent, siblings: [{}] }, async (rig) => {
    const [first, second] = endpointsOf(rig.plane)
    if (!first || !second) throw new Error('two endpoints')
    applyEndpoints(rig.plane, [first])
    const busy = await rig.client()
    const used = await rig.client()
    await busy.send(get('/busy'))
    await used.send(get('/used'))
    await until(() => rig.backend.requests.length === 2)
    const usedConnection = rig.backend.connections.find((each) => each.requests[0]?.startLine.includes('/used'))
    const busyConnection = rig.backend.connections.find((each) => each.requests[0]?.startLine.includes('/busy'))
    await usedConnection?.send(okAnswer)
    await used.answer()
    const state = stateOf(rig.plane, 'one-0')
    t.match(state, { inFlight: 1, leaving: false })
    t.equal(state.pool.idle, 1)

    applyEndpoints(rig.plane, [second])
    t.ok(state.leaving)
    t.equal(state.pool.idle, 0, 'what rested ends now')
    t.ok(statesOf(rig.plane).includes(state), 'and it is known while a request holds it')
    await until(() => usedConnection?.finished || usedConnection?.reset)
    t.notOk(busyConnection?.finished)
    await used.send(get('/next'))
    t.equal((await used.answer()).body, 'ok')
    t.equal(rig.siblings[0]?.requests.length, 1, 'new requests go to the other')

    await busyConnection?.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate')
    t.equal((await busy.answer()).body, 'late', 'the old one is answered in full')
    await until(() => busyConnection?.finished || busyConnection?.reset)
    t.equal(state.pool.open, 0)
    t.notOk(statesOf(rig.plane).includes(state), 'and is forgotten')
    await busy.send(get('/again'))
    t.equal((await busy.answer()).body, 'ok', 'its client stays')
  })
})

t.test('the same address registered anew is another life', async (t) => {
  await withRig({}, async (rig) => {
    const client = await rig.client()
    await client.send(get())
    await client.answer()
    const [endpoint] = endpointsOf(rig.plane)
    if (!endpoint) throw new Error('an endpoint')
    const before = stateOf(rig.plane, 'one-0')
    applyEndpoints(rig.plane, [{ ...endpoint, weight: 5, status: 'warning' }])
    t.equal(stateOf(rig.plane, 'one-0'), before, 'what only changed its weight lives on')
    t.equal(before.pool.idle, 1)
    applyEndpoints(rig.plane, [{ ...endpoint, life: 2 }])
    t.ok(before.leaving)
    t.equal(before.pool.open, 0)
    await client.send(get())
    await client.answer()
    t.equal(rig.backend.connections.length, 2)
    t.equal(statesOf(rig.plane).length, 1)
  })
})

t.test('a service that goes takes its route with it, its requests finish, its counts come back with it', async (t) => {
  await withRig({ backend: silent }, async (rig) => {
    const table = swapped(rig.plane, (service) => service)
    const client = await rig.client()
    const other = await rig.client()
    await client.send(get())
    await until(() => rig.backend.requests.length === 1)
    const stats = statsOf(rig.plane)
    rig.plane.apply(swapped(rig.plane, () => undefined))
    t.equal(rig.plane.figures().tableVersion, 2)
    await other.send(get())
    t.equal((await other.answer()).status, 404)
    await rig.connection.send(okAnswer)
    t.equal((await client.answer()).status, 200)
    t.equal(stats.inFlight, 0)
    rig.plane.apply({ ...table, version: 3 })
    t.equal(statsOf(rig.plane), stats)
    t.equal(versionOf(rig.plane).codes.get(200), 1)
  })
})

t.test('the successor of what died is taken from the table of the moment', async (t) => {
  await withRig({ backend: silent, siblings: [{}] }, async (rig) => {
    const [first, second] = endpointsOf(rig.plane)
    if (!first || !second) throw new Error('two endpoints')
    applyEndpoints(rig.plane, [first])
    const client = await rig.client()
    await client.send(get())
    await until(() => rig.backend.requests.length === 1)
    applyEndpoints(rig.plane, [second])
    rig.connection.abort()
    t.equal((await client.answer()).body, 'ok')
    t.equal(rig.siblings[0]?.requests.length, 1)
    t.equal(statsOf(rig.plane).retries.get('reset'), 1)
    t.match(rig.records, [{ attempts: 2, status: 200, origin: 'upstream', handle: 'one-1' }])
    await client.send(get())
    await client.answer()
    t.equal(statsOf(rig.plane).retrying, 0, 'and the next request gives back nothing it did not take')
  })
})

t.test('retries that may execute twice are a share of what is in flight, and at least three', async (t) => {
  for (const [requests, budget, repeated] of [
    [10, 0.2, 3],
    [10, 0.5, 5],
    [2, 0, 2],
  ] as const) {
    const clock = new FakeClock()
    await withRig(
      { backend: silent, siblings: [silent], policy: { retry: { attempts: 3, budget, bodyBytes: 0 } }, clock },
      async (rig) => {
        const [first, second] = endpointsOf(rig.plane)
        if (!first || !second) throw new Error('two endpoints')
        applyEndpoints(rig.plane, [first])
        const clients = await Promise.all(Array.from({ length: requests }, () => rig.client()))
        for (const client of clients) await client.send(get())
        await until(() => rig.backend.requests.length === requests)
        applyEndpoints(rig.plane, [first, second])
        const stats = statsOf(rig.plane)
        t.equal(stats.inFlight, requests)
        // All before any answer reaches its client, so that all are still in flight when they ask.
        for (const connection of rig.backend.connections) connection.abort()
        await until(() => stats.inFlight === repeated && rig.siblings[0]?.requests.length === 1)
        await settle()
        // The other one has not answered the first of them: their turns do not come, and they go in the end.
        clock.advance(300)
        await until(() => rig.siblings[0]?.requests.length === repeated && stats.inFlight === repeated)
        t.equal(stats.retrying, repeated, `${requests} requests, budget ${budget}`)
        t.equal(stats.retryBudgetExhausted, requests - repeated)
        for (const connection of rig.siblings[0]?.connections ?? []) await connection.send(okAnswer)
        const statuses = await Promise.all(clients.map(async (client) => (await client.answer()).status))
        t.equal(statuses.filter((status) => status === 200).length, repeated)
        t.equal(statuses.filter((status) => status === 502).length, requests - repeated)
        t.equal(underWay(rig.plane), 0)
      },
    )
  }
})

t.test('what the budget forbids is repeated all the same where the endpoint turns out to be dead', async (t) => {
  for (const dead of [true, false]) {
    const health = new ScriptedHealth()
    const policy = { retry: { attempts: 3, budget: 0, bodyBytes: 0 } }
    await withRig({ backend: silent, siblings: [{}], policy, ...health.options }, async (rig) => {
      const [first, second] = endpointsOf(rig.plane)
      if (!first || !second) throw new Error('two endpoints')
      applyEndpoints(rig.plane, [first])
      const clients = await Promise.all(Array.from({ length: 8 }, () => rig.client()))
      for (const client of clients) await client.send(get())
      await until(() => rig.backend.requests.length === 8)
      applyEndpoints(rig.plane, [first, second])
      for (const connection of rig.backend.connections) connection.abort()
      await until(() => health.proofs.length === 5)
      t.equal(statsOf(rig.plane).retryBudgetExhausted, 5, 'three at a time are always allowed')
      for (const { done } of health.proofs) done(dead)
      const statuses = await Promise.all(clients.map(async (client) => (await client.answer()).status))
      t.strictSame(statuses.filter((status) => status === 200).length, dead ? 8 : 3)
      t.equal(underWay(rig.plane), 0)
      t.equal(statsOf(rig.plane).rescuing, 0)
    })
  }
})

t.test('what was never sent takes nothing from the budget while it is under way', async (t) => {
  const silent = { onRequest: () => undefined }
  const policy = { retry: { attempts: 2, budget: 0, bodyBytes: 0 } }
  await withRig({ refusing: true, backend: silent, policy }, async (rig) => {
    const clients = await Promise.all(Array.from({ length: 12 }, () => rig.client()))
    for (const client of clients) await client.send(get())
    await until(() => rig.backend.requests.length === clients.length)
    const stats = statsOf(rig.plane)
    t.ok((stats.retries.get('refused') ?? 0) >= 1)
    t.equal(stats.retrying, 0)
    for (const connection of rig.backend.connections) await connection.send(okAnswer)
    for (const client of clients) t.equal((await client.answer()).status, 200)
  })
})

t.test('what was never sent goes elsewhere for free', async (t) => {
  await withRig(
    { refusing: true, policy: { balance: 'round-robin', retry: { attempts: 1, budget: 0, bodyBytes: 0 } } },
    async (rig) => {
      const client = await rig.client()
      for (let each = 0; each < 6; each++) {
        await client.send(`${post('Content-Length: 2')}ab`)
        t.equal((await client.answer()).status, 200)
      }
      const stats = statsOf(rig.plane)
      t.equal(stats.retries.get('refused'), 3)
      t.equal(stats.retryBudgetExhausted, 0)
      t.equal(versionOf(rig.plane).attempts.get('refused'), 3)
      t.equal(versionOf(rig.plane).attempts.get('success'), 6)
    },
  )
})

t.test('every kind of request is counted once, where it belongs, and leaves nothing under way', async (t) => {
  const script: BackendScript = {
    onRequest: (request, connection) => {
      if (request.startLine.includes('/reset')) connection.abort()
      else if (request.startLine.includes('/junk')) void connection.send('junk\r\n\r\n')
      else if (request.startLine.includes('/cut')) void connection.send('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab').then(() => connection.end())
      else if (request.startLine.includes('/404')) void connection.send('HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n')
      else if (!request.startLine.includes('/hang')) void connection.send(okAnswer)
    },
  } // prettier-ignore
  await withRig({ backend: script }, async (rig) => {
    const each = async (text: string, wanted: number): Promise<void> => {
      const client = await rig.client()
      await client.send(text)
      t.equal((await client.answer()).status, wanted, text.slice(0, text.indexOf('\r')))
      client.end()
    }
    await each(get(), 200)
    await each(get('/404'), 404)
    await each(get('/junk'), 502)
    await each(get('/reset').replace('GET', 'POST'), 502)
    await each(get('/void'), 503)
    await each(get().replace('a.test', 'nowhere.test'), 404)
    await each(get('/../x'), 400)
    await each('GET / HTTP/1.1\r\n\r\n', 400)
    await each(get().replace('GET', 'TRACE'), 405)
    await each(get('/', 'Connection: upgrade', 'Upgrade: websocket'), 400)
    const cut = await rig.client()
    await cut.send(get('/cut'))
    await cut.wait('the end', () => !cut.open)
    const gone = await rig.client()
    await gone.send(get('/hang'))
    await until(() => rig.requests.some((request) => request.startLine.includes('/hang')))
    gone.abort()
    await until(() => rig.records.length === 12 && underWay(rig.plane) === 0)
    t.strictSame([...versionOf(rig.plane).codes].sort((a, b) => a[0] - b[0]), [[200, 2], [404, 1], [1400, 1], [1499, 1], [1502, 2]]) // prettier-ignore
    t.strictSame([...versionOf(rig.plane, 'empty').codes], [[1503, 1]])
    t.strictSame([...rig.plane.figures().unrouted].sort((a, b) => a[0] - b[0]), [[400, 2], [404, 1], [405, 1]]) // prettier-ignore
    t.strictSame([...versionOf(rig.plane).attempts].sort((a, b) => (a[0] < b[0] ? -1 : 1)), [['client', 1], ['closed', 1], ['invalid', 1], ['reset', 1], ['success', 2]]) // prettier-ignore
    const counted = versionOf(rig.plane).durationCounts.reduce((sum, count) => sum + count, 0)
    t.equal(counted, 7)
  })
})

t.test('limits, pages and the observer may change while it runs', async (t) => {
  await withRig({}, async (rig) => {
    const client = await rig.client()
    rig.plane.setErrorPages(new Map([[404, { body: Buffer.from('<p>'), contentType: 'text/html' }]]))
    await client.send(get().replace('a.test', 'b.nowhere'))
    t.equal((await client.answer()).body, '<p>')
    rig.plane.setObserver(undefined)
    await client.send(get())
    await client.answer()
    t.equal(rig.records.length, 1)
    rig.plane.setLimits({ ...defaultWireLimits, targetBytes: 5 })
    const other = await rig.client()
    await other.send(get('/123456'))
    t.equal((await other.answer()).status, 414)
  })
})

t.test('idle and busy connections on both sides', async (t) => {
  await withRig({ backend: silent }, async (rig) => {
    t.match(rig.plane.figures(), { tableVersion: 1, downstream: { open: 0, idle: 0 }, upstream: { open: 0, idle: 0 } })
    const client = await rig.client()
    await until(() => rig.plane.figures().downstream.open === 1)
    t.equal(rig.plane.figures().downstream.idle, 1)
    await client.send(get())
    await until(() => rig.backend.requests.length === 1)
    t.match(rig.plane.figures(), { downstream: { open: 1, idle: 0 }, upstream: { open: 1, idle: 0 } })
    await rig.connection.send(okAnswer)
    await client.answer()
    t.match(rig.plane.figures(), { downstream: { open: 1, idle: 1 }, upstream: { open: 1, idle: 1 } })
  })
})
