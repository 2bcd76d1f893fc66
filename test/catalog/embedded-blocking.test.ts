/** How the embedded catalog lets queries wait: never past a change, never more than it allows, never longer than asked. */
import * as fc from 'fast-check'
import { request as httpRequest } from 'node:http'
import t from 'tap'
import { answerBlocking, BlockedGate, parseBlocking, type Blocker } from '../../src/catalog/embedded/query.ts'
import { parseGoDuration } from '../../src/catalog/embedded/duration.ts'
import { json } from '../../src/catalog/embedded/reply.ts'
import { sessionConsequences } from '../../src/catalog/embedded/session-commands.ts'
import { CatalogState } from '../../src/catalog/embedded/state.ts'
import { CatalogStore, type Topic } from '../../src/catalog/embedded/store.ts'
import { anyOp, contents, enrolled, perform } from '../fixtures/catalog-ops.ts'
import { startEmbedded } from '../fixtures/catalog-speaker.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { until } from '../fixtures/until.ts'

function setUp(random: () => number = () => 0): { clock: FakeClock; store: CatalogStore; blocker: Blocker } {
  const clock = new FakeClock()
  const store = new CatalogStore(new CatalogState(10), undefined, clock, sessionConsequences)
  store.commit(enrolled)
  return { clock, store, blocker: { store, gate: new BlockedGate(10), random, datacenter: 'dc1' } }
}

await t.test('how long, by the clock', async (t) => {
  const waited = async (query: string, chance: number): Promise<number> => {
    const { clock, store, blocker } = setUp(() => chance)
    const topic: Topic = { table: 'catalog', index: () => store.state.servicesIndex }
    const params = new URLSearchParams(`index=${String(topic.index())}&${query}`)
    const reply = answerBlocking(blocker, params, new AbortController().signal, topic, () => json([]))
    const ms = clock.nextDelay() ?? 0
    clock.advance(ms)
    t.equal((await reply).headers['X-Consul-Index'], String(topic.index()))
    t.equal(clock.pending, 0)
    return ms
  }
  t.equal(await waited('', 0), 300_000, 'by default')
  t.equal(await waited('wait=0', 0), 300_000, 'and for 0')
  t.equal(await waited('wait=60000ms', 0), 60_000)
  t.equal(await waited('wait=1h', 0), 600_000, 'at most')
  t.equal(await waited('wait=16s', 0.5), 16_500, 'and up to a sixteenth more, by chance')
})

await t.test('a wait for what has happened already is none', async (t) => {
  const { clock, store } = setUp()
  const topic: Topic = { table: 'catalog', index: () => store.state.nodesIndex }
  await store.wait(topic, topic.index() - 1, 1000, new AbortController().signal)
  await store.wait(topic, topic.index(), 1000, AbortSignal.abort())
  t.strictSame([store.waiting, clock.pending], [0, 0])
  await store.close()
  await store.wait(topic, topic.index(), 1000, new AbortController().signal)
  t.strictSame([store.waiting, clock.pending], [0, 0], 'nor after the end')
})

await t.test('Go durations', async (t) => {
  const rows: [string, number | undefined][] = [
    ['0', 0],
    ['5m', 300_000],
    ['60000ms', 60_000],
    ['1m30.5s', 90_500],
    ['1.5h', 5_400_000],
    ['250us', 0.25],
    ['2µs', 0.002],
    ['1000000ns', 1],
    ['-3s', -3_000],
    ['', undefined],
    ['5', undefined],
    ['s', undefined],
    ['5 s', undefined],
    ['5sx', undefined],
    ['1d', undefined],
  ]
  for (const [text, ms] of rows) t.equal(parseGoDuration(text), ms, JSON.stringify(text))
})

await t.test('numbers that are no index', async (t) => {
  for (const bad of ['x', '-1', '1.5', '1e3', '99999999999999999999999'])
    t.throws(() => parseBlocking(new URLSearchParams(`index=${bad}`), 'dc1'), { message: 'Invalid index' }, bad)
  t.equal(parseBlocking(new URLSearchParams('index='), 'dc1').index, 0)
})

