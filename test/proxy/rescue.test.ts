/** What the data plane does when health speaks: who gets traffic, what is taken from whom, what is told of it. */
import t from 'tap'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { openFullListener } from '../fixtures/full-listener.ts'
import { applyEndpoints, endpointsOf, get, stateOf, statsOf, withRig } from '../fixtures/plane-parts.ts'
import { type BackendConnection, type BackendScript, okAnswer } from '../fixtures/raw-backend.ts'
import { type RawClient, settle } from '../fixtures/raw-client.ts'
import type { Rig } from '../fixtures/rig.ts'
import { ScriptedHealth } from '../fixtures/scripted-health.ts'
import { headText } from '../fixtures/heads.ts'
import { until } from '../fixtures/until.ts'
import { value } from '../fixtures/wire-message.ts'

const silent: BackendScript = { onRequest: () => undefined }

const request = (method: string, target: string, ...lines: readonly string[]): string =>
  method === 'GET' || method === 'OPTIONS'
    ? headText(`${method} ${target} HTTP/1.1`, 'Host: a.test', ...lines)
    : headText(`${method} ${target} HTTP/1.1`, 'Host: a.test', 'Content-Length: 5', ...lines) + 'hello'

const targets = (rig: Rig, which: 'backend' | 'sibling'): readonly string[] =>
  (which === 'backend' ? rig.backend : rig.siblings[0])?.requests.map((each) => each.startLine.split(' ')[1] ?? '') ??
  []

/** The first backend is silent, the second answers; requests go to the first as long as it may be picked. */
async function withFrozen(fn: (rig: Rig, health: ScriptedHealth) => Promise<void>, clock?: FakeClock): Promise<void> {
  const health = new ScriptedHealth()
  const drain = { deadlineMs: 10_000, tunnelDeadlineMs: 20_000 }
  const options = { backend: silent, siblings: [{}], policy: { drain }, ...health.options, ...(clock && { clock }) }
  await withRig(options, async (rig) => {
    health.eject(stateOf(rig.plane, 'one-1'), 'operator')
    health.events.length = 0
    await fn(rig, health)
  })
}

/** Sends to the frozen one, then opens the other. */
async function held(rig: Rig, health: ScriptedHealth, text: string): Promise<Awaited<ReturnType<Rig['client']>>> {
  const client = await rig.client()
  const before = rig.backend.requests.length
  await client.send(text)
  await until(() => rig.backend.requests.length > before)
  health.admit(stateOf(rig.plane, 'one-1'))
  return client
}

t.test('silence: what is safe and waits is taken and answered by another, at once', async (t) => {
  for (const method of ['GET', 'OPTIONS'])
    await withFrozen(async (rig, health) => {
      const client = await held(rig, health, request(method, '/x'))
      health.eject(stateOf(rig.plane, 'one-0'), 'silence')
      t.equal((await client.answer()).status, 200)
      t.strictSame([targets(rig, 'backend'), targets(rig, 'sibling')], [['/x'], ['/x']])
      t.match(health.outcomes, [`one-0 rescued ${method} ejected`])
      t.match(
        health.events.find((event) => event.kind === 'ejected'),
        { cause: 'silence', inFlight: 1, applied: true },
      )
      t.equal(statsOf(rig.plane).rescued, 1)
      await until(() => statsOf(rig.plane).inFlight === 0)
      t.equal(statsOf(rig.plane).rescuing, 0)
      t.match(rig.records, [{ attempts: 2, status: 200 }])
    })
})

t.test('silence: what is not safe waits, whatever its key, and gets its answer if one comes', async (t) => {
  for (const [method, key] of [
    ['POST', ''],
    ['PUT', ''],
    ['DELETE', ''],
    ['POST', 'Idempotency-Key: 1'],
    ['GET', 'X-HTTP-Method-Override: POST'],
    ['OPTIONS', 'x-method-override: PUT'],
    ['GET', 'X-HTTP-Method: DELETE'],
  ] as const)
    await withFrozen(async (rig, health) => {
      const client = await held(rig, health, request(method, '/x', ...(key === '' ? [] : [key])))
      health.eject(stateOf(rig.plane, 'one-0'), 'silence')
      await settle()
      t.strictSame(targets(rig, 'sibling'), [], `${method} ${key}`)
      await rig.connection.send(okAnswer)
      t.equal((await client.answer()).status, 200)
      t.strictSame(health.outcomes, [])
    })
})

t.test('proof after silence: the idempotent is taken too, the rest is ended', async (t) => {
  for (const [method, status, key] of [
    ['PUT', 200, ''],
    ['DELETE', 200, ''],
    ['POST', 200, 'Idempotency-Key: 1'],
    ['POST', 502, ''],
    ['POST', 502, 'Idempotency-Key:'],
    ['POST', 502, 'Idempotency-Key: ""'],
    ['PATCH', 502, ''],
    ['PUT', 502, 'X-HTTP-Method-Override: PATCH'],
    ['GET', 502, 'X-HTTP-Method-Override: POST'],
  ] as const)
    // prettier-ignore
    await withFrozen(async (rig, health) => {
      const client = await held(rig, health, request(method, '/x', ...(key === '' ? [] : [key])))
      const state = stateOf(rig.plane, 'one-0')
      health.eject(state, 'silence')
      health.eject(state, 'refused', { proven: true, certain: true })
      t.equal((await client.answer()).status, status, `${method} ${key}`)
      t.equal(targets(rig, 'sibling').length, status === 200 ? 1 : 0)
      t.match(health.outcomes, [`one-0 ${status === 200 ? 'rescued' : 'lost'} ${method} ejected`])
    })
})

