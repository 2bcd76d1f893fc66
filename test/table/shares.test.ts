/** Shares of weights, and when two weighings mean the same. */
import fc from 'fast-check'
import t from 'tap'
import { sameShares, sharesOf } from '../../src/table/shares.ts'

t.test('who counts has its part of the whole, whoever does not has none', async (t) => {
  t.same(sharesOf([{ weight: 3 }, { weight: 1 }]), [0.75, 0.25])
  t.same(sharesOf([{ weight: 3, counts: false }, { weight: 1 }, { weight: 0 }]), [0, 1, 0])
  t.same(sharesOf([{ weight: 0 }, { weight: 2, counts: false }]), [0, 0])
  t.same(sharesOf([]), [])
})

t.test('as a property: together they are one, on any scale', async () => {
  const weights = fc.array(fc.integer({ min: 0, max: 1_000 }), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(weights, fc.integer({ min: 1, max: 1_000 }), (all, scale) => {
      const sum = sharesOf(all.map((weight) => ({ weight }))).reduce((total, share) => total + share, 0)
      const named = (by: number): ReadonlyMap<string, number> =>
        new Map(all.map((weight, at) => [String(at), weight * by]))
      return (
        (all.some((weight) => weight > 0) ? Math.abs(sum - 1) < 1e-9 : sum === 0) && sameShares(named(1), named(scale))
      )
    }),
  )
})

t.test('who is not named has nothing', async (t) => {
  const of = (parts: Readonly<Record<string, number>>): ReadonlyMap<string, number> => new Map(Object.entries(parts))
  t.ok(sameShares(of({ a: 9, b: 1 }), of({ b: 10, a: 90, c: 0 })))
  t.notOk(sameShares(of({ a: 9, b: 1 }), of({ a: 9, b: 2 })))
  t.notOk(sameShares(of({ a: 1 }), of({ b: 1 })))
})