await t.test('no change is ever missed', async () => {
  const prefixes = ['', 'x', 'x/', 'y', 'zz']
  const run = fc.asyncProperty(fc.array(anyOp, { maxLength: 60 }), async (ops) => {
    const { store, blocker } = setUp()
    const { state } = store
    const topics: { topic: Topic; read: () => string }[] = []
    for (const name of ['a', 'b', 'nosuch']) {
      const read = (): string =>
        contents(state)
          .filter((line) => line.includes(`"name":"${name}"`))
          .join()
      topics.push({ topic: { table: 'catalog', index: () => state.definitionIndex(name) }, read })
    }
    for (const prefix of prefixes) {
      const read = (): string =>
        contents(state)
          .filter((line) => line.includes(`"key":"${prefix}`))
          .join()
      const concerns = (keys: ReadonlySet<string>): boolean => [...keys].some((key) => key.startsWith(prefix))
      topics.push({ topic: { table: 'kv', index: () => state.prefixIndex(prefix), concerns }, read })
    }
    topics.push({
      topic: { table: 'session', index: () => state.sessionsIndex },
      read: () => [...state.sessions.keys()].toSorted().join(),
    })
    topics.push({
      topic: { table: 'catalog', index: () => state.checksIndex },
      read: () =>
        contents(state)
          .filter((line) => line.includes('"kind":"check"'))
          .join(),
    })
    const end = new AbortController()
    const seen = topics.map(() => '')
    const loops = topics.map(async ({ topic, read }, at) => {
      for (let index = 0; !end.signal.aborted;) {
        const params = new URLSearchParams(`index=${String(index)}`)
        const reply = await answerBlocking({ ...blocker, gate: new BlockedGate(99) }, params, end.signal, topic, () => {
          seen[at] = read()
          return json(null)
        })
        const next = Number(reply.headers['X-Consul-Index'])
        if (next < index) throw new Error('an index went back')
        index = next
      }
    })
    for (const op of ops) {
      perform(store, op)
      if (op.what.length % 3 === 0) await Promise.resolve()
    }
    await new Promise((resolve) => setImmediate(resolve))
    for (const [at, { read }] of topics.entries())
      if (seen[at] !== read()) throw new Error(`watch ${String(at)} is behind`)
    end.abort()
    await Promise.all(loops)
  })
  await fc.assert(run, { numRuns: 200 })
})

await t.test('too many deleted keys cost a wake-up, never a change', async (t) => {
  const { store } = setUp()
  const { state } = store
  const write = (key: string): number =>
    store.commit((index) => [
      {
        kind: 'kv',
        entry: { key, value: '', flags: '0', lockIndex: 0, session: '', createIndex: index, modifyIndex: index },
      },
    ])
  for (let i = 0; i < 10_050; i++) {
    write(`k${String(i)}`)
    const before = state.keyIndex(`k${String(i)}`)
    store.commit(() => [{ kind: 'kv-gone', key: `k${String(i)}` }])
    if (state.keyIndex(`k${String(i)}`) <= before) t.fail('a deletion that shows nowhere')
  }
  t.ok(state.keyIndex('k0') > 10_000, 'what is forgotten counts as changed')
})

await t.test('more than may wait are told so, and the connection stays', async (t) => {
  const it = await startEmbedded({ maxBlocked: 3 })
  t.teardown(() => it.stop())
  const { index } = await it.ask('GET', 'kv/x')
  const blocked = Array.from({ length: 3 }, () => it.ask('GET', `kv/x?index=${String(index)}`))
  const refused = await until(async () => {
    const answer = await it.ask('GET', `kv/x?index=${String(index)}&wait=1ms`)
    return answer.status === 429 && answer
  })
  t.match(refused.text, /Too many blocked queries/)
  t.equal((await it.ask('GET', 'kv/x')).status, 404, 'what does not wait is answered')
  await it.ask('PUT', 'kv/x', 'y')
  for (const answer of await Promise.all(blocked)) t.equal(answer.status, 200)
  const after = await it.ask('GET', `kv/none?index=${String(index)}&wait=1ms`)
  t.equal(after.status, 404, 'there is room again')
})

await t.test('who goes away makes room', async (t) => {
  const it = await startEmbedded({ maxBlocked: 1 })
  t.teardown(() => it.stop())
  const { index } = await it.ask('GET', 'kv/x')
  const path = `kv/x?index=${String(index)}`
  const abort = new AbortController()
  const first = it.ask('GET', path, undefined, abort.signal)
  await until(async () => (await it.ask('GET', `${path}&wait=1ms`)).status === 429)
  abort.abort()
  await t.rejects(first)
  await until(async () => (await it.ask('GET', `${path}&wait=1ms`)).status === 404)
})

await t.test('at its end, what waits is answered', async (t) => {
  const it = await startEmbedded()
  const { index } = await it.ask('GET', 'kv/x')
  const answer = new Promise<{ status: number | undefined; connection: string | undefined }>((resolve, reject) => {
    const req = httpRequest(`${it.address}/v1/kv/x?index=${String(index)}`, (res) => {
      res.resume()
      resolve({ status: res.statusCode, connection: res.headers.connection })
    })
    req.on('error', reject)
    req.end()
  })
  await it.ask('GET', 'catalog/services')
  await it.ask('GET', 'catalog/services')
  await it.stop()
  t.strictSame(await answer, { status: 404, connection: 'close' })
})