t.test('a process that stops in order refuses connections and still answers what it has', async (t) => {
  await withFrozen(async (rig, health) => {
    const client = await held(rig, health, request('GET', '/x'))
    health.eject(stateOf(rig.plane, 'one-0'), 'refused', { proven: true, certain: true })
    await settle()
    t.strictSame(targets(rig, 'sibling'), [])
    await rig.connection.send(okAnswer)
    t.equal((await client.answer()).status, 200)
    await client.send(get('/next'))
    await client.answer()
    t.strictSame(targets(rig, 'sibling'), ['/next'], 'and gets nothing new')
  })
})

t.test('an answer that has begun is not taken; only proof ends it, visibly', async (t) => {
  await withFrozen(async (rig, health) => {
    const client = await held(rig, health, request('GET', '/x'))
    await rig.connection.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha')
    await until(() => client.received.endsWith('ha'))
    const state = stateOf(rig.plane, 'one-0')
    health.eject(state, 'silence')
    await settle()
    t.notOk(client.finished || client.reset)
    health.eject(state, 'refused', { proven: true, certain: true })
    await until(() => client.finished || client.reset)
    t.strictSame(targets(rig, 'sibling'), [])
    t.match(health.outcomes, ['one-0 lost GET ejected'])
  })
})

t.test('each is rescued at most once, and nobody else means it waits', async (t) => {
  await withFrozen(async (rig, health) => {
    const frozenToo = rig.siblings[0]
    if (frozenToo) frozenToo.script = silent
    const client = await held(rig, health, request('GET', '/x'))
    health.eject(stateOf(rig.plane, 'one-0'), 'silence')
    await until(() => targets(rig, 'sibling').length === 1)
    health.admit(stateOf(rig.plane, 'one-0'))
    health.eject(stateOf(rig.plane, 'one-1'), 'silence')
    await settle()
    t.equal(targets(rig, 'backend').length, 1, 'not a third time')
    await rig.siblings[0]?.connections[0]?.send(okAnswer)
    t.equal((await client.answer()).status, 200)
  })
  await withFrozen(async (rig, health) => {
    const client = await held(rig, health, request('GET', '/x'))
    health.eject(stateOf(rig.plane, 'one-1'), 'refused', { proven: true, certain: true })
    health.eject(stateOf(rig.plane, 'one-0'), 'silence')
    await settle()
    await rig.connection.send(okAnswer)
    t.equal((await client.answer()).status, 200)
    t.strictSame(health.outcomes, [])
  })
})

t.test('rescue has a cap: as many as thirty-two, or half of what is in flight', async (t) => {
  const clock = new FakeClock()
  await withFrozen(async (rig, health) => {
    const frozenToo = rig.siblings[0]
    if (frozenToo) frozenToo.script = silent
    const count = 70
    for (let i = 0; i < count; i++) await (await rig.client()).send(get(`/${i}`))
    await until(() => rig.backend.requests.length === count)
    health.admit(stateOf(rig.plane, 'one-1'))
    health.eject(stateOf(rig.plane, 'one-0'), 'silence')
    clock.advance(300)
    await until(() => targets(rig, 'sibling').length === count / 2)
    await settle()
    t.equal(targets(rig, 'sibling').length, count / 2)
    t.equal(statsOf(rig.plane).rescuing, count / 2)
  }, clock)
})

t.test('observing changes nothing and is told', async (t) => {
  await withFrozen(async (rig, health) => {
    const client = await held(rig, health, request('GET', '/x'))
    health.observe(stateOf(rig.plane, 'one-0'), 'silence')
    await settle()
    t.strictSame(targets(rig, 'sibling'), [])
    t.match(health.events.at(-1), { kind: 'ejected', applied: false, endpoint: { handle: 'one-0', service: 'one' } })
    await rig.connection.send(okAnswer)
    t.equal((await client.answer()).status, 200)
  })
})

/** A PUT whose connection broke while the other instance was away waits for proof that its own is dead: with, and without it. */
async function withBroken(
  fn: (rig: Rig, health: ScriptedHealth, client: RawClient, dead: boolean) => Promise<void>,
): Promise<void> {
  const breaking: BackendScript = { onRequest: (_request, connection) => connection.abort() }
  for (const dead of [true, false]) {
    const health = new ScriptedHealth()
    await withRig({ backend: breaking, siblings: [{}], ...health.options }, async (rig) => {
      health.eject(stateOf(rig.plane, 'one-1'), 'operator')
      const client = await rig.client()
      await client.send(request('PUT', '/x'))
      await until(() => health.proofs.length === 1)
      await fn(rig, health, client, dead)
    })
  }
}

t.test('a PUT whose connection broke is repeated only with proof that its endpoint is dead', async (t) => {
  await withBroken(async (rig, health, client, dead) => {
    health.admit(stateOf(rig.plane, 'one-1'))
    health.proofs[0]?.done(dead)
    t.equal((await client.answer()).status, dead ? 200 : 502)
    t.equal(targets(rig, 'sibling').length, dead ? 1 : 0)
    t.match(health.told, ['one-0 failed reset'])
    t.match(health.outcomes, [dead ? 'one-0 retried PUT reset' : 'one-0 lost PUT reset'])
  })
})

t.test('proof that comes when nobody waits any more does nothing', async (t) => {
  await withBroken(async (rig, health, client, dead) => {
    client.abort()
    await until(() => rig.records.length === 1)
    health.admit(stateOf(rig.plane, 'one-1'))
    health.proofs[0]?.done(dead)
    await settle()
    t.strictSame(targets(rig, 'sibling'), [])
    t.equal(rig.records.length, 1)
    t.strictSame(health.outcomes, [])
    t.equal(statsOf(rig.plane).rescuing, 0)
  })
})

