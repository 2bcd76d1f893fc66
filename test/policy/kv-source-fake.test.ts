/** What a real agent cannot be made to do: wrong indexes, torn bodies, silence, servers that lag. And what was saved. */
import t, { type Test } from 'tap'
import { type Clock, systemClock } from '../../src/core/clock.ts'
import { silentLogger } from '../../src/core/log.ts'
import { systemRandom } from '../../src/core/random.ts'
import type { DocumentKnowledge, DocumentSource } from '../../src/policy/documents/documents.ts'
import { savedGraceMs } from '../../src/policy/documents/document-watch.ts'
import { createKvSource, type KvSourceOptions } from '../../src/policy/kv/kv-source.ts'
import { collectDocuments } from '../fixtures/collect-documents.ts'
import { FakeConsul, type FakeRequest, type Scripted } from '../fixtures/fake-consul.ts'
import { until } from '../fixtures/until.ts'

/** A KV of one folder that the test holds: documents, the index it tells, and who may read. */
class FakeKv {
  readonly fake: FakeConsul
  readonly keys = new Map<string, string>()
  index = 100
  /** Answers instead, for listings. */
  list: ((request: FakeRequest) => Scripted | undefined) | undefined
  /** Answers instead, for single keys. */
  single: ((request: FakeRequest) => Scripted | undefined) | undefined

  /** Answers instead, for listings of names. */
  names: ((request: FakeRequest) => Scripted | undefined) | undefined

  constructor(fake: FakeConsul) {
    this.fake = fake
    fake.script = (request) => this.#answer(request)
  }

  static async start(t: Test): Promise<FakeKv> {
    const fake = await FakeConsul.start()
    t.teardown(() => fake.stop())
    return new FakeKv(fake)
  }

  set(key: string, text: string | undefined): void {
    this.index += 1
    if (text === undefined) this.keys.delete(key)
    else this.keys.set(key, text)
    this.fake.cut()
  }

  #answer(request: FakeRequest): Scripted | undefined {
    const key = decodeURIComponent(request.path.replace('/v1/kv/', ''))
    const headers = { 'x-consul-index': String(this.index) }
    if (request.query.has('keys')) {
      const own = this.names?.(request)
      if (own) return own
      if (Number(request.query.get('index') ?? 0) >= this.index) return { hang: true }
      const below = [...this.keys.keys()].filter((each) => each.startsWith(key))
      const cut = below.map((each) => key + each.slice(key.length).replace(/\/.*$/, '/'))
      return { headers, body: JSON.stringify([...new Set(cut)]) }
    }
    if (!request.query.has('recurse')) {
      const own = this.single?.(request)
      if (own) return own
      const text = this.keys.get(key)
      return text === undefined ? { status: 404, headers, body: '' } : { headers, body: bodyOf([[key, text]]) }
    }
    const own = key === 'fairlead/services/' ? this.list?.(request) : undefined
    if (own) return own
    if (Number(request.query.get('index') ?? 0) >= this.index) return { hang: true }
    const found = [...this.keys].filter(([each]) => each.startsWith(key))
    return found.length === 0 ? { status: 404, headers, body: '' } : { headers, body: bodyOf(found) }
  }
}

function bodyOf(entries: readonly (readonly [string, string])[]): string {
  return JSON.stringify(
    entries.map(([Key, text]) => ({ Key, Value: Buffer.from(text).toString('base64'), Flags: 0, ModifyIndex: 7 })),
  )
}

function sourceFor(
  t: Test,
  kv: FakeKv,
  options: Partial<KvSourceOptions> = {},
  clock: Clock = systemClock,
): DocumentSource {
  const deps = { clock, random: systemRandom, log: silentLogger }
  const all = { address: kv.fake.address, prefix: 'fairlead', emptyHoldMs: 200, ...options }
  const source = createKvSource(all, deps)
  t.teardown(() => source.stop())
  return source
}

void t.test('errors of every kind leave what was known and end by themselves', async (t) => {
  const kv = await FakeKv.start(t)
  kv.keys.set('fairlead/services/web', 'one')
  const seen = collectDocuments(sourceFor(t, kv))
  const before = await seen.untilKeys('services/web')
  const bad: readonly Scripted[] = [
    { status: 500, body: 'No cluster leader' },
    { status: 403, body: 'Permission denied', headers: { 'content-type': 'text/plain' } },
    { status: 404, body: '<h1>not Consul</h1>', headers: { 'x-consul-index': undefined } },
    { body: '{' },
    { body: '{"a":1}' },
    { body: '[{"Key":"fairlead/services/web"}]' },
    { body: bodyOf([['fairlead/services/web', 'torn']]), cutAfter: 20 },
    { body: '[]', headers: { 'x-consul-index': undefined } },
    { body: '[]', headers: { 'x-consul-index': '0' } },
    { status: 200, body: '[]', headers: { 'content-type': 'text/html' } },
  ]
  for (const scripted of bad) {
    kv.list = () => scripted
    kv.fake.cut()
    await seen.untilState('stale')
    kv.list = undefined
    await seen.untilState('current')
  }
  t.equal(seen.snapshots.at(-1), before, 'nothing was published meanwhile')
})

