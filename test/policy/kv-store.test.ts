/** Writing to KV, against a real agent and the embedded catalog; rights only the real one has. */
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { systemClock } from '../../src/core/clock.ts'
import { decodeEnvelope } from '../../src/policy/kv/envelope.ts'
import { createKvStore, type KvStore, type KvStoreOptions, stepsMax } from '../../src/policy/kv/kv-store.ts'
import { type DocumentChange, historyMax, writeDocument } from '../../src/policy/kv/write-document.ts'
import { entrants } from '../fixtures/catalog-speaker.ts'
import { startConsulAgent } from '../fixtures/consul-agent.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { FakeConsul } from '../fixtures/fake-consul.ts'
import { findConsul } from '../fixtures/install.ts'

function storeFor(t: Test, options: Partial<KvStoreOptions>): KvStore {
  const store = createKvStore({ prefix: 'fairlead', ...options }, { clock: systemClock })
  t.teardown(() => store.stop())
  return store
}

const clock = new FakeClock()
const change = (more: Partial<DocumentChange> = {}): DocumentChange => ({
  kind: 'services',
  name: 'web',
  by: 'alice',
  reason: 'canary',
  settings: { a: 1 },
  ...more,
})

for (const entrant of await entrants())
  await t.test(entrant.kind, { skip: entrant.absent ?? false }, async (t) => {
    const it = await entrant.start()
    t.teardown(() => it.stop())
    const store = storeFor(t, { address: it.address })

    await t.test('put and delete, by comparison or not', async (t) => {
      t.equal(await store.get('services/web'), undefined)
      const first = await store.put('services/web', 'ä', { cas: 0 })
      t.match(first, { kind: 'written', modifyIndex: Number })
      const index = first.kind === 'written' ? (first.modifyIndex ?? 0) : 0
      t.match(await store.get('services/web'), { key: 'services/web', text: 'ä', modifyIndex: index })
      const late = await store.put('services/web', 'b', { cas: 0 })
      t.match(late, { kind: 'conflict', key: 'services/web', modifyIndex: index })
      t.match(late, {
        message: /^fairlead\/services\/web was changed by somebody else: it has index \d+, and not absent/,
      })
      t.match(await store.delete('services/web', { cas: index + 1 }), { kind: 'conflict', modifyIndex: index })
      t.match(await store.put('services/none', 'b', { cas: 7 }), {
        kind: 'conflict',
        modifyIndex: 0,
        message: /is not there/,
      })
      t.match(await store.delete('services/none', { cas: 7 }), { kind: 'conflict', modifyIndex: 0 })
      t.match(await store.delete('services/web', { cas: 0 }), { kind: 'conflict', modifyIndex: index })
      t.match(await store.delete('services/none'), { kind: 'written', modifyIndex: undefined })
      t.equal((await store.get('services/web'))?.text, 'ä', 'none of these wrote')
      t.match(await store.delete('services/web', { cas: index }), { kind: 'written' })
      t.equal(await store.get('services/web'), undefined)
    })

    await t.test('all steps or none', async (t) => {
      await store.put('a', '1')
      const result = await store.transact([
        { kind: 'put', key: 'b', text: '2' },
        { kind: 'put', key: 'a', text: '2', cas: 0 },
        { kind: 'delete', key: 'a' },
      ])
      t.match(result, { kind: 'conflict', key: 'a' })
      t.equal(await store.get('b'), undefined)
      t.equal((await store.get('a'))?.text, '1')
      const steps = Array.from(
        { length: stepsMax },
        (_, n) => ({ kind: 'delete', key: `c${String(n)}`, cas: 0 }) as const,
      )
      t.equal((await store.transact(steps)).kind, 'written', 'as many as are taken')
    })

    await t.test('documents have revisions and history, written together', async (t) => {
      const first = await writeDocument(store, clock, change())
      t.match(first, { kind: 'written', envelope: { revision: 1, by: 'alice', reason: 'canary', settings: { a: 1 } } })
      const index = first.kind === 'written' ? (first.modifyIndex ?? 0) : 0
      t.match(await writeDocument(store, clock, change({ cas: 0 })), { kind: 'conflict', modifyIndex: index })
      t.match(await writeDocument(store, clock, change({ cas: index, settings: 2 })), { envelope: { revision: 2 } })
      await store.put('services/web', 'by hand, and no envelope')
      t.match(await writeDocument(store, clock, change({ settings: 3 })), { envelope: { revision: 3 } })
      t.match(await writeDocument(store, clock, change({ settings: undefined, by: 'bob' })), {
        envelope: { revision: 4 },
      })
      t.equal(await store.get('services/web'), undefined, 'removed')
      t.match(await writeDocument(store, clock, change({ cas: 0 })), { envelope: { revision: 5 } })
      const history = await store.list('history/services/web/')
      t.strictSame(
        history.map(({ key }) => key),
        [1, 2, 3, 4, 5].map((n) => `history/services/web/000000000${String(n)}`),
      )
      const fourth = decodeEnvelope(history[3]?.text ?? '')
      t.match(fourth, { kind: 'good', envelope: { revision: 4, by: 'bob', settings: null } })
    })

    await t.test('what another tool wrote or removed is kept before it is replaced', async (t) => {
      const name = 'hand'
      const put = (revision: number, settings: unknown): Promise<unknown> =>
        store.put(
          'services/hand',
          JSON.stringify({ revision, by: 'vi', at: '2026-11-26T07:00:00Z', reason: '', settings }),
        )
      const write = (settings: unknown): Promise<unknown> => writeDocument(store, clock, change({ name, settings }))
      await put(7, 'hand')
      t.match(await write('one'), { envelope: { revision: 8 }, replaced: 7 }, 'of its own revision')
      await put(8, 'edited in its place')
      t.match(await write('two'), { envelope: { revision: 10 }, replaced: 9 }, 'a number that was taken')
      await store.delete('services/hand')
      t.match(await write('three'), { envelope: { revision: 12 }, replaced: 0 }, 'it was gone')
      t.match(await write('four'), { envelope: { revision: 13 }, replaced: 12 }, 'and nothing is missing')
      const history = await store.list('history/services/hand/')
      t.strictSame(
        history.map(({ text }) => {
          const { revision, by, settings } = JSON.parse(text) as { revision: number; by: string; settings: unknown }
          return [revision, by, settings]
        }),
        [
          [7, 'vi', 'hand'],
          [8, 'alice', 'one'],
          [9, 'vi', 'edited in its place'],
          [10, 'alice', 'two'],
          [11, 'unknown', null],
          [12, 'alice', 'three'],
          [13, 'alice', 'four'],
        ],
      )
    })

    await t.test('history is bounded', async (t) => {
      for (let n = 0; n < historyMax + 60; n++)
        await store.put(`history/routes/r/${String(n + 1).padStart(10, '0')}`, '{}')
      const count = async (): Promise<number> => (await store.list('history/routes/r/')).length
      await writeDocument(store, clock, change({ kind: 'routes', name: 'r' }))
      t.ok((await count()) < historyMax + 60, 'as many as fit go at once')
      await writeDocument(store, clock, change({ kind: 'routes', name: 'r' }))
      await writeDocument(store, clock, change({ kind: 'routes', name: 'r' }))
      const left = await store.list('history/routes/r/')
      t.equal(left.length, historyMax)
      t.equal(left.at(-1)?.key, `history/routes/r/0000000113`)
      await writeDocument(store, clock, change({ kind: 'routes', name: 'r' }))
      t.equal(await count(), historyMax)
      await writeDocument(store, clock, change({ kind: 'drains', name: 'h' }))
      t.strictSame(await store.list('history/drains/'), [], 'drains have none')
    })

    await t.test('of many who write at once, each revision is one’s', async (t) => {
      const results = await Promise.all(
        Array.from({ length: 8 }, (_, n) => writeDocument(store, clock, change({ name: 'race', by: `p${String(n)}` }))),
      )
      const revisions = results.flatMap((result) => (result.kind === 'written' ? [result.envelope.revision] : []))
      t.ok(revisions.length >= 1)
      t.equal(new Set(revisions).size, revisions.length)
      t.ok(results.every(({ kind }) => kind === 'written' || kind === 'conflict'))
      t.equal((await store.list('history/services/race/')).length, revisions.length, 'a conflict leaves no history')
    })
  })