t.test('what proof lets be made again has the cap of rescues', async (t) => {
  const health = new ScriptedHealth()
  const clock = new FakeClock()
  await withRig({ backend: silent, siblings: [silent], clock, ...health.options }, async (rig) => {
    const other = stateOf(rig.plane, 'one-1')
    health.eject(other, 'refused', { certain: true })
    const count = 70
    const clients: RawClient[] = []
    for (let i = 0; i < count; i++) {
      const client = await rig.client()
      clients.push(client)
      await client.send(request('PUT', `/${i}`))
    }
    await until(() => rig.backend.requests.length === count)
    for (const connection of rig.backend.connections) connection.abort()
    await until(() => health.proofs.length === count)
    health.admit(other)
    for (const { done } of health.proofs) done(true)
    t.equal(statsOf(rig.plane).rescuing, count / 2)
    clock.advance(300)
    await until(() => targets(rig, 'sibling').length === count / 2)
    await until(() => rig.records.length === count / 2)
    t.ok(rig.records.every(({ status, cause }) => status === 502 && cause === 'reset'))
    t.equal(clients.filter(({ received }) => received !== '').length, count / 2)
  })
})

t.test('below the panic threshold all but the dead get traffic; with nothing left, 503 with Retry-After', async (t) => {
  const health = new ScriptedHealth()
  await withRig({ siblings: [{}, {}], ...health.options }, async (rig) => {
    const [a, b, c] = ['one-0', 'one-1', 'one-2'].map((handle) => stateOf(rig.plane, handle))
    if (!a || !b || !c) throw new Error('three')
    const open = (): boolean[] => [a.open, b.open, c.open]
    health.eject(a, 'consecutive-failures')
    t.strictSame(open(), [false, true, true])
    health.eject(b, 'silence')
    t.strictSame(open(), [true, true, true], 'one of three is less than half')
    health.eject(b, 'refused', { proven: true, certain: true })
    t.strictSame(open(), [true, false, true])
    health.eject(a, 'identity', { certain: true })
    health.eject(c, 'refused', { proven: true, certain: true })
    t.strictSame(open(), [false, false, false])
    const client = await rig.client()
    await client.send(get('/x'))
    const answer = await client.answer()
    t.equal(answer.status, 503)
    t.equal(value(answer.fields, 'retry-after'), '1')
    health.admit(b)
    await client.send(get('/y'))
    t.equal((await client.answer()).status, 200)
    t.match(health.events.at(-1), { kind: 'restored', endpoint: { handle: 'one-1' } })
  })
})

t.test('who joins gets traffic where there is nobody else, then a rising share', async (t) => {
  const clock = new FakeClock()
  const health = new ScriptedHealth()
  await withRig({ siblings: [{}], clock, ...health.options }, async (rig) => {
    const [old, young] = ['one-0', 'one-1'].map((handle) => stateOf(rig.plane, handle))
    if (!old || !young) throw new Error('two')
    health.join(young)
    t.strictSame([old.open, young.open], [true, false])
    health.eject(old, 'refused', { proven: true, certain: true })
    t.strictSame([old.open, young.open], [false, true])
    health.admit(old)
    t.strictSame([old.open, young.open], [true, false])
    const told = health.events.length
    health.admit(young, true)
    t.equal(health.events.length, told, 'joining is no return')
    t.equal(young.ramp, 0.1)
    clock.advance(2_500)
    t.ok(Math.abs(young.ramp - 0.55) < 0.02, String(young.ramp))
    clock.advance(2_600)
    t.equal(young.ramp, 1)
  })
})

t.test('all idle connections ending at once is told, one at a time is not', async (t) => {
  const clock = new FakeClock()
  const health = new ScriptedHealth()
  await withRig({ backend: silent, clock, ...health.options }, async (rig) => {
    const state = stateOf(rig.plane, 'one-0')
    const rest = async (): Promise<void> => {
      const clients = await Promise.all([rig.client(), rig.client(), rig.client()])
      const before = rig.backend.requests.length
      for (const client of clients) await client.send(get())
      await until(() => rig.backend.requests.length === before + 3)
      for (const connection of rig.backend.connections.slice(-3)) await connection.send(okAnswer)
      await until(() => state.pool.idle === 3)
    }
    await rest()
    for (const connection of rig.backend.connections.slice(-3)) {
      connection.end()
      await until(() => connection.closed || connection.finished)
      clock.advance(1_000)
    }
    await until(() => state.pool.idle === 0)
    t.strictSame(health.told, [])
    await rest()
    for (const connection of rig.backend.connections.slice(-3)) connection.end()
    await until(() => health.told.length > 0)
    t.strictSame(health.told, ['one-0 ended'])
  })
})

t.test('what cannot be repeated gets a connection that was just used, or a new one', async (t) => {
  const clock = new FakeClock()
  await withRig({ clock }, async (rig) => {
    const client = await rig.client()
    const ask = async (text: string): Promise<void> => {
      await client.send(text)
      t.equal((await client.answer()).status, 200)
    }
    await ask(get('/1'))
    clock.advance(900)
    await ask(request('POST', '/2'))
    t.equal(rig.backend.connections.length, 1)
    clock.advance(1_100)
    await ask(get('/3'))
    t.equal(rig.backend.connections.length, 1)
    clock.advance(1_100)
    await ask(request('POST', '/4'))
    t.equal(rig.backend.connections.length, 2)
  })
})