void t.test('an index that goes back, or is that of an error, is not waited on', async (t) => {
  const kv = await FakeKv.start(t)
  kv.keys.set('fairlead/services/web', 'one')
  const asked: (string | null)[] = []
  kv.list = (request) => {
    asked.push(request.query.get('index'))
    return asked.length === 2 ? { status: 500, body: 'no', headers: { 'x-consul-index': '1' } } : undefined
  }
  const seen = collectDocuments(sourceFor(t, kv))
  await seen.untilKeys('services/web')
  await until(() => asked.length >= 4)
  t.strictSame(asked.slice(0, 4), [null, '100', null, '100'], 'whole after an error, and then on')
  kv.index = 3
  kv.keys.set('fairlead/services/db', 'new life')
  kv.list = (request) =>
    request.query.get('index') === '100'
      ? { body: bodyOf([['fairlead/services/web', 'old']]), headers: { 'x-consul-index': '3' } }
      : undefined
  kv.fake.cut()
  await seen.untilKeys('services/db', 'services/web')
  t.equal(seen.texts()?.['services/web'], 'one')
})

void t.test('a listing that lacks a document which is there when read alone is not believed', async (t) => {
  const kv = await FakeKv.start(t)
  kv.keys.set('fairlead/services/web', 'one')
  kv.keys.set('fairlead/services/db', 'one')
  const seen = collectDocuments(sourceFor(t, kv, { emptyHoldMs: 20 }))
  await seen.untilKeys('services/db', 'services/web')
  const consistent: boolean[] = []
  kv.single = (request) => void consistent.push(request.query.has('consistent'))
  const listed: boolean[] = []
  kv.list = ({ query }) => {
    listed.push(query.has('consistent'))
    return { body: bodyOf([['fairlead/services/db', 'two']]), headers: { 'x-consul-index': '900' } }
  }
  kv.fake.cut()
  await seen.untilState(
    'stale',
    /1 of 2 documents are gone, yet fairlead\/services\/web is there when it is read alone/,
  )
  await until(() => consistent.length > 4)
  t.ok(consistent.every(Boolean), 'the leader is asked to be sure')
  t.ok(listed.slice(1).every(Boolean), 'for the whole list too')
  kv.single = () => ({ status: 404, body: 'no such page', headers: { 'x-consul-index': undefined } })
  await seen.untilState('stale', /answered 404 no such page/)
  kv.single = undefined
  t.strictSame(seen.texts(), { 'services/db': 'two', 'services/web': 'one' }, 'what is there is taken over')
  kv.keys.delete('fairlead/services/web')
  await seen.untilKeys('services/db')
  await seen.untilState('current')
})

void t.test('nothing is taken away on the word of a Consul without a leader', async (t) => {
  const kv = await FakeKv.start(t)
  kv.keys.set('fairlead/services/web', 'one')
  const seen = collectDocuments(sourceFor(t, kv))
  await seen.untilKeys('services/web')
  kv.keys.clear()
  kv.list = () => ({ status: 404, body: '', headers: { 'x-consul-index': '900', 'x-consul-knownleader': 'false' } })
  kv.fake.cut()
  await seen.untilState('stale', /no leader/)
  kv.list = undefined
  await seen.untilKeys()
})

void t.test('one folder that fails for long does not keep the others from being published', async (t) => {
  const kv = await FakeKv.start(t)
  kv.keys.set('fairlead/routes/shop', 'r')
  kv.list = () => ({ status: 500, body: 'no' })
  const seen = collectDocuments(sourceFor(t, kv))
  await seen.untilKeys('routes/shop')
  await seen.untilState('stale', /500 no/)
})

void t.test('content that did not change is not published again', async (t) => {
  const kv = await FakeKv.start(t)
  kv.keys.set('fairlead/services/web', 'one')
  const seen = collectDocuments(sourceFor(t, kv))
  await seen.untilKeys('services/web')
  for (let n = 0; n < 3; n++) {
    const asked = kv.fake.count('/v1/kv/fairlead/services/')
    kv.set('elsewhere/x', String(n))
    await until(() => kv.fake.count('/v1/kv/fairlead/services/') > asked)
  }
  await seen.untilState('current')
  t.equal(seen.snapshots.length, 1)
})

function savedOf(...keys: readonly string[]): DocumentKnowledge {
  const documents = new Map(keys.map((key) => [key, Object.freeze({ key, text: 'saved', modifyIndex: 7 })]))
  return { source: 'kv:fairlead', documents, asOfMs: 5_000 }
}

