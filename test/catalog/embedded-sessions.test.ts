/** Sessions of the embedded catalog on a clock of our own: time limits, lock-delay, and what survives a restart. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { acquireKey } from '../../src/catalog/embedded/kv-commands.ts'
import { LockDelays } from '../../src/catalog/embedded/lock-delays.ts'
import { createSession, sessionConsequences, sessionTtlMs } from '../../src/catalog/embedded/session-commands.ts'
import { SessionRunner } from '../../src/catalog/embedded/session-runner.ts'
import { CatalogState } from '../../src/catalog/embedded/state.ts'
import { CatalogStore } from '../../src/catalog/embedded/store.ts'
import { silentLogger } from '../../src/core/log.ts'
import { enrolled } from '../fixtures/catalog-ops.ts'
import { startEmbedded } from '../fixtures/catalog-speaker.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'

const id = (n: number): string => `00000000-0000-0000-0000-00000000000${String(n)}`

interface Rig {
  readonly clock: FakeClock
  readonly store: CatalogStore
  readonly delays: LockDelays
  readonly runner: SessionRunner
  readonly open: (n: number, body: object) => void
  readonly lock: (n: number, key: string) => boolean
}

function setUp(): Rig {
  const clock = new FakeClock()
  const store = new CatalogStore(new CatalogState(1), undefined, clock, sessionConsequences)
  store.commit(enrolled)
  const delays = new LockDelays(clock)
  const runner = new SessionRunner(store, delays, { clock, log: silentLogger })
  runner.start()
  return {
    clock,
    store,
    delays,
    runner,
    open: (n, body) => {
      store.commit((index) => [{ kind: 'session', session: createSession(store.state, body, 'n1', id(n), index) }])
    },
    lock: (n, key) => {
      const session = store.state.sessions.get(id(n))
      if (!session || delays.holds(key)) return false
      let done = false
      store.commit((index) => {
        const changes = acquireKey(store.state, { key, value: '', flags: '0' }, session, index)
        done = changes !== undefined
        return changes ?? []
      })
      return done
    },
  }
}

await t.test('a session that is not renewed ends after twice its TTL, and its locks with it', async (t) => {
  const { clock, store, runner, delays, open, lock } = setUp()
  open(1, { TTL: '10s', LockDelay: '5s' })
  open(2, { Behavior: 'delete', TTL: '10s' })
  open(3, {})
  t.ok(lock(1, 'released'))
  t.ok(lock(2, 'deleted'))
  t.notOk(lock(3, 'released'))
  clock.advance(19_999)
  runner.renew(id(2))
  t.ok(store.state.sessions.has(id(1)))
  const before = store.state.keyIndex('released')
  clock.advance(1)
  t.notOk(store.state.sessions.has(id(1)))
  t.match(store.state.kv.get('released'), { session: '', lockIndex: 1 })
  t.ok(store.state.keyIndex('released') > before, 'whoever waits for the lock is woken')
  t.ok(store.state.sessions.has(id(2)), 'it was renewed')
  t.notOk(lock(3, 'released'), 'the lock-delay')
  clock.advance(5_000)
  t.ok(lock(3, 'released'))
  clock.advance(20_000)
  t.notOk(store.state.kv.has('deleted'), 'behaviour delete')
  t.ok(delays.holds('deleted'), 'fifteen seconds by default')
  t.ok(store.state.sessions.has(id(3)), 'without a TTL it stays')
  runner.stop()
  t.equal(clock.pending, 0)
})

await t.test('a session ends with its node', async (t) => {
  const { store, open, lock } = setUp()
  const indexes = { createIndex: 1, modifyIndex: 1 }
  const far = { name: 'far', id: '', address: '10.0.0.1', taggedAddresses: {}, meta: {}, local: false, ...indexes }
  store.commit(() => [{ kind: 'node', node: far }])
  open(1, { Node: 'far', Checks: [] })
  t.ok(lock(1, 'k'))
  store.commit(() => [{ kind: 'node-gone', name: 'far' }])
  t.notOk(store.state.sessions.has(id(1)))
  t.match(store.state.kv.get('k'), { session: '' })
})

await t.test('TTL bounds', async (t) => {
  t.equal(sessionTtlMs(''), 0)
  t.equal(sessionTtlMs('10s'), 10_000)
  t.equal(sessionTtlMs('24h'), 86_400_000)
  for (const bad of ['9.9s', '25h', 'soon']) t.throws(() => sessionTtlMs(bad), { message: /Session TTL/ }, bad)
})

await t.test('after a restart: registrations, keys, locks, and a node by another name', async (t) => {
  const stateDir = mkdtempSync(join(tmpdir(), 'fairlead-restart-'))
  t.teardown(() => rmSync(stateDir, { recursive: true, force: true }))
  const first = await startEmbedded({ stateDir })
  await first.ask('PUT', 'agent/service/register', { Name: 'web', Port: 80, Check: { TTL: '60s', Status: 'passing' } })
  const session = (await first.ask('PUT', 'session/create', {})).json<{ ID: string }>().ID
  await first.ask('PUT', `kv/lock?acquire=${session}`, 'mine')
  const before = await first.ask('GET', 'health/service/web')
  await first.stop()

  const second = await startEmbedded({ stateDir })
  const after = await second.ask('GET', 'health/service/web')
  t.strictSame(after.json(), before.json(), 'the same node, service, checks and creation')
  t.ok(after.index > before.index)
  t.match((await second.ask('GET', 'kv/lock')).json(), [{ Session: session }], 'the lock is held')
  t.strictSame((await second.ask('PUT', 'agent/check/pass/service:web')).status, 200, 'its TTL goes on')
  await second.stop()

  const renamed = await startEmbedded({ stateDir, nodeName: 'other' })
  t.teardown(() => renamed.stop())
  const moved = (await renamed.ask('GET', 'health/service/web')).json<{ Node: { Node: string }; Checks: object[] }[]>()
  t.match(moved, [{ Node: { Node: 'other' }, Service: { ID: 'web' } }])
  t.equal(moved[0]?.Checks.length, 2)
  t.equal((await renamed.ask('GET', 'catalog/nodes')).json<object[]>().length, 1)
  t.match((await renamed.ask('GET', 'agent/services')).json(), { web: {} })
  t.strictSame((await renamed.ask('GET', 'session/list')).json(), [], 'its sessions ended with the former node')
})