t.test('health hears of failures, of errors, and of answers after them', async (t) => {
  const statuses = [200, 500, 503, 404]
  const health = new ScriptedHealth()
  const backend: BackendScript = {
    onRequest: (_request, connection) =>
      void connection.send(`HTTP/1.1 ${statuses.shift() ?? 200} X\r\nContent-Length: 0\r\n\r\n`),
  }
  await withRig({ backend, ...health.options }, async (rig) => {
    const client = await rig.client()
    const state = stateOf(rig.plane, 'one-0')
    for (let i = 0; i < 3; i++) {
      await client.send(get())
      await client.answer()
    }
    t.strictSame(health.told, ['one-0 answered 500', 'one-0 answered 503'])
    state.streak = 2
    await client.send(get())
    await client.answer()
    t.equal(health.told.at(-1), 'one-0 answered 404')
    t.equal(state.answers, 4)
    t.equal(state.attempts.length, 0)
    const told = health.told.length
    statuses.push(502)
    await client.send(get())
    await client.answer()
    t.strictSame(health.told.slice(told), ['one-0 answered 502'], 'once, also in the midst of a series')
    rig.backend.script = {
      onRequest: (_request, connection) =>
        void connection.send('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nha').then(() => connection.end()),
    }
    await client.send(get())
    await until(() => client.finished || client.reset)
    t.equal(health.told.at(-1), 'one-0 failed closed', 'half an answer ends no series of failures')
    t.match(health.outcomes, ['one-0 lost GET closed'])
  })
  t.ok(health.stopped)
})

t.test('an instance that has left finishes what it has, for as long as it may', async (t) => {
  const clock = new FakeClock()
  await withFrozen(async (rig, health) => {
    const busy = await held(rig, health, request('POST', '/x'))
    const state = stateOf(rig.plane, 'one-0')
    applyEndpoints(rig.plane, endpointsOf(rig.plane).slice(1))
    clock.advance(9_000)
    await settle()
    t.equal(state.inFlight, 1)
    clock.advance(2_500)
    const answer = await busy.answer()
    t.equal(answer.status, 504, 'it was sent, and may have been done')
    t.equal(value(answer.fields, 'retry-after'), undefined)
    t.match(rig.records.at(-1), { cause: 'drain' })
    t.match(health.outcomes, ['one-0 lost POST drain'])
  }, clock)
})

t.test('what is safe and has no answer when an instance must be empty is made elsewhere', async (t) => {
  const clock = new FakeClock()
  await withFrozen(async (rig, health) => {
    const client = await held(rig, health, request('GET', '/x'))
    const [first, second] = endpointsOf(rig.plane)
    if (!first || !second) throw new Error('two')
    applyEndpoints(rig.plane, [{ ...first, status: 'maintenance', weight: 0 }, second])
    clock.advance(12_000)
    t.equal((await client.answer()).status, 200)
    t.strictSame(targets(rig, 'sibling'), ['/x'])
  }, clock)
})

t.test('an answer that has begun when an instance must be empty is cut, and made nowhere else', async (t) => {
  const clock = new FakeClock()
  await withFrozen(async (rig, health) => {
    const client = await held(rig, health, request('GET', '/x'))
    await rig.connection.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha')
    await until(() => client.received.endsWith('ha'))
    applyEndpoints(rig.plane, endpointsOf(rig.plane).slice(1))
    clock.advance(12_000)
    await until(() => client.finished || client.reset)
    t.ok(client.received.endsWith('\r\n\r\nha'))
    t.strictSame(targets(rig, 'sibling'), [])
    t.match(health.outcomes, ['one-0 lost GET drain'])
  }, clock)
})

t.test('what is safe and waits in vain at one that has left is moved', async (t) => {
  const clock = new FakeClock()
  await withFrozen(async (rig, health) => {
    const client = await held(rig, health, request('GET', '/x'))
    applyEndpoints(rig.plane, endpointsOf(rig.plane).slice(1))
    clock.advance(500)
    await settle()
    t.strictSame(targets(rig, 'sibling'), [])
    clock.advance(200)
    t.equal((await client.answer()).status, 200)
    t.strictSame(targets(rig, 'sibling'), ['/x'])
  }, clock)
})

t.test('what moved on as another one of its instance met the deadline is not cut where it is now', async (t) => {
  const health = new ScriptedHealth()
  const clock = new FakeClock()
  const drain = { deadlineMs: 10_000, tunnelDeadlineMs: 20_000 }
  const siblings = [silent, silent, silent]
  await withRig({ backend: silent, siblings, clock, policy: { drain }, ...health.options }, async (rig) => {
    const states = [0, 1, 2, 3].map((index) => stateOf(rig.plane, `one-${index}`))
    const [, leaving, , better] = states
    if (!leaving || !better) throw new Error('four')
    const asked = (): readonly number[] => [rig.backend, ...rig.siblings].map(({ requests }) => requests.length)
    const only = (open: number): void => {
      for (const [index, state] of states.entries())
        if (index === open) health.admit(state)
        else health.eject(state, 'refused', { certain: true })
    }
    const send = async (to: number, target: string): Promise<RawClient> => {
      only(to)
      const before = asked()[to] ?? 0
      const client = await rig.client()
      await client.send(get(target))
      await until(() => asked()[to] === before + 1)
      return client
    }
    // The first one is executed for the last time at the instance that leaves, and has its turn there.
    const first = await send(0, '/first')
    only(1)
    rig.connection.abort()
    await until(() => asked()[1] === 1)
    const second = await send(1, '/second')
    applyEndpoints(
      rig.plane,
      endpointsOf(rig.plane).map((each) =>
        each.handle === 'one-1' ? { ...each, status: 'maintenance', weight: 0 } : each,
      ),
    )
    clock.advance(1_000)
    const endMs = leaving.leavingSinceMs + 11_000
    clock.advance(endMs - 200 - clock.now())
    await send(2, '/elsewhere')
    clock.advance(endMs - 40 - clock.now())
    health.eject(leaving, 'silence')
    t.strictSame(asked(), [1, 2, 1, 0], 'the second one waits, since the only other instance is quiet')
    // In the sweep that ends the first one there is a better one, and the end asks those that wait for a turn.
    health.sweep = () => void (clock.now() === endMs && health.admit(better))
    clock.advance(endMs - clock.now())
    t.equal((await first.answer()).status, 504)
    await until(() => asked()[3] === 1)
    await rig.siblings[2]?.connections[0]?.send(okAnswer)
    t.equal((await second.answer()).status, 200)
    t.strictSame(health.outcomes, ['one-0 retried GET reset', 'one-1 lost GET drain', 'one-1 rescued GET ejected'])
  })
})

