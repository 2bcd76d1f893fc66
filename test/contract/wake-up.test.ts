/** Blocking queries, against a real agent and the embedded catalog: which change wakes which query, and which must not. */
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { deviations } from './deviations.ts'
import { entrants, type Answer, type Speaker } from '../fixtures/catalog-speaker.ts'
import { until } from '../fixtures/until.ts'

const register = (it: Speaker, body: object): Promise<Answer> => it.ask('PUT', 'agent/service/register', body)

interface Row {
  readonly blocked: string
  readonly action: string
  readonly wakes: boolean
  readonly before?: (it: Speaker) => Promise<unknown>
  readonly act: (it: Speaker) => Promise<unknown>
}

const a = { ID: 'a-1', Name: 'a', Port: 1, Check: { TTL: '60s', Status: 'passing' } }
const b = { ID: 'b-1', Name: 'b', Port: 1, Check: { TTL: '60s', Status: 'passing' } }
const pass = (it: Speaker, id: string, note: string) => it.ask('PUT', `agent/check/pass/service:${id}?note=${note}`)
const fail = (it: Speaker, id: string) => it.ask('PUT', `agent/check/fail/service:${id}`)

const rows: readonly Row[] = [
  { blocked: 'catalog/services', action: 'a check flips', wakes: false, act: (it) => fail(it, 'a-1') },
  { blocked: 'catalog/services', action: 'new instance', wakes: true, act: (it) => register(it, { ...a, ID: 'a-2' }) },
  { blocked: 'catalog/services', action: 'Meta', wakes: true, act: (it) => register(it, { ...a, Meta: { v: '2' } }) },
  { blocked: 'catalog/services', action: 'a tag', wakes: true, act: (it) => register(it, { ...a, Tags: ['t'] }) },
  { blocked: 'catalog/services', action: 'the same again', wakes: false, act: (it) => register(it, a) },
  { blocked: 'catalog/services', action: 'kv', wakes: false, act: (it) => it.ask('PUT', 'kv/other', 'x') },
  { blocked: 'health/service/a', action: 'the same again', wakes: false, act: (it) => register(it, a) },
  { blocked: 'health/service/a', action: 'its check flips', wakes: true, act: (it) => fail(it, 'a-1') },
  { blocked: 'health/service/a', action: 'another’s check', wakes: false, act: (it) => fail(it, 'b-1') },
  {
    blocked: 'health/service/a',
    action: 'another comes',
    wakes: false,
    act: (it) => register(it, { ...b, ID: 'b-9' }),
  },
  { blocked: 'health/service/a', action: 'a note alone', wakes: false, act: (it) => pass(it, 'a-1', 'new') },
  {
    blocked: 'health/service/a',
    action: 'maintenance',
    wakes: true,
    act: (it) => it.ask('PUT', 'agent/service/maintenance/a-1?enable=true'),
  },
  {
    blocked: 'health/service/a',
    action: 'maintenance of the node',
    wakes: true,
    act: (it) => it.ask('PUT', 'agent/maintenance?enable=true'),
  },
  {
    blocked: 'health/service/a?passing',
    action: 'Meta of a critical one',
    wakes: true,
    before: (it) => fail(it, 'a-1'),
    act: (it) => register(it, { ...a, Meta: { v: '3' } }),
  },
  {
    blocked: 'health/service/a',
    action: 'it goes',
    wakes: true,
    act: (it) => it.ask('PUT', 'agent/service/deregister/a-1'),
  },
  { blocked: 'catalog/service/a', action: 'weights', wakes: true, act: (it) => register(it, weighted) },
  { blocked: 'catalog/service/a', action: 'its check flips', wakes: false, act: (it) => fail(it, 'a-1') },
  { blocked: 'catalog/service/a', action: 'another’s check', wakes: false, act: (it) => fail(it, 'b-1') },
  { blocked: 'health/checks/a', action: 'its check flips', wakes: true, act: (it) => fail(it, 'a-1') },
  {
    blocked: 'health/service/nosuch',
    action: 'a service ends',
    wakes: true,
    act: (it) => it.ask('PUT', 'agent/service/deregister/b-1'),
  },
  { blocked: 'health/service/nosuch', action: 'it comes', wakes: true, act: (it) => register(it, { Name: 'nosuch' }) },
  { blocked: 'health/state/any', action: 'a check flips', wakes: true, act: (it) => fail(it, 'b-1') },
  { blocked: 'health/state/any', action: 'a note alone', wakes: false, act: (it) => pass(it, 'b-1', 'new') },
  { blocked: 'health/node/n1', action: 'a check flips', wakes: true, act: (it) => fail(it, 'b-1') },
  { blocked: 'catalog/node/n1', action: 'a registration', wakes: true, act: (it) => register(it, { Name: 'c' }) },
  { blocked: 'catalog/nodes', action: 'a registration', wakes: false, act: (it) => register(it, { Name: 'c' }) },
  { blocked: 'kv/x', action: 'the same value', wakes: false, act: (it) => it.ask('PUT', 'kv/x', 'one') },
  { blocked: 'kv/x', action: 'another value', wakes: true, act: (it) => it.ask('PUT', 'kv/x', 'two') },
  { blocked: 'kv/x', action: 'it goes', wakes: true, act: (it) => it.ask('DELETE', 'kv/x') },
  { blocked: 'kv/x', action: 'another key', wakes: false, act: (it) => it.ask('PUT', 'kv/y', 'one') },
  { blocked: 'kv/x/?recurse', action: 'a child', wakes: true, act: (it) => it.ask('PUT', 'kv/x/new', 'one') },
  { blocked: 'kv/x/?recurse', action: 'a child goes', wakes: true, act: (it) => it.ask('DELETE', 'kv/x/a') },
  { blocked: 'kv/x/?recurse', action: 'all go', wakes: true, act: (it) => it.ask('DELETE', 'kv/x/?recurse') },
  { blocked: 'kv/x/?keys', action: 'a child', wakes: true, act: (it) => it.ask('PUT', 'kv/x/new', 'one') },
  { blocked: 'kv/x/?recurse', action: 'elsewhere', wakes: false, act: (it) => it.ask('PUT', 'kv/y', 'two') },
  { blocked: 'kv/missing', action: 'it comes', wakes: true, act: (it) => it.ask('PUT', 'kv/missing', 'x') },
  { blocked: 'session/list', action: 'a session', wakes: true, act: (it) => it.ask('PUT', 'session/create', {}) },
]

