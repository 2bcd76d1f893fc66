/** An operator's orders in the data plane: who gets traffic, what is taken from whom, when it ends, what is told of it. */
import t from 'tap'
import { defaultServicePolicy } from '../../src/policy/policy.ts'
import type { OperatorCommand } from '../../src/proxy/options.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { applyEndpoints, endpointsOf, get, post, stateOf, withRig } from '../fixtures/plane-parts.ts'
import { okAnswer, type BackendScript } from '../fixtures/raw-backend.ts'
import { settle } from '../fixtures/raw-client.ts'
import type { Rig } from '../fixtures/rig.ts'
import { ScriptedHealth } from '../fixtures/scripted-health.ts'
import { until } from '../fixtures/until.ts'

const silent: BackendScript = { onRequest: () => undefined }
const drain = { deadlineMs: 10_000, tunnelDeadlineMs: 20_000 }

interface OrderParts {
  readonly kind: OperatorCommand['kind']
  readonly forMs?: number
  readonly reason?: string
}

function order(rig: Rig, handle: string, command: OrderParts): string {
  const { key, life } = stateOf(rig.plane, handle)
  return rig.plane.operate(key, life, { forMs: undefined, reason: 'why', by: 'alice', ...command })
}

interface Setting {
  readonly rig: Rig
  readonly health: ScriptedHealth
  readonly clock: FakeClock
}

/** Two instances: the first is silent unless it is scripted, the second answers. */
async function withTwo(fn: (setting: Setting) => Promise<void>, backend: BackendScript = silent): Promise<void> {
  const health = new ScriptedHealth()
  const clock = new FakeClock()
  await withRig({ backend, siblings: [{}], policy: { drain }, clock, ...health.options }, (rig) =>
    fn({ rig, health, clock }),
  )
}

/** A request that waits at the first instance, with the second open again. */
async function heldAtFirst({ rig }: Setting, text: string): Promise<Awaited<ReturnType<Rig['client']>>> {
  order(rig, 'one-1', { kind: 'drain' })
  const client = await rig.client()
  await client.send(text)
  await until(() => rig.backend.requests.length === 1)
  order(rig, 'one-1', { kind: 'restore' })
  return client
}

const answers = async (rig: Rig, count: number): Promise<number> => {
  let good = 0
  for (let i = 0; i < count; i++) {
    const client = await rig.client()
    await client.send(get('/more'))
    if ((await client.answer()).status === 200) good++
  }
  return good
}

t.test('drain: nothing new, what it has finishes, restore brings it back', async (t) => {
  await withTwo(async (setting) => {
    const { rig } = setting
    const client = await heldAtFirst(setting, get('/x'))
    t.equal(order(rig, 'one-0', { kind: 'drain' }), 'done')
    t.match(rig.plane.healthOf(stateOf(rig.plane, 'one-0')), { state: 'draining' })
    t.equal(await answers(rig, 5), 5)
    t.equal(rig.backend.requests.length, 1)
    await rig.connection.send(okAnswer)
    t.equal((await client.answer()).status, 200, 'and is not taken from it')
    t.equal(order(rig, 'one-0', { kind: 'restore' }), 'done')
    t.equal(order(rig, 'one-0', { kind: 'restore' }), 'no-order')
    t.ok(stateOf(rig.plane, 'one-0').open)
    t.equal(rig.plane.operate('nobody', 1, { kind: 'restore', reason: '', by: 'a' }), 'unknown')
    t.equal(rig.plane.operate(stateOf(rig.plane, 'one-0').key, 2, { kind: 'restore', reason: '', by: 'a' }), 'unknown')
  })
})

t.test('eject: what is safe and waits is taken elsewhere, the rest has the time of a drain', async (t) => {
  await withTwo(async (setting) => {
    const { rig, health } = setting
    const client = await heldAtFirst(setting, get('/x'))
    health.events.length = 0
    order(rig, 'one-0', { kind: 'eject', reason: 'smells' })
    t.equal((await client.answer()).status, 200)
    t.strictSame(health.outcomes, ['one-0 rescued GET ejected'])
    t.match(health.events[0], {
      kind: 'ejected',
      cause: 'operator',
      applied: true,
      proven: false,
      inFlight: 1,
      operator: { by: 'alice', reason: 'smells', forMs: undefined },
    })
    t.match(rig.plane.healthOf(stateOf(rig.plane, 'one-0')), { state: 'ejected', cause: 'operator' })
  })
  for (const kind of ['drain', 'eject'] as const)
    await withTwo(async (setting) => {
      const { rig, clock } = setting
      const client = await heldAtFirst(setting, `${post('Content-Length: 2')}ab`)
      order(rig, 'one-0', { kind })
      clock.advance(9_000)
      await settle()
      t.ok(client.open, kind)
      t.equal(client.received, '')
      clock.advance(2_100)
      t.equal((await client.answer()).status, 504)
      t.match(rig.records.at(-1), { cause: 'drain' })
    })
})