t.test('maintenance is a leaving too, and its end gives the time back', async (t) => {
  const clock = new FakeClock()
  await withFrozen(async (rig, health) => {
    const busy = await held(rig, health, request('POST', '/x'))
    const [first, second] = endpointsOf(rig.plane)
    if (!first || !second) throw new Error('two')
    applyEndpoints(rig.plane, [{ ...first, status: 'maintenance', weight: 0 }, second])
    clock.advance(8_000)
    applyEndpoints(rig.plane, [first, second])
    clock.advance(8_000)
    await settle()
    t.equal(stateOf(rig.plane, 'one-0').inFlight, 1)
    applyEndpoints(rig.plane, [{ ...first, status: 'maintenance', weight: 0 }, second])
    clock.advance(12_000)
    t.equal((await busy.answer()).status, 504)
  }, clock)
})

t.test('maintenance that ends for less than a look counts from its second beginning', async (t) => {
  const clock = new FakeClock()
  await withFrozen(async (rig, health) => {
    const busy = await held(rig, health, request('POST', '/x'))
    const [first, second] = endpointsOf(rig.plane)
    if (!first || !second) throw new Error('two')
    const away = [{ ...first, status: 'maintenance' as const, weight: 0 }, second]
    applyEndpoints(rig.plane, away)
    clock.advance(8_000)
    applyEndpoints(rig.plane, [first, second])
    applyEndpoints(rig.plane, away)
    clock.advance(8_000)
    await settle()
    t.equal(stateOf(rig.plane, 'one-0').inFlight, 1, 'not cut at the deadline of the first')
    clock.advance(4_000)
    t.equal((await busy.answer()).status, 504)
  }, clock)
})

t.test('a tunnel has a deadline of its own', async (t) => {
  const clock = new FakeClock()
  await withFrozen(async (rig, health) => {
    const client = await held(
      rig,
      health,
      headText(
        'GET /ws HTTP/1.1',
        'Host: a.test',
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      ),
    )
    await rig.connection.send(
      headText(
        'HTTP/1.1 101 Switching Protocols',
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
      ),
    )
    await until(() => client.received.includes('101'))
    applyEndpoints(rig.plane, endpointsOf(rig.plane).slice(1))
    clock.advance(18_000)
    await settle()
    t.notOk(client.finished || client.reset)
    clock.advance(5_000)
    await until(() => client.finished || client.reset)
  }, clock)
})

t.test('what an endpoint held when it broke is scattered: no two go to the same, while there are others', async (t) => {
  for (const how of ['silence', 'reset'] as const) {
    const health = new ScriptedHealth()
    const siblings = [silent, silent, silent]
    // Chance alone would ask the first two again and again.
    await withRig({ backend: silent, siblings, random: () => 0, ...health.options }, async (rig) => {
      const others = [1, 2, 3].map((index) => stateOf(rig.plane, `one-${index}`))
      for (const state of others) health.eject(state, 'refused', { certain: true })
      for (let i = 0; i < 3; i++) await (await rig.client()).send(get(`/${i}`))
      await until(() => rig.backend.requests.length === 3)
      for (const state of others) health.admit(state)
      if (how === 'silence') health.eject(stateOf(rig.plane, 'one-0'), 'silence')
      else for (const connection of rig.backend.connections) connection.abort()
      await until(() => rig.siblings.reduce((sum, each) => sum + each.requests.length, 0) === 3)
      t.strictSame(
        rig.siblings.map((each) => each.requests.length),
        [1, 1, 1],
        how,
      )
    })
  }
})