void t.test('what was saved stands in while Consul is away, and gives way when it answers', async (t) => {
  const kv = await FakeKv.start(t)
  kv.keys.set('fairlead/services/web', 'live')
  await kv.fake.pause()
  const source = sourceFor(t, kv, { saved: async () => savedOf('routes/old', 'services/web') })
  const seen = collectDocuments(source)
  await seen.untilKeys('routes/old', 'services/web')
  t.equal(source.savedAtMs(), 5_000)
  t.match(seen.state(), { kind: 'waiting', reason: /ECONNREFUSED/ })
  t.equal(source.knowledge()?.asOfMs, 5_000, 'and is what would be saved again')
  await kv.fake.resume()
  await seen.untilState('stale', /1 of 1 documents are gone after Consul was away|ECONN/)
  await until(() => seen.texts()?.['services/web'] === 'live')
  await seen.untilKeys('services/web')
  await seen.untilState('current')
  t.equal(source.savedAtMs(), undefined)
  t.strictSame([...(source.knowledge()?.documents.keys() ?? [])], ['services/web'])
})

void t.test(
  'what was saved is not needed when Consul answers, and a token without rights does not end it',
  async (t) => {
    const kv = await FakeKv.start(t)
    kv.keys.set('fairlead/services/web', 'live')
    const seen = collectDocuments(sourceFor(t, kv, { saved: async () => savedOf('services/web') }))
    await until(() => seen.texts()?.['services/web'] === 'live')
    t.equal(seen.snapshots.length, 1)
    const blind = await FakeKv.start(t)
    blind.single = () => ({ status: 403, body: 'Permission denied' })
    const source = sourceFor(t, blind, { emptyHoldMs: 40, saved: async () => savedOf('services/web') })
    const kept = collectDocuments(source)
    await kept.untilKeys('services/web')
    await kept.untilState('waiting', /the token may not read/)
    const asked = blind.fake.requests.length
    await until(() => blind.fake.requests.length > asked + 30)
    t.match([kept.state().kind, source.savedAtMs(), kept.snapshots.length], ['waiting', 5_000, 1], 'however often')
  },
)

void t.test('a Consul that fails at once is not waited for', async (t) => {
  const kv = await FakeKv.start(t)
  await kv.fake.pause()
  const noGrace: Clock = {
    ...systemClock,
    setTimer: (ms, fn) => (ms === savedGraceMs ? { clear: () => {} } : systemClock.setTimer(ms, fn)),
  }
  const seen = collectDocuments(sourceFor(t, kv, { saved: async () => savedOf('services/web') }, noGrace))
  await seen.untilKeys('services/web')
})

void t.test('silence: what was saved stands in after a moment', async (t) => {
  const kv = await FakeKv.start(t)
  kv.fake.script = () => ({ hang: true })
  const seen = collectDocuments(sourceFor(t, kv, { saved: async () => savedOf('services/web') }))
  await seen.untilKeys('services/web')
  t.match(seen.state(), { kind: 'waiting', fresh: true })
})

void t.test('nothing is said after its end, and a listener that throws loses nothing', async (t) => {
  const kv = await FakeKv.start(t)
  kv.keys.set('fairlead/services/web', 'one')
  const source = sourceFor(t, kv)
  const texts: (string | undefined)[] = []
  source.start({
    onSnapshot: ({ documents }) => {
      texts.push(documents.get('services/web')?.text)
      if (texts.length === 1) throw new Error('listener')
    },
    onState: () => {},
  })
  await until(() => texts.length === 1)
  kv.set('fairlead/services/web', 'two')
  await until(() => texts.length === 2)
  await source.stop()
  await source.stop()
  kv.set('fairlead/services/web', 'three')
  t.strictSame(texts, ['one', 'two'])
  await until(() => kv.fake.connections === 0)
})

void t.test('what lies beside the folders is named, and costs nothing when it cannot be', async (t) => {
  const kv = await FakeKv.start(t)
  let refused = 0
  kv.names = () => ({ status: 403, body: `Permission denied ${String(++refused)}` })
  kv.keys.set('fairlead/services/web', 'one')
  const seen = collectDocuments(sourceFor(t, kv))
  await seen.untilKeys('services/web')
  await seen.untilState('current')
  await until(() => refused > 1)
  t.notOk(
    seen.states.some((state) => state.kind === 'stale' || (state.kind === 'waiting' && !state.fresh)),
    'a source whose folders are read is current',
  )
  kv.names = undefined
  kv.set('fairlead/history/services/web/0000000001', 'one')
  kv.set('fairlead/service/web', 'one')
  kv.set('fairlead/service/deep/web', 'one')
  kv.set('fairlead/staging/services/web', 'another environment')
  kv.set('fairlead/web', 'one')
  await seen.untilKeys('service/deep/', 'service/web', 'services/web', 'staging/', 'web')
  t.match(seen.texts(), { 'services/web': 'one', 'service/web': '', 'staging/': '', web: '' })
  for (let n = 0; n < 8; n++) kv.set(`fairlead/service/web-${String(n)}`, 'one')
  await seen.untilKeys('service/', 'services/web', 'staging/', 'web')
  for (const key of kv.keys.keys()) if (!key.startsWith('fairlead/services/')) kv.set(key, undefined)
  await seen.untilKeys('services/web')
})
