/** Shares of parts are what the choice comes to. */
import fc from 'fast-check'
import t from 'tap'
import { partShares } from '../../src/balance/part-shares.ts'
import { canServe, pickPart } from '../../src/balance/pick-part.ts'
import type { BoundPart } from '../../src/live/runtime.ts'
import { boundEndpoint, boundGroup } from '../fixtures/tables.ts'

const draws = 2_000

t.test('as often as the choice falls on each', async () => {
  const part = fc.record({
    weight: fc.integer({ min: 0, max: 5 }),
    standby: fc.boolean(),
    able: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), fc.boolean(), (all, isolated) => {
      const parts = all.map(({ weight, standby, able }): BoundPart => {
        const groups = [boundGroup('1', 1, able ? [boundEndpoint('a')] : [])]
        return { groups, weight: standby ? 0 : weight, standby, isolated } as unknown as BoundPart
      })
      const counts = parts.map(() => 0)
      for (let at = 0; at < draws; at++) {
        const picked = pickPart(parts, (at + 0.5) / draws)
        // One that cannot answer was fallen on, and is answered 503 all the same.
        if (picked) counts[parts.indexOf(picked)] = (counts[parts.indexOf(picked)] ?? 0) + 1
      }
      const shares = partShares(parts, parts.map(canServe))
      return shares.every((share, at) => {
        const able = canServe(parts[at] as BoundPart)
        return !able || Math.abs(share - (counts[at] ?? 0) / draws) < 2 / draws
      })
    }),
    { numRuns: 300 },
  )
})

t.test('what nobody can answer is missing, or with one that is alone with its share', async (t) => {
  const of = (weight: number, isolated = false, standby = false): Parameters<typeof partShares>[0][number] => ({
    weight,
    isolated,
    standby,
  })
  t.same(partShares([of(1), of(1)], [false, false]), [0, 0])
  t.same(partShares([of(1), of(3)], [false, true]), [0, 1])
  t.same(partShares([of(1, true), of(3, true)], [false, true]), [0.25, 0.75])
  t.same(partShares([of(1, true), of(3, true), of(0, true, true)], [false, true, true]), [0, 0.75, 0.25])
  t.same(
    partShares([of(1), of(0, false, true), of(0, false, true)], [false, false, true]),
    [0, 0, 1],
    'the first that can',
  )
})