t.test('the one that waited longest goes its way alone: it may be what silenced them', async (t) => {
  const health = new ScriptedHealth()
  const clock = new FakeClock()
  await withRig(
    { backend: silent, siblings: [silent, silent], random: () => 0, clock, ...health.options },
    async (rig) => {
      const frozen = stateOf(rig.plane, 'one-0')
      const others = [1, 2].map((index) => stateOf(rig.plane, `one-${index}`))
      const connections = (): readonly BackendConnection[] => rig.siblings.flatMap((each) => each.connections)
      // That it broke before does not matter once it was back.
      for (const round of [0, 1]) {
        for (const state of others) health.eject(state, 'refused', { certain: true })
        for (let i = 0; i < 4; i++) {
          clock.advance(1)
          await (await rig.client()).send(get(`/${round}${i}`))
          await until(() => rig.backend.requests.length === 4 * round + i + 1)
        }
        for (const state of others) health.admit(state)
        health.eject(frozen, 'silence')
        const asked = (): readonly (readonly string[])[] =>
          connections()
            .map(({ requests }) => requests.map(({ startLine }) => startLine.split(' ')[1] ?? ''))
            .map((targets) => targets.filter((target) => target.startsWith(`/${round}`)))
            .filter((targets) => targets.length > 0)
        const first = `/${round}0`
        await until(() => asked().flat().length === 2)
        await settle()
        t.strictSame(new Set(asked().flat()), new Set([first, `/${round}1`]), 'one at each')
        const second = connections().find(({ requests }) => requests.at(-1)?.startLine.includes(`/${round}1 `))
        await second?.send(okAnswer)
        await until(() => asked().flat().length === 4)
        const beside = rig.siblings.find(({ requests }) =>
          requests.some(({ startLine }) => startLine.includes(` ${first} `)),
        )
        t.equal(beside?.requests.filter(({ startLine }) => startLine.includes(` /${round}`)).length, 1, 'it is alone')
        for (const connection of connections())
          if (connection !== second || connection.requests.length > 1) await connection.send(okAnswer)
        await until(() => statsOf(rig.plane).inFlight === 0)
        health.admit(frozen)
      }
    },
  )
})

/** The first backend holds `count` GETs, sent a millisecond apart; then the others may be picked again. */
async function withHeld(
  siblings: readonly BackendScript[],
  count: number,
  fn: (rig: Rig, health: ScriptedHealth, clock: FakeClock, clients: readonly RawClient[]) => Promise<void>,
): Promise<void> {
  const health = new ScriptedHealth()
  const clock = new FakeClock()
  const policy = { retry: { attempts: 3, budget: 1, bodyBytes: 0 } }
  await withRig({ backend: silent, siblings, clock, policy, ...health.options }, async (rig) => {
    const others = siblings.map((_, index) => stateOf(rig.plane, `one-${index + 1}`))
    for (const state of others) health.eject(state, 'refused', { certain: true })
    const clients: RawClient[] = []
    for (let i = 0; i < count; i++) {
      clock.advance(1)
      const client = await rig.client()
      clients.push(client)
      await client.send(get(`/${i}`))
      await until(() => rig.backend.requests.length === i + 1)
    }
    for (const state of others) health.admit(state)
    await fn(rig, health, clock, clients)
  })
}

/** Answers until `/0` comes, and nothing from then on. */
function hanging(): BackendScript {
  let hung = false
  return {
    onRequest: ({ startLine }, connection) => {
      hung ||= startLine.includes(' /0 ')
      if (!hung) void connection.send(okAnswer)
    },
  }
}

t.test('what hangs whoever runs it is alone where it is made again: the rest goes where answers come', async (t) => {
  for (const how of ['silence', 'reset'] as const)
    await withHeld([hanging(), hanging()], 12, async (rig, health, _clock, clients) => {
      if (how === 'silence') health.eject(stateOf(rig.plane, 'one-0'), 'silence')
      else for (const connection of rig.backend.connections) connection.abort()
      const answers = await Promise.all(clients.slice(1).map(async (client) => (await client.answer()).status))
      t.ok(answers.every((status) => status === 200))
      const counts = rig.siblings.map((each) => each.requests.length)
      t.strictSame(
        counts.toSorted((a, b) => a - b),
        [1, 11],
        how,
      )
      t.equal(statsOf(rig.plane).rescued, how === 'silence' ? 12 : 0)
    })
})

t.test('where nobody answers, what waits for its turn goes in the end', async (t) => {
  await withHeld([silent], 5, async (rig, health, clock) => {
    health.eject(stateOf(rig.plane, 'one-0'), 'silence')
    await until(() => targets(rig, 'sibling').length === 1)
    clock.advance(200)
    await settle()
    t.strictSame(targets(rig, 'sibling'), ['/0'])
    t.equal(statsOf(rig.plane).rescued, 1, 'the others are still where they were')
    clock.advance(100)
    await until(() => targets(rig, 'sibling').length === 5)
  })
})

t.test(
  'what waits for its turn: answered where it is, or given up by its client, it is made nowhere else',
  async (t) => {
    await withHeld([silent], 3, async (rig, health, clock, clients) => {
      health.eject(stateOf(rig.plane, 'one-0'), 'silence')
      await until(() => targets(rig, 'sibling').length === 1)
      await rig.backend.connections[1]?.send(okAnswer)
      t.equal((await clients[1]?.answer())?.status, 200, 'it thawed')
      clients[2]?.abort()
      await until(() => statsOf(rig.plane).inFlight === 1)
      clock.advance(500)
      await settle()
      t.strictSame(targets(rig, 'sibling'), ['/0'])
      t.strictSame(health.outcomes, ['one-0 rescued GET ejected'])
    })
    await withHeld([silent], 3, async (rig, _health, clock, clients) => {
      for (const connection of rig.backend.connections) connection.abort()
      await until(() => targets(rig, 'sibling').length === 1)
      for (const client of clients) client.abort()
      await until(() => statsOf(rig.plane).inFlight === 0)
      clock.advance(500)
      await settle()
      t.equal(targets(rig, 'sibling').length, 1, 'the same where its endpoint is gone')
    })
  },
)