t.test('nobody is left: 503, below the panic threshold too', async (t) => {
  await withTwo(async ({ rig, health }) => {
    health.eject(stateOf(rig.plane, 'one-1'), 'consecutive-failures')
    t.equal(stateOf(rig.plane, 'one-1').open, false)
    order(rig, 'one-0', { kind: 'eject' })
    t.ok(stateOf(rig.plane, 'one-1').open, 'of those that count, none is available')
    order(rig, 'one-1', { kind: 'eject' })
    t.notOk(stateOf(rig.plane, 'one-0').open || stateOf(rig.plane, 'one-1').open)
    const client = await rig.client()
    await client.send(get())
    t.equal((await client.answer()).status, 503)
    health.admit(stateOf(rig.plane, 'one-1'))
    t.notOk(stateOf(rig.plane, 'one-1').open, 'health undoes no order')
    order(rig, 'one-1', { kind: 'restore' })
    t.ok(stateOf(rig.plane, 'one-1').open)
    t.notOk(stateOf(rig.plane, 'one-0').open)
  })
})

t.test('an order with a time ends by the clock, an order given anew replaces the one before', async (t) => {
  await withTwo(async ({ rig, health, clock }) => {
    const state = stateOf(rig.plane, 'one-0')
    order(rig, 'one-0', { kind: 'drain', forMs: 5_000 })
    clock.advance(4_900)
    t.notOk(state.open)
    clock.advance(150)
    t.ok(state.open)
    t.equal(state.order, undefined)
    t.match(health.events, [
      { kind: 'draining', operator: { by: 'alice', reason: 'why', forMs: 5_000 } },
      { kind: 'restored', operator: { by: 'alice', reason: 'why', expired: true } },
    ])
    health.events.length = 0
    order(rig, 'one-0', { kind: 'eject', forMs: 5_000 })
    order(rig, 'one-0', { kind: 'eject' })
    clock.advance(60_000)
    t.notOk(state.open, 'the second one has no end')
    t.equal(health.events.length, 1, 'and is no second ejection')
    order(rig, 'one-0', { kind: 'drain', forMs: 1_000 })
    clock.advance(1_100)
    t.ok(state.open)
  })
})

t.test('what returns begins with little: slow start', async (t) => {
  await withTwo(async ({ rig, clock }) => {
    const state = stateOf(rig.plane, 'one-0')
    order(rig, 'one-0', { kind: 'drain' })
    order(rig, 'one-0', { kind: 'restore' })
    t.equal(state.ramp, 0.1)
    clock.advance(defaultServicePolicy.health.slowStartMs + 100)
    t.equal(state.ramp, 1)
  })
})

t.test('a table swap changes nothing of it; a new life begins without it', async (t) => {
  await withTwo(async ({ rig, clock }) => {
    order(rig, 'one-0', { kind: 'eject', forMs: 5_000 })
    const old = stateOf(rig.plane, 'one-0')
    const endpoints = endpointsOf(rig.plane)
    applyEndpoints(
      rig.plane,
      endpoints.map((each) => ({ ...each })),
    )
    t.notOk(old.open)
    t.equal(stateOf(rig.plane, 'one-0'), old)
    applyEndpoints(
      rig.plane,
      endpoints.map((each) => ({ ...each, life: each.handle === 'one-0' ? 2 : each.life })),
    )
    const fresh = stateOf(rig.plane, 'one-0')
    t.equal(fresh.order, undefined)
    t.ok(fresh.open)
    clock.advance(6_000)
    t.ok(old.order, 'what has left is nobody’s any more')
  })
})

t.test('the time to finish in counts from the order, and a restore gives it back', async (t) => {
  await withTwo(async (setting) => {
    const { rig, clock } = setting
    const client = await heldAtFirst(setting, `${post('Content-Length: 2')}ab`)
    order(rig, 'one-0', { kind: 'drain' })
    clock.advance(8_000)
    order(rig, 'one-0', { kind: 'restore' })
    order(rig, 'one-0', { kind: 'drain' })
    clock.advance(8_000)
    await settle()
    t.equal(client.received, '')
    await rig.connection.send(okAnswer)
    t.equal((await client.answer()).status, 200)
  })
})

t.test('health is told, so that it counts as the panic threshold does', async (t) => {
  await withTwo(async ({ rig, health }) => {
    order(rig, 'one-0', { kind: 'drain' })
    order(rig, 'one-0', { kind: 'restore' })
    t.strictSame(health.told, ['one-0 ordered drain', 'one-0 ordered nothing'])
  })
})
