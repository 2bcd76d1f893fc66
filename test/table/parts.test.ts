/** What a split costs a build, and whom it leads to. Who gets what of it is told elsewhere. */
import t from 'tap'
import { interestOf } from '../../src/control/interest.ts'
import type { SplitPart } from '../../src/policy/traffic.ts'
import { buildTable, emptyTable } from '../../src/table/build.ts'
import type { RouteTable } from '../../src/table/table.ts'
import { instance, policy, route, service, snapshot } from '../fixtures/tables.ts'

const part = (name: string | undefined, weight: number): SplitPart => ({ service: name, version: undefined, weight })

const shop = service('shop', [instance('shop', 'shop-1')])

t.test(
  'a split of many services nobody has heard of is read a few times for each, whatever their number',
  async (t) => {
    let reads = 0
    const readsOf = (count: number): number => {
      const split = Array.from({ length: count }, (_, at): SplitPart => {
        const name = `a${String(at)}`
        return {
          get service() {
            reads++
            return name
          },
          version: undefined,
          weight: 1,
        }
      })
      const shared = policy([route('/', 'shop')], { shop: { split } })
      reads = 0
      buildTable(emptyTable, snapshot(shop), shared)
      return reads / count
    }
    t.ok(
      readsOf(200) <= readsOf(20),
      `${String(readsOf(200))} reads of each of 200, ${String(readsOf(20))} of each of 20`,
    )
  },
)

t.test('a part of weight 0 is followed once it weighs something', async (t) => {
  const withWeights = (next: number, failover: readonly string[] = []) =>
    policy([route('/', 'shop')], {
      shop: {
        split: [part(undefined, 100), part('next', next)],
        failover: failover.map((name) => ({ service: name, version: undefined })),
      },
    })
  const names = (table: RouteTable): readonly string[] => [...table.services.keys()]
  const all = snapshot(shop, service('next', [instance('next', 'next-1')]))
  const at0 = buildTable(emptyTable, all, withWeights(0)).table
  t.same([...interestOf(withWeights(0), undefined).names], ['shop'])
  t.same(names(at0), ['shop'])
  t.same(at0.problems, [])
  t.match(
    at0.routes[0]?.parts,
    [
      { service: 'shop', weight: 100 },
      { service: 'next', weight: 0 },
    ],
    'it is still told of',
  )
  t.same([...interestOf(withWeights(1), undefined).names], ['shop', 'next'])
  t.same(names(buildTable(at0, all, withWeights(1)).table), ['next', 'shop'])
  t.same(names(buildTable(at0, all, withWeights(0, ['next'])).table), ['next', 'shop'], 'who stands by is followed')
})
