/** Why each table was built, as it is told to whoever publishes it. */
import t from 'tap'
import type { Cause } from '../../src/control/cause.ts'
import { createReconciler } from '../../src/control/reconcile.ts'
import { silentLogger } from '../../src/core/log.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { FakeSource } from '../fixtures/fake-source.ts'
import { instance, policy, route, service, snapshot } from '../fixtures/tables.ts'
import { noTurns } from '../fixtures/turns.ts'

function rig() {
  const clock = new FakeClock()
  const sources = [new FakeSource('consul'), new FakeSource('file')] as const
  const told: (readonly Cause[])[] = []
  const reconciler = createReconciler({
    inTurn: noTurns,
    sources,
    clock,
    log: silentLogger,
    policy: policy([route('/', 'web'), route('/shop', 'shop')]),
    publish: (_, causes) => void told.push(causes),
  })
  return { clock, sources, told, reconciler }
}

const web = (...ids: readonly string[]) => service('web', ids.map((id) => instance('web', id))) // prettier-ignore
const shop = service('shop', [instance('shop', 's')])

t.test('a start, what sources say, what is asked for; together where it came together', async (t) => {
  const { clock, sources, told, reconciler } = rig()
  const [consul, file] = sources
  reconciler.setPolicy(policy([route('/', 'web')]))
  t.same(told, [], 'the first table is the start')
  reconciler.start()
  t.same(told.splice(0), [[{ kind: 'start', sources: ['consul', 'file'] }]])
  const first = web('a')
  consul.say({ ...snapshot(first, shop), index: '12' })
  t.same(told.splice(0), [[{ kind: 'catalog', source: 'consul', services: ['web', 'shop'], more: 0, index: '12' }]])
  // All within one build.
  consul.say({ ...snapshot(web('a', 'b'), shop), index: '13' })
  file.say(snapshot(service('web', [instance('web', 'f', { source: 'file' })])))
  reconciler.setPolicy(policy([route('/', 'web')]), [{ kind: 'policy', source: 'kv', key: 'routes', by: 'alice' }])
  clock.advance(200)
  t.same(told.splice(0), [
    [
      { kind: 'catalog', source: 'consul', services: ['web'], more: 0, index: '13' },
      { kind: 'catalog', source: 'file', services: ['web'], more: 0 },
      { kind: 'policy', source: 'kv', key: 'routes', by: 'alice' },
    ],
  ])
  await reconciler.stop()
})

t.test('what made no difference is not the cause of what follows', async (t) => {
  const { clock, sources, told, reconciler } = rig()
  reconciler.start()
  sources[0].say(snapshot(web('a')))
  clock.advance(200)
  told.length = 0
  reconciler.setPolicy(policy([route('/', 'web'), route('/shop', 'shop')]), [{ kind: 'config', what: 'file' }])
  clock.advance(200)
  t.same(told, [])
  sources[0].say(snapshot(web('a', 'b')))
  clock.advance(200)
  t.same(told, [[{ kind: 'catalog', source: 'consul', services: ['web'], more: 0 }]])
  await reconciler.stop()
})

t.test('a saved snapshot that stands in, and what was held that goes', async (t) => {
  const clock = new FakeClock()
  const source = new FakeSource('consul')
  const told: (readonly Cause[])[] = []
  const reconciler = createReconciler({
    inTurn: noTurns,
    sources: [source],
    clock,
    log: silentLogger,
    policy: policy([route('/', 'web')]),
    publish: (_, causes) => void told.push(causes),
    saved: async () => new Map([['consul', { name: 'consul', snapshot: snapshot(web('a', 'b', 'c')), asOfMs: 7 }]]),
  })
  reconciler.start()
  await new Promise((resolve) => setImmediate(resolve))
  clock.advance(400)
  t.same(told.splice(0), [[{ kind: 'start', sources: ['consul'] }], [{ kind: 'saved', source: 'consul', asOfMs: 7 }]])
  source.say(snapshot(web('a', 'b', 'c')))
  clock.advance(400)
  source.say(snapshot(service('web', [])))
  clock.advance(400)
  told.length = 0
  clock.advance(120_000)
  t.match(told, [[{ kind: 'brake', source: 'consul' }]])
  await reconciler.stop()
})