const weighted = { ...a, Weights: { Passing: 5, Warning: 2 } }

/** Both services passing, the keys as the rows expect them, nothing else. */
async function reset(it: Speaker): Promise<void> {
  await it.ask('PUT', 'agent/maintenance?enable=false')
  for (const id of ['a-2', 'b-9', 'c', 'nosuch']) await it.ask('PUT', `agent/service/deregister/${id}`)
  await it.ask('PUT', 'agent/service/maintenance/a-1?enable=false')
  for (const one of [a, b]) await register(it, one)
  await pass(it, 'a-1', '')
  await pass(it, 'b-1', '')
  for (const key of ['missing', 'x/new']) await it.ask('DELETE', `kv/${key}`)
  for (const key of ['x', 'x/a', 'y']) await it.ask('PUT', `kv/${key}`, 'one')
  const passing = async (name: string): Promise<boolean> =>
    (await it.ask('GET', `health/service/${name}?passing`)).json<unknown[]>().length === 1
  await until(async () => (await passing('a')) && (await passing('b')))
}

/** What the query answers if nothing wakes it: the wait runs out. */
const QUIET_MS = 120

/** `headStartMs` goes by between the query and the action. */
async function wakes(it: Speaker, row: Row, headStartMs = 0): Promise<{ woke: boolean; forward: boolean }> {
  await reset(it)
  await row.before?.(it)
  const join = row.blocked.includes('?') ? '&' : '?'
  // An agent writes what it was told to the catalog a moment later: ask until the index stands still.
  let index = 0
  await until(async () => {
    const before = index
    index = (await it.ask('GET', row.blocked)).index
    return index === before
  })
  const started = performance.now()
  const blocked = it.ask('GET', `${row.blocked}${join}index=${String(index)}&wait=${String(QUIET_MS * 8)}ms`)
  const quiet = AbortSignal.timeout(QUIET_MS * 20)
  if (headStartMs > 0) await delay(headStartMs)
  await row.act(it)
  const first = await Promise.race([
    blocked,
    new Promise<undefined>((resolve) => setTimeout(resolve, QUIET_MS, undefined)),
  ])
  if (first) return { woke: performance.now() - started < QUIET_MS * 8, forward: first.index > index }
  if (row.wakes) {
    const late = await blocked
    return { woke: late.index > index, forward: late.index > index }
  }
  quiet.throwIfAborted()
  return { woke: false, forward: true }
}

