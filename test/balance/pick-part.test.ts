/** The choice among services that share a route. What a key leads to is a contract: it must not move with a release. */
import fc from 'fast-check'
import t from 'tap'
import { pickGroup, pickStickyGroup } from '../../src/balance/pick-group.ts'
import { canServe, pickPart, pickStickyPart, pickWeighted } from '../../src/balance/pick-part.ts'
import { hashText } from '../../src/balance/rendezvous.ts'
import type { BoundPart } from '../../src/live/runtime.ts'
import { boundEndpoint, boundGroup, boundService } from '../fixtures/tables.ts'

interface Wish {
  readonly name: string
  readonly weight: number
  readonly able?: boolean
  readonly standby?: boolean
}

function partsOf(wishes: readonly Wish[], isolated = false): readonly BoundPart[] {
  const parts: BoundPart[] = []
  for (const { name, weight, able = true, standby = false } of wishes) {
    const one = boundEndpoint(name)
    one.state.open = able
    const groups = [boundGroup('', 1, [one])]
    const service = boundService(groups)
    const seed = hashText(name, 0)
    const rest = { shape: undefined, admits: undefined, sticky: undefined, mirror: undefined, strict: false }
    parts.push({ service, groups, weight, seed, standby, isolated, parts, ...rest })
  }
  return parts
}

const nameOf = (part: BoundPart | undefined): string | undefined => part?.groups[0]?.endpoints[0]?.endpoint.key

t.test('by weight, among those that can answer; then who stands by', async (t) => {
  const all: readonly Wish[] = [
    { name: 'a', weight: 3 },
    { name: 'none', weight: 0 },
    { name: 'b', weight: 1 },
    { name: 'x', weight: 0, standby: true },
    { name: 'y', weight: 0, standby: true },
  ]
  const without = (...down: readonly string[]): readonly Wish[] =>
    all.map((one) => ({ ...one, able: !down.includes(one.name) }))
  const at = (wishes: readonly Wish[], isolated = false): unknown =>
    [0, 0.74, 0.76, 0.999].map((random) => nameOf(pickPart(partsOf(wishes, isolated), random)))
  t.same(at(all), ['a', 'a', 'b', 'b'])
  t.same(at(without('a')), ['b', 'b', 'b', 'b'])
  t.same(at(without('a', 'b')), ['x', 'x', 'x', 'x'])
  t.same(at(without('a', 'b', 'x')), ['y', 'y', 'y', 'y'])
  t.same(at(without('a', 'b', 'x', 'y')), [undefined, undefined, undefined, undefined])
  t.same(at(without('a'), true), ['x', 'x', 'b', 'b'], 'isolated: its share goes to who stands by, not to the others')
  t.same(at(without('a', 'x', 'y'), true), [undefined, undefined, 'b', 'b'])
})

t.test(
  'a key goes to one that can answer, then to who stands by; a version without weight answers nothing',
  async (t) => {
    const keys = Array.from({ length: 40 }, (_, at) => `key-${String(at)}`)
    const got = (wishes: readonly Wish[], isolated = false): ReadonlySet<unknown> =>
      new Set(keys.map((key) => nameOf(pickStickyPart(partsOf(wishes, isolated), key))))
    const a = { name: 'a', weight: 1 }
    const b = { name: 'b', weight: 1 }
    const x = { name: 'x', weight: 0, standby: true }
    const down = { able: false }
    t.same(got([a, b, x]), new Set(['a', 'b']))
    t.same(got([{ ...a, ...down }, b, x]), new Set(['b']))
    t.same(got([{ ...a, ...down }, { ...b, weight: 0 }, x]), new Set(['x']))
    t.same(got([{ ...a, ...down }, b, x], true), new Set(['b', 'x']), 'isolated')
    t.same(got([{ ...a, ...down }, b], true), new Set(['b', undefined]))
    const groups = [boundGroup('1', 0, [boundEndpoint('one')]), boundGroup('2', 1, [])]
    t.notOk(canServe({ groups }))
    t.ok(canServe({ groups: [boundGroup('1', 1, [boundEndpoint('one')])] }))
  },
)

t.test('by weight alone: bounds belong to the next, and rounding to the last', async (t) => {
  const items = [{ weight: 0 }, { weight: 1 }, { weight: 1 }]
  t.equal(pickWeighted(items, 0), items[1])
  t.equal(pickWeighted(items, 0.5), items[2])
  t.equal(pickWeighted(items, 1), items[2])
  t.equal(pickWeighted([], 0.5), undefined)
})

t.test('a key stays with its part; raising a weight moves keys only to it', async () => {
  const weight = fc.integer({ min: 1, max: 100 })
  fc.assert(
    fc.property(
      fc.array(weight, { minLength: 2, maxLength: 5 }),
      fc.nat(4),
      weight,
      fc.string(),
      (weights, at, more, key) => {
        const wishes = weights.map((each, index) => ({ name: `s${String(index)}\n`, weight: each }))
        const raised = wishes.map((one, index) =>
          index === at % wishes.length ? { ...one, weight: one.weight + more } : one,
        )
        const [before, after] = [wishes, raised].map((all) => nameOf(pickStickyPart(partsOf(all), key)))
        return before === after || after === raised[at % wishes.length]?.name
      },
    ),
  )
})

t.test('versions of one service are shared as parts as they are as versions', async () => {
  const names = ['9.7.0', '9.8.0', 'beta']
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 3, maxLength: 3 }),
      fc.string(),
      (weights, key) => {
        const groups = names.map((name, at) => boundGroup(name, weights[at] ?? 0, [boundEndpoint(name)]))
        const parts = partsOf(names.map((name, at) => ({ name, weight: weights[at] ?? 0 })))
        const random = (hashText(key, 1) % 1_000) / 1_000
        return (
          nameOf(pickStickyPart(parts, key)) === pickStickyGroup(groups, key, false)?.version &&
          nameOf(pickPart(parts, random)) === pickGroup(groups, random)?.version
        )
      },
    ),
  )
})
