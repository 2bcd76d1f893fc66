/** Causes: what they say, and how several become those of one table. */
import t from 'tap'
import { type Cause, catalogCause, Causes, causesMax, describeCause } from '../../src/control/cause.ts'
import { instance, service, snapshot } from '../fixtures/tables.ts'

t.test('each in words', async (t) => {
  const cases: readonly (readonly [Cause, string])[] = [
    [{ kind: 'start', sources: ['consul', 'file'] }, 'start: catalog consul, file, not heard yet'],
    [{ kind: 'start', sources: [] }, 'start, without a catalog'],
    [
      { kind: 'catalog', source: 'consul', services: ['shop'], more: 0, index: '77' },
      'catalog consul: service shop (index 77)',
    ],
    [{ kind: 'catalog', source: 'file', services: ['a', 'b'], more: 3 }, 'catalog file: services a, b and 3 more'],
    [{ kind: 'catalog', source: 'file', services: [], more: 0 }, 'catalog file: no service'],
    [
      { kind: 'saved', source: 'consul', asOfMs: 0 },
      'catalog consul is away; what was saved at 1970-01-01T00:00:00.000Z stands in for it',
    ],
    [{ kind: 'brake', source: 'consul' }, 'catalog consul: what was held after a sudden removal is looked at anew'],
    [{ kind: 'config', what: 'file' }, 'the configuration was read again'],
    [{ kind: 'config', what: 'listeners' }, 'the listeners are open and their ports known'],
    [{ kind: 'config', what: 'catalog' }, 'the new catalog sources took over'],
    [{ kind: 'policy', source: 'kv:fairlead', key: 'services/web' }, 'policy kv:fairlead services/web'],
    [
      { kind: 'policy', source: 'kv:fairlead', key: 'services/web', removed: true, revision: 7, by: 'alice' },
      'policy kv:fairlead services/web was removed, which was last revision 7 by alice',
    ],
    [{ kind: 'policy', source: 'kv:x', key: 'routes/a', removed: true }, 'policy kv:x routes/a was removed'],
    [
      {
        kind: 'policy',
        source: 'kv:fairlead',
        key: 'services/web',
        index: '9',
        revision: 7,
        by: 'alice',
        reason: 'canary',
        command: 'fairlead split',
      },
      'policy kv:fairlead services/web, revision 7 by alice with fairlead split (index 9): canary',
    ],
    [{ kind: 'more', count: 2 }, 'and 2 more causes'],
  ]
  for (const [cause, text] of cases) t.equal(describeCause(cause), text)
})

t.test('what a source said of whom', async (t) => {
  const web = service('web', [instance('web', 'a')])
  const shop = service('shop', [])
  const before = snapshot(web, shop)
  t.same(catalogCause('consul', undefined, before), {
    kind: 'catalog',
    source: 'consul',
    services: ['web', 'shop'],
    more: 0,
  })
  const after = { ...snapshot(web, service('new', [])), index: '8' }
  t.same(catalogCause('consul', before, after), {
    kind: 'catalog',
    source: 'consul',
    services: ['new', 'shop'],
    more: 0,
    index: '8',
  })
  const many = snapshot(...Array.from({ length: 30 }, (_, i) => service(`s${i}`, [])))
  t.match(catalogCause('consul', undefined, many), { services: { length: 20 }, more: 10 })
})

t.test('those of one table: one for each source, none twice, a bound', async (t) => {
  const causes = new Causes()
  causes.add({ kind: 'start', sources: ['file'] })
  causes.add({ kind: 'catalog', source: 'consul', services: ['a'], more: 0, index: '1' })
  causes.add({ kind: 'catalog', source: 'file', services: ['c'], more: 0 })
  causes.add({ kind: 'config', what: 'file' })
  causes.add({ kind: 'config', what: 'listeners' })
  causes.add({ kind: 'config', what: 'file' })
  causes.add({ kind: 'catalog', source: 'consul', services: ['b', 'a'], more: 0, index: '2' })
  causes.add({ kind: 'policy', source: 'kv', key: 'x', by: 'alice' })
  causes.add({ kind: 'policy', source: 'kv', key: 'x', by: 'bob' })
  causes.add({ kind: 'policy', source: 'kv', key: 'y', by: 'alice' })
  t.same(causes.take(), [
    { kind: 'start', sources: ['file'] },
    { kind: 'catalog', source: 'consul', services: ['a', 'b'], more: 0, index: '2' },
    { kind: 'catalog', source: 'file', services: ['c'], more: 0 },
    { kind: 'config', what: 'file' },
    { kind: 'config', what: 'listeners' },
    { kind: 'policy', source: 'kv', key: 'x', by: 'bob' },
    { kind: 'policy', source: 'kv', key: 'y', by: 'alice' },
  ])
  t.same(causes.take(), [], 'they are taken once')
  for (let i = 0; i < causesMax + 5; i++) causes.add({ kind: 'policy', source: 'kv', key: `${i}` })
  const taken = causes.take()
  t.equal(taken.length, causesMax + 1)
  t.same(taken.at(-1), { kind: 'more', count: 5 })
})