void t.test('what is too much is refused without asking', async (t) => {
  const store = storeFor(t, { address: 'http://127.0.0.1:1' })
  t.match(await store.put('services/web', 'x'.repeat(65_537)), {
    kind: 'refused',
    message: /65537 bytes, at most 65536/,
  })
  t.match(await store.put('services/web', 'ä'.repeat(32_769)), { kind: 'refused' }, 'bytes count')
  const many = Array.from({ length: stepsMax + 1 }, () => ({ kind: 'delete', key: 'a' }) as const)
  t.match(await store.transact(many), { kind: 'refused', message: /33 steps/ })
  for (const name of ['', '..', 'a/b', '__proto__', 'x'.repeat(129)])
    t.match(await writeDocument(store, clock, change({ name })), { kind: 'refused' }, name)
  t.match(await writeDocument(store, clock, change({ by: '' })), { kind: 'refused' })
  t.match(await writeDocument(store, clock, change({ reason: 'x'.repeat(1_025) })), { kind: 'refused' })
})

void t.test('nobody there, and answers that are none', async (t) => {
  const fake = await FakeConsul.start()
  t.teardown(() => fake.stop())
  const store = storeFor(t, { address: fake.address })
  const cases = [
    { status: 500, body: 'No cluster leader' },
    { body: '{}' },
    { body: 'null' },
    { body: '[' },
    { body: '{"Results":[]}', cutAfter: 5 },
    { status: 501, body: 'no' },
  ]
  for (const scripted of cases) {
    fake.script = () => scripted
    t.match(
      await store.put('a', 'x'),
      { kind: 'unreachable', message: /^Consul at .*; whether it was written is not known$/ },
      JSON.stringify(scripted),
    )
  }
  fake.script = () => ({ status: 403, body: 'ACL not found' })
  t.match(await store.put('a', 'x'), { kind: 'refused', message: /403 ACL not found/ })
  t.match(await writeDocument(store, clock, change()), { kind: 'refused', message: /nothing was written/ })
  await fake.pause()
  t.match(await store.put('a', 'x'), { kind: 'unreachable', message: /^Consul at/ })
  t.match(await writeDocument(store, clock, change()), { kind: 'unreachable', message: /nothing was written/ })
})

