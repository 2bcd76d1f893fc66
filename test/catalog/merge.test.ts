import t from 'tap'
import { mergeSnapshots } from '../../src/catalog/merge.ts'
import { emptySnapshot, type Snapshot } from '../../src/catalog/snapshot.ts'
import { freezeDeep, instance, service, snapshot } from '../fixtures/tables.ts'

const consul = freezeDeep(snapshot(service('web', [instance('web', 'a')]), service('app', [instance('app', 'x')])))
const file = freezeDeep(snapshot(service('web', [instance('web', 'a', { source: 'file' })]), service('none', [])))
const ids = (merged: Snapshot, name: string): string[] | undefined =>
  merged.services.get(name)?.instances.map(({ source, id }) => `${source}:${id}`)

void t.test('one source is taken as it is', async (t) => {
  const merged = mergeSnapshots(emptySnapshot, [consul])
  t.equal(merged.version, 1)
  t.equal(merged.services.get('web'), consul.services.get('web'))
})

void t.test('no source is nothing', async (t) => t.equal(mergeSnapshots(emptySnapshot, []), emptySnapshot))

void t.test('the same registration in two sources counts twice, sorted by key', async (t) => {
  t.same(ids(mergeSnapshots(emptySnapshot, [file, consul]), 'web'), ['consul:a', 'file:a'])
  t.same(ids(mergeSnapshots(emptySnapshot, [consul, file]), 'web'), ['consul:a', 'file:a'])
})

void t.test('what did not change is the same object', async (t) => {
  const first = mergeSnapshots(emptySnapshot, [consul, file])
  t.equal(mergeSnapshots(first, [consul, file]), first, 'all of it')
  const more = freezeDeep(snapshot(service('web', [instance('web', 'b', { source: 'file' })])))
  const changed = new Map(consul.services).set('app', service('app', []))
  const second = mergeSnapshots(first, [{ ...consul, services: changed }, file])
  t.equal(second.version, 2)
  t.equal(second.services.get('web'), first.services.get('web'), 'a merged service')
  t.same(ids(second, 'app'), [])
  const third = mergeSnapshots(second, [consul, more])
  t.same(ids(third, 'web'), ['consul:a', 'file:b'])
  t.notOk(third.services.has('none'), 'what no source has is gone')
})

void t.test('an empty service of one source takes nothing from the other', async (t) => {
  const empty = freezeDeep(snapshot(service('app', [])))
  for (const sources of [
    [empty, consul],
    [consul, empty],
  ])
    t.equal(mergeSnapshots(emptySnapshot, sources).services.get('app'), consul.services.get('app'))
  t.same(ids(mergeSnapshots(emptySnapshot, [empty, empty]), 'app'), [])
})

void t.test('problems of all sources are listed, and a change of them alone is a change', async (t) => {
  const one = { code: 'bad-definition', where: 'a', message: 'm' }
  const first = mergeSnapshots(emptySnapshot, [{ ...consul, problems: [one] }, file])
  t.same(first.problems, [one])
  t.equal(mergeSnapshots(first, [{ ...consul, problems: [one] }, file]), first)
  const second = mergeSnapshots(first, [consul, file])
  t.same(second.problems, [])
  t.equal(second.version, 2)
})
