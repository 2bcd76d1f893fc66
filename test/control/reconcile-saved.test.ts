import t from 'tap'
import type { Snapshot } from '../../src/catalog/snapshot.ts'
import { createReconciler, graceMs, type Reconciler } from '../../src/control/reconcile.ts'
import type { SourceKnowledge } from '../../src/control/snapshot-codec.ts'
import { troubledSources } from '../../src/control/source-trouble.ts'
import type { Logger } from '../../src/core/log.ts'
import type { RouteTable } from '../../src/table/table.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { FakeSource } from '../fixtures/fake-source.ts'
import { instance, policy, route, service, snapshot } from '../fixtures/tables.ts'
import { noTurns } from '../fixtures/turns.ts'

type Saved = ReadonlyMap<string, SourceKnowledge> | undefined

interface Rig {
  readonly clock: FakeClock
  readonly sources: readonly FakeSource[]
  readonly reconciler: Reconciler
  readonly lines: string[]
  readonly told: (readonly SourceKnowledge[])[]
  readonly ids: () => string
  /** What was saved has been read. */
  readonly read: (saved: Saved) => Promise<void>
}

function rig(names: readonly string[] = ['consul']): Rig {
  const clock = new FakeClock()
  const sources = names.map((name) => new FakeSource(name))
  const lines: string[] = []
  const told: (readonly SourceKnowledge[])[] = []
  let table: RouteTable | undefined
  const reading = Promise.withResolvers<Saved>()
  const to = (level: string) => (_: object, message: string) => void lines.push(`${level} ${message}`)
  const log: Logger = { debug: to('debug'), info: to('info'), warn: to('warn'), error: to('error') }
  const reconciler = createReconciler({
    inTurn: noTurns,
    sources,
    clock,
    log,
    policy: policy([route('/', 'web')]),
    publish: (next) => (table = next),
    saved: () => reading.promise,
    onKnowledge: (knowledge) => void told.push(knowledge),
  })
  reconciler.start()
  return {
    clock,
    sources,
    reconciler,
    lines,
    told,
    ids: () =>
      (table?.services.get('web')?.groups ?? []).flatMap(({ endpoints }) => endpoints.map(({ id }) => id)).join(''),
    read: async (saved) => {
      reading.resolve(saved)
      await new Promise((resolve) => setImmediate(resolve))
    },
  }
}

const web = (ids: string, source = 'consul'): Snapshot =>
  snapshot(
    service(
      'web',
      ids.split('').map((id) => instance('web', id, { source })),
    ),
  )
const saved = (ids: string, name = 'consul'): SourceKnowledge => ({
  name,
  snapshot: web(ids, name),
  asOfMs: 86_400_000,
})
const map = (...all: readonly SourceKnowledge[]): Saved => new Map(all.map((one) => [one.name, one]))

void t.test('a source that is silent begins with what was saved, and says so', async (t) => {
  const { clock, reconciler, ids, read, lines, sources } = rig()
  sources[0]?.be({ kind: 'waiting', reason: 'has not answered yet', fresh: true })
  await read(map(saved('ab')))
  clock.advance(graceMs - 1)
  t.equal(reconciler.status().ready, false)
  clock.advance(1)
  t.equal(reconciler.status().ready, true)
  t.equal(ids(), 'ab')
  t.ok(
    lines.includes(
      'warn catalog consul is away, what was saved of it stands in, as of 1970-01-02T00:00:00.000Z: has not answered yet',
    ),
    lines.join('\n'),
  )
  t.match(troubledSources(reconciler.status().sources), [
    { code: 'catalog-saved', where: 'catalog consul', message: /as of 1970-01-02T00:00:00\.000Z/ },
  ])
  t.match(reconciler.status().sources[0], { answered: true, savedAtMs: 86_400_000, lastSuccessMs: undefined })
  sources[0]?.be({ kind: 'current' })
  sources[0]?.say(web('abc'))
  clock.advance(1_000)
  t.equal(ids(), 'abc', 'its answer replaces it')
  t.same(troubledSources(reconciler.status().sources), [])
  await reconciler.stop()
  t.equal(clock.pending, 0)
})

