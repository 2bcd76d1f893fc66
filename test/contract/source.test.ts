/** Fairlead's own Consul source reads the same instances from a real agent and from the embedded catalog. */
import t from 'tap'
import { createConsulSource } from '../../src/catalog/consul/source.ts'
import type { Instance } from '../../src/catalog/snapshot.ts'
import { systemClock } from '../../src/core/clock.ts'
import { silentLogger } from '../../src/core/log.ts'
import { systemRandom } from '../../src/core/random.ts'
import { entrants } from '../fixtures/catalog-speaker.ts'
import { collect } from '../fixtures/collect-source.ts'

const deps = { clock: systemClock, random: systemRandom, log: silentLogger }

const registrations = [
  {
    ID: 'w-1',
    Name: 'web',
    Port: 81,
    Tags: ['b', 'a'],
    Meta: { version: '9.10' },
    Weights: { Passing: 7, Warning: 2 },
  },
  { ID: 'w-2', Name: 'web', Port: 82, Address: '10.0.0.2', Check: { TTL: '60s', Status: 'passing' } },
  { ID: 'w-3', Name: 'web', Port: 83, Check: { TTL: '60s' } },
  {
    ID: 'w-4',
    Name: 'web',
    Port: 84,
    Checks: [
      { TTL: '60s', Status: 'warning' },
      { TTL: '60s', Status: 'passing' },
    ],
  },
  { ID: 'w-5', Name: 'web', Port: 85, TaggedAddresses: { wan: { Address: '198.18.0.1', Port: 80 } } },
]

const read = new Map<string, Instance[]>()

for (const entrant of await entrants()) {
  const skip = entrant.absent ?? false
  await t.test(entrant.kind, { skip }, async (t) => {
    const it = await entrant.start()
    t.teardown(() => it.stop())
    for (const body of registrations) await it.ask('PUT', 'agent/service/register', body)
    await it.ask('PUT', 'agent/service/maintenance/w-5?enable=true')
    const source = createConsulSource({ address: it.address, name: 'same' }, deps)
    t.teardown(() => source.stop())
    const seen = collect(source, ['web', 'none'])
    const statuses = (): string =>
      seen
        .of('web')
        .map(({ id, status }) => `${id} ${status}`)
        .toSorted()
        .join(', ')
    const wanted = 'w-1 passing, w-2 passing, w-3 critical, w-4 warning, w-5 maintenance'
    await seen.until(() => statuses() === wanted, wanted)
    t.strictSame(seen.of('none'), [])
    const instances = seen.of('web')
    t.ok(instances.every(({ createIndex }) => createIndex > 0))
    read.set(
      entrant.kind,
      instances.map((instance) => ({ ...instance, createIndex: 0 })),
    )
    await it.ask('PUT', 'agent/check/pass/service:w-3')
    await seen.until(() => seen.of('web').some(({ id, status }) => id === 'w-3' && status === 'passing'))
    const before = seen.of('web').find(({ id }) => id === 'w-1')?.createIndex ?? 0
    await it.ask('PUT', 'agent/service/deregister/w-1')
    await seen.until(() => !seen.ids('web').includes('w-1'))
    await it.ask('PUT', 'agent/service/register', registrations[0])
    await seen.until(() => seen.ids('web').includes('w-1'))
    const after = seen.of('web').find(({ id }) => id === 'w-1')?.createIndex ?? 0
    t.ok(after > before, 'the same identity registered anew is a new life')
  })
}

await t.test('both the same', { skip: read.size < 2 && 'only one of them could be had' }, async (t) => {
  t.strictSame(read.get('embedded'), read.get('consul'))
})
