/** Where a request goes next when nobody of its own service is left, and others share its route. */
import t from 'tap'
import { emptyTable } from '../../src/table/build.ts'
import type { BoundPart, BoundTable } from '../../src/live/runtime.ts'
import { nextEndpoint } from '../../src/proxy/next-endpoint.ts'
import { boundEndpoint, boundGroup, boundService } from '../fixtures/tables.ts'

const bound: BoundTable = { table: emptyTable, match: () => undefined, routes: [], services: new Map() }

function parts(more: Partial<BoundPart>): readonly BoundPart[] {
  const all: BoundPart[] = []
  for (const [seed, name] of ['own', 'other', 'spare'].entries()) {
    const groups = [boundGroup('', 1, [boundEndpoint(name)])]
    all.push({
      service: boundService(groups),
      groups,
      strict: false,
      weight: name === 'spare' ? 0 : 1,
      seed,
      standby: name === 'spare',
      isolated: false,
      shape: undefined,
      admits: undefined,
      sticky: undefined,
      mirror: undefined,
      parts: all,
      ...more,
    })
  }
  return all
}

t.test('its own, then the others that share, then who stands by', async (t) => {
  const cases: readonly (readonly [string, Partial<BoundPart>, readonly (string | undefined)[]])[] = [
    ['plain', {}, ['own', 'other', 'spare', undefined]],
    ['its version or none', { strict: true }, ['own', 'spare', undefined]],
    ['no share for the others', { isolated: true }, ['own', 'spare', undefined]],
  ]
  for (const [name, more, wanted] of cases) {
    const [own] = parts(more)
    if (!own) throw new Error('there are three')
    const tried: Parameters<typeof nextEndpoint>[4][number][] = []
    const seen: (string | undefined)[] = []
    for (const _ of wanted) {
      const next = nextEndpoint(bound, () => 0.5, own, '', tried)
      seen.push(next?.endpoint.endpoint.key)
      if (!next) break
      t.equal(next.aim.groups.includes(next.group), true, `${name}: the aim is whose instance it is`)
      tried.push(next.endpoint.state)
    }
    t.same(seen, wanted, name)
  }
})