void t.test('any answer comes to one of the four', async (t) => {
  const fake = await FakeConsul.start()
  t.teardown(() => fake.stop())
  const store = storeFor(t, { address: fake.address })
  const kinds = new Set(['written', 'conflict', 'refused', 'unreachable'])
  await fc.assert(
    fc.asyncProperty(fc.json(), fc.constantFrom(200, 403, 404, 409, 500), async (body, status) => {
      fake.script = () => ({ status, body, headers: { 'content-type': 'application/json' } })
      return kinds.has((await store.put('a', 'x')).kind)
    }),
    { numRuns: 60 },
  )
})

const consul = await findConsul()
await t.test('rights', { skip: consul.path === undefined ? consul.reason : false }, async (t) => {
  const master = '11111111-1111-1111-1111-111111111111'
  const agent = await startConsulAgent({ aclToken: master })
  t.teardown(() => agent.stop())
  const rules = 'key_prefix "fairlead/" { policy = "read" } key_prefix "fairlead/services/" { policy = "write" }'
  await agent.api('PUT', '/v1/acl/policy', { Name: 'p', Rules: rules }, master)
  const made = await agent.api('PUT', '/v1/acl/token', { Policies: [{ Name: 'p' }] }, master)
  const { SecretID: token } = made as { SecretID: string }
  const store = storeFor(t, { address: agent.address, token })
  t.match(await store.put('services/web', 'x'), { kind: 'written' })
  t.match(await store.put('routes/web', 'x'), {
    kind: 'refused',
    message: /does not let this token write fairlead\/routes\/web: Permission denied/,
  })
  t.match(
    await writeDocument(store, clock, change()),
    { kind: 'refused', message: /history\/services\/web\/0000000001|fairlead\/services\/web/ },
    'without a right to history, nothing is written',
  )
  t.equal((await store.get('services/web'))?.text, 'x')
  const nobody = storeFor(t, { address: agent.address })
  t.match(await nobody.put('services/web', 'x'), { kind: 'refused', message: /Permission denied/ })
  const unknown = storeFor(t, { address: agent.address, token: '22222222-1111-1111-1111-111111111111' })
  t.match(await unknown.put('services/web', 'x'), { kind: 'refused', message: /ACL not found/ })
})