t.test('what waited for its turn and has moved on is not taken from where it is now', async (t) => {
  await withHeld([silent, silent], 2, async (rig, health, clock, clients) => {
    const frozen = stateOf(rig.plane, 'one-0')
    const late = stateOf(rig.plane, 'one-2')
    health.eject(late, 'refused', { certain: true })
    health.eject(frozen, 'silence')
    await until(() => targets(rig, 'sibling').length === 1)
    health.eject(frozen, 'refused', { proven: true, certain: true })
    health.admit(late)
    rig.backend.connections[1]?.abort()
    const there = rig.siblings[1]
    await until(() => there?.requests.length === 1)
    clock.advance(100)
    await settle()
    await there?.connections[0]?.send(okAnswer)
    t.equal((await clients[1]?.answer())?.status, 200)
    t.strictSame(health.outcomes, ['one-0 rescued GET ejected', 'one-0 retried GET reset'])
  })
})

t.test('what waits for its turn is made again where death is proven, even if a last sign of life came', async (t) => {
  await withHeld([silent], 3, async (rig, health, clock, clients) => {
    const frozen = stateOf(rig.plane, 'one-0')
    health.eject(frozen, 'silence')
    await until(() => targets(rig, 'sibling').length === 1)
    health.eject(frozen, 'refused', { proven: true, certain: true })
    clock.advance(10)
    await rig.backend.connections[2]?.send(okAnswer)
    t.equal((await clients[2]?.answer())?.status, 200, 'what was on its way when it died')
    await rig.siblings[0]?.connections[0]?.send(okAnswer)
    t.equal((await clients[0]?.answer())?.status, 200)
    await until(() => targets(rig, 'sibling').includes('/1'))
  })
})

t.test('nobody goes where one is at work that may be the cause, when its time to wait is over', async (t) => {
  await withHeld([silent, silent], 8, async (rig, health, clock) => {
    health.eject(stateOf(rig.plane, 'one-0'), 'silence')
    const asked = (): readonly number[] => rig.siblings.map(({ requests }) => requests.length)
    await until(() => asked().every((count) => count === 1))
    const alone = rig.siblings.find(({ requests }) => requests[0]?.startLine.includes(' /0 '))
    clock.advance(300)
    await until(() => asked().reduce((sum, each) => sum + each, 0) === 8)
    t.equal(alone?.requests.length, 1)
  })
})

t.test('what waits for its turn when the proxy ends is told that it was sent', async (t) => {
  await withHeld([silent], 3, async (rig, _health, clock, clients) => {
    for (const connection of rig.backend.connections) connection.abort()
    await until(() => targets(rig, 'sibling').length === 1)
    const over = rig.plane.drain(100)
    clock.advance(150)
    t.strictSame(await Promise.all(clients.map(async (client) => (await client.answer()).status)), [504, 504, 504])
    await over
    t.equal(targets(rig, 'sibling').length, 1)
  })
})

t.test('a second attempt goes to nobody who leaves somebody waiting just then, while there are others', async (t) => {
  for (const how of ['silence', 'reset'] as const) {
    const health = new ScriptedHealth()
    const clock = new FakeClock()
    await withRig({ backend: silent, siblings: [silent, silent], clock, ...health.options }, async (rig) => {
      const states = [0, 1, 2].map((index) => stateOf(rig.plane, `one-${index}`))
      const asked = (): number[] => [rig.backend, ...rig.siblings].map(({ requests }) => requests.length)
      const send = async (to: number): Promise<void> => {
        for (const [index, state] of states.entries())
          if (index === to) health.admit(state)
          else health.eject(state, 'refused', { certain: true })
        const before = asked()[to] ?? 0
        await (await rig.client()).send(get())
        await until(() => asked()[to] === before + 1)
      }
      await send(1)
      clock.advance(60)
      // By what is in flight the busy one would be the last choice.
      for (const to of [2, 2, 2, 0]) await send(to)
      for (const state of states) health.admit(state)
      if (states[0] && how === 'silence') health.eject(states[0], 'silence')
      else rig.connection.abort()
      await until(() => asked().reduce((sum, each) => sum + each, 0) === 6)
      t.strictSame(asked(), [1, 1, 4], how)
    })
  }
})

t.test('what was refused has broken nobody: it goes by load alone', async (t) => {
  const health = new ScriptedHealth()
  const clock = new FakeClock()
  // Whatever is drawn, the one that refuses comes first.
  const options = { refusing: true, backend: silent, siblings: [silent], random: () => 0, clock, ...health.options }
  await withRig(options, async (rig) => {
    const [refusing, quiet, busy] = [0, 1, 2].map((index) => stateOf(rig.plane, `one-${index}`))
    if (!refusing || !quiet || !busy) throw new Error('three endpoints')
    const asked = (): readonly number[] => [rig.backend, ...rig.siblings].map(({ requests }) => requests.length)
    health.eject(refusing, 'refused', { certain: true })
    health.eject(busy, 'refused', { certain: true })
    await (await rig.client()).send(get())
    await until(() => asked()[0] === 1)
    clock.advance(60)
    health.eject(quiet, 'refused', { certain: true })
    health.admit(busy)
    for (let i = 0; i < 2; i++) await (await rig.client()).send(get())
    await until(() => asked()[1] === 2)
    for (const state of [refusing, quiet]) health.admit(state)
    await (await rig.client()).send(get())
    await until(() => asked()[0] === 2)
    t.strictSame(health.outcomes, ['one-0 retried GET unsent refused'])
  })
})