void t.test('one that says that it cannot answer is not waited for', async (t) => {
  const { reconciler, ids, read, sources, clock } = rig()
  await read(map(saved('ab')))
  t.equal(ids(), '')
  sources[0]?.be({ kind: 'waiting', reason: 'refused' })
  clock.advance(100)
  t.equal(ids(), 'ab')
  t.equal(reconciler.status().ready, true)
  await reconciler.stop()
})

void t.test('one that answers in time begins with its own', async (t) => {
  const { reconciler, ids, read, sources, clock, lines } = rig()
  await read(map(saved('ab')))
  sources[0]?.say(web('c'))
  clock.advance(1_000)
  t.equal(ids(), 'c', 'and nothing of what was saved is held')
  t.notOk(lines.some((line) => line.includes('saved')))
  await reconciler.stop()
})

void t.test('a file that is read late delays nobody, and still helps', async (t) => {
  const { reconciler, ids, read, clock } = rig()
  clock.advance(5_000)
  t.equal(reconciler.status().ready, false)
  await read(map(saved('ab')))
  t.equal(ids(), 'ab')
  await reconciler.stop()
})

void t.test('without a file, and for a source that is not in it, it waits as ever', async (t) => {
  const none = rig()
  await none.read(undefined)
  none.clock.advance(60_000)
  t.equal(none.reconciler.status().ready, false)
  t.same(none.told, [[]])
  await none.reconciler.stop()

  const { reconciler, read, clock, sources, ids } = rig(['consul', 'new'])
  await read(map(saved('ab')))
  clock.advance(60_000)
  t.equal(reconciler.status().ready, false, 'nothing is known of the new one')
  t.equal(ids(), 'ab', 'the other has begun')
  sources[1]?.say(web('c', 'new'))
  clock.advance(1_000)
  t.equal(reconciler.status().ready, true)
  t.equal(ids(), 'abc')
  await reconciler.stop()
})

void t.test('a first answer that lacks most of what was saved is braked', async (t) => {
  const { reconciler, ids, read, clock, sources } = rig()
  await read(map(saved('abcd')))
  clock.advance(graceMs)
  sources[0]?.say(web('d'))
  clock.advance(1_000)
  t.equal(ids(), 'abcd')
  clock.advance(60_000)
  t.equal(ids(), 'd')
  await reconciler.stop()

  const empty = rig()
  await empty.read(map(saved('a')))
  empty.clock.advance(graceMs)
  empty.sources[0]?.say(snapshot())
  empty.clock.advance(1_000)
  t.equal(empty.ids(), 'a', 'also one that has never heard of the service, and one instance alone')
  await empty.reconciler.stop()
})

void t.test('what is to be saved: all that is known, nothing forgotten for being late', async (t) => {
  const { reconciler, read, clock, sources, told } = rig(['consul', 'file'])
  sources[0]?.say(web('ab'))
  clock.advance(100)
  t.same(told, [], 'not before it is known what there was')
  await read(map(saved('x', 'file'), saved('y', 'gone')))
  const shown = () =>
    told.at(-1)?.map(
      ({ name, snapshot: one }) =>
        `${name} ${one.services
          .get('web')
          ?.instances.map(({ id }) => id)
          .join('')}`,
    )
  t.same(shown(), ['consul ab', 'file x'], 'who has not answered keeps what was said before')
  t.equal(told.at(-1)?.[1]?.asOfMs, 86_400_000)
  sources[1]?.say(web('z', 'file'))
  clock.advance(1_000)
  t.same(shown(), ['consul ab', 'file z'])
  t.ok((told.at(-1)?.[1]?.asOfMs ?? 0) > 86_400_000)
  sources[0]?.say(web(''))
  clock.advance(1_000)
  t.same(shown(), ['consul ab', 'file z'], 'with what is held')
  await reconciler.stop()
})

void t.test('after stop nothing stands in', async (t) => {
  const { reconciler, read, clock, ids } = rig()
  await reconciler.stop()
  await read(map(saved('ab')))
  clock.advance(1_000)
  t.equal(ids(), '')
  t.equal(clock.pending, 0)
})