/** All below the wait of a query, QUIET_MS * 8, with QUIET_MS to spare. */
const headStartsMs = [50, 200, 600]

/**
 * Query and action travel on two connections. A query that comes second, as on a busy machine, is answered at once where
 * the action raises its index without waking those that wait (Consul raises that of catalog/service with each check), and
 * nothing tells from outside that a query waits. Consul also may wake one for nothing (its documentation of blocking
 * queries says so). So where a real agent must stay quiet, the query gets a longer head start each time until it does:
 * an action that wakes it wakes it in every run. The embedded catalog gets one.
 */
async function settledWakes(it: Speaker, row: Row): Promise<{ woke: boolean; forward: boolean }> {
  let outcome = await wakes(it, row)
  if (it.kind !== 'consul' || row.wakes) return outcome
  for (const headStartMs of headStartsMs) {
    if (!outcome.woke) break
    outcome = await wakes(it, row, headStartMs)
  }
  return outcome
}

for (const entrant of await entrants()) {
  const skip = entrant.absent ?? false
  await t.test(entrant.kind, { skip }, async (t) => {
    const it = await entrant.start()
    t.teardown(() => it.stop())

    await t.test('who wakes whom', async (t) => {
      for (const row of rows) {
        const { woke, forward } = await settledWakes(it, row)
        t.equal(woke, row.wakes, `${row.blocked}: ${row.action}: ${row.wakes ? 'wakes' : 'does not wake'}`)
        if (woke) t.ok(forward, 'and its index is greater')
      }
    })

    await t.test('how long a query waits', async (t) => {
      const timed = async (query: string): Promise<number> => {
        const started = performance.now()
        await it.ask('GET', `kv/x?${query}`)
        return performance.now() - started
      }
      const index = String((await it.ask('GET', 'kv/x')).index)
      t.ok((await timed('index=0&wait=10s')) < 1000, 'index 0 answers at once')
      t.ok((await timed('wait=10s')) < 1000, 'no index answers at once')
      t.ok((await timed('index=1&wait=10s')) < 1000, 'an older index answers at once')
      const waited = await timed(`index=${index}&wait=300ms`)
      t.ok(waited >= 295 && waited < 1000, `300 ms are 300 ms and a little: ${String(waited)}`)
      const above = String(Number(index) + 1_000_000)
      const real = it.kind === 'consul'
      const started = await timed(`index=${above}&wait=300ms`)
      t.equal(started >= 250, real, deviations.indexAboveCurrent[2])
    })

    await t.test('an aborted query leaves nothing behind', async (t) => {
      const index = (await it.ask('GET', 'kv/x')).index
      const abort = new AbortController()
      const blocked = it.ask('GET', `kv/x?index=${String(index)}&wait=60s`, undefined, abort.signal)
      abort.abort()
      await t.rejects(blocked)
      t.equal((await it.ask('GET', 'kv/x')).status, 200)
    })
  })
}