t.test('what is moved since its instance has to be empty takes no turn from those whose instance broke', async (t) => {
  const health = new ScriptedHealth()
  const clock = new FakeClock()
  const drain = { deadlineMs: 10_000, tunnelDeadlineMs: 20_000 }
  await withRig(
    { backend: silent, siblings: [silent, silent], clock, policy: { drain }, ...health.options },
    async (rig) => {
      const [leaving, breaks, other] = endpointsOf(rig.plane)
      if (!leaving || !breaks || !other) throw new Error('three endpoints')
      applyEndpoints(rig.plane, [leaving])
      await (await rig.client()).send(get('/moved'))
      await until(() => targets(rig, 'backend').length === 1)
      applyEndpoints(rig.plane, [{ ...leaving, status: 'maintenance', weight: 0 }, breaks])
      clock.advance(8_000)
      await (await rig.client()).send(get('/broken'))
      await until(() => targets(rig, 'sibling').length === 1)
      applyEndpoints(rig.plane, [
        { ...leaving, status: 'maintenance', weight: 0 },
        { ...breaks, status: 'maintenance', weight: 0 },
        other,
      ])
      clock.advance(4_000)
      const last = rig.siblings[1]
      await until(() => last?.requests.length === 1)
      rig.siblings[0]?.connections[0]?.abort()
      await until(() => last?.requests.length === 2)
      t.strictSame(health.outcomes, ['one-0 rescued GET ejected', 'one-1 retried GET reset'])
    },
  )
})

t.test('what has not been sent has no last time yet: it takes no turn and waits for none', async (t) => {
  const full = await openFullListener()
  try {
    // One that connects in vain is taken away; whoever is for its last time finds no turn taken by it.
    const health = new ScriptedHealth()
    const options = { ports: [full.port], backend: silent, siblings: [silent], ...health.options }
    await withRig(options, async (rig) => {
      const [blackhole, target, breaks] = [0, 1, 2].map((index) => stateOf(rig.plane, `one-${index}`))
      if (!blackhole || !target || !breaks) throw new Error('three endpoints')
      for (const state of [blackhole, target]) health.eject(state, 'refused', { certain: true })
      await (await rig.client()).send(get('/sent'))
      await until(() => targets(rig, 'sibling').length === 1)
      health.eject(breaks, 'refused', { certain: true })
      health.admit(blackhole)
      await (await rig.client()).send(get('/unsent'))
      await until(() => blackhole.inFlight === 1)
      health.admit(target)
      health.eject(blackhole, 'silence', { certain: true })
      await until(() => targets(rig, 'backend').length === 1)
      rig.siblings[0]?.connections[0]?.abort()
      await until(() => targets(rig, 'backend').length === 2)
      t.strictSame(targets(rig, 'backend'), ['/unsent', '/sent'])
    })
    const clock = new FakeClock()
    await withRig({ ports: [full.port], backend: silent, clock, ...health.options }, async (rig) => {
      const [blackhole, quiet] = [0, 1].map((index) => stateOf(rig.plane, `one-${index}`))
      if (!blackhole || !quiet) throw new Error('two endpoints')
      health.eject(blackhole, 'refused', { certain: true })
      await (await rig.client()).send(get('/waits'))
      await until(() => targets(rig, 'backend').length === 1)
      clock.advance(60)
      health.eject(quiet, 'refused', { certain: true })
      health.admit(blackhole)
      await (await rig.client()).send(get('/unsent'))
      await until(() => blackhole.inFlight === 1)
      health.admit(quiet)
      health.eject(blackhole, 'silence', { certain: true })
      await until(() => targets(rig, 'backend').length === 2)
      t.strictSame(targets(rig, 'backend'), ['/waits', '/unsent'], 'at once, although nobody else is there')
    })
  } finally {
    await full.close()
  }
})

t.test('with none but quiet ones left, a quiet one is asked', async (t) => {
  const health = new ScriptedHealth()
  const clock = new FakeClock()
  await withRig({ backend: silent, siblings: [silent], clock, ...health.options }, async (rig) => {
    const [first, quiet] = [0, 1].map((index) => stateOf(rig.plane, `one-${index}`))
    if (!first || !quiet) throw new Error('two endpoints')
    health.eject(first, 'refused', { certain: true })
    await (await rig.client()).send(get('/waits'))
    await until(() => rig.siblings[0]?.requests.length === 1)
    health.admit(first)
    health.eject(quiet, 'refused', { certain: true })
    await (await rig.client()).send(get('/x'))
    await until(() => rig.backend.requests.length === 1)
    clock.advance(60)
    health.admit(quiet)
    health.eject(first, 'silence')
    clock.advance(200)
    await settle()
    t.equal(rig.siblings[0]?.requests.length, 1, 'not before it is clear that nobody else will be there')
    clock.advance(100)
    await until(() => rig.siblings[0]?.requests.length === 2)
  })
})

t.test('one that is silent and kept in use gives up what waits there, while there is one that is heard', async (t) => {
  for (const heard of [true, false]) {
    const health = new ScriptedHealth()
    const clock = new FakeClock()
    await withRig({ backend: silent, siblings: [silent], clock, ...health.options }, async (rig) => {
      const [first, second] = [0, 1].map((index) => stateOf(rig.plane, `one-${index}`))
      if (!first || !second) throw new Error('two endpoints')
      if (!heard) {
        health.eject(first, 'refused', { certain: true })
        await (await rig.client()).send(get('/waits'))
        await until(() => rig.siblings[0]?.requests.length === 1)
        health.admit(first)
      }
      health.eject(second, 'refused', { certain: true })
      await (await rig.client()).send(get('/x'))
      await (await rig.client()).send(request('POST', '/y'))
      await until(() => rig.backend.requests.length === 2)
      health.admit(second)
      clock.advance(60)
      health.relieve(first)
      await settle()
      t.strictSame(
        targets(rig, 'sibling'),
        heard ? ['/x'] : ['/waits'],
        heard ? 'what is safe' : 'to whom should it go?',
      )
      t.ok(first.open, 'it stays in use')
    })
  }
})
