/** `weight=` in fabio's tags: what it makes of the weights of instances. */
import fc from 'fast-check'
import t from 'tap'
import { parseTag } from '../../src/policy/parse-tag.ts'
import type { Policy } from '../../src/policy/policy.ts'
import { tagWish, withWishes } from '../../src/policy/tag-weights.ts'
import { buildTable, emptyTable } from '../../src/table/build.ts'
import { instance, policy, route, service, snapshot } from '../fixtures/tables.ts'

const prefix = 'urlprefix-'

t.test('a weight is of the instance, not of the route', async (t) => {
  t.match(parseTag('urlprefix-/x weight=.05', prefix), { kind: 'route', options: {}, weight: 0.05 })
  t.match(parseTag('urlprefix-/x weight=1 weight=2.5', prefix), { weight: 2.5 }, 'the later one wins')
  t.equal(tagWish({ service: 'web', tags: ['urlprefix-/', 'blue', 'weight=3'] }, prefix), undefined)
  t.equal(tagWish({ service: 'web', tags: ['urlprefix-/ weight=.5'] }, undefined), undefined, 'tags make no routes')
  t.same(tagWish({ service: 'web', tags: ['urlprefix-/ weight=.5', 'urlprefix-/b weight=0.5'] }, prefix), {
    part: 0.5,
    torn: false,
  })
  t.same(tagWish({ service: 'web', tags: ['urlprefix-/b', 'urlprefix-/a weight=.2'] }, prefix), {
    part: 0.2,
    torn: true,
  })
  t.same(tagWish({ service: 'web', tags: ['urlprefix-/b weight=.3', 'urlprefix-/a weight=.2'] }, prefix), {
    part: 0.2,
    torn: true,
  })
  t.equal(tagWish({ service: 'web', tags: ['urlprefix-/a weight=.2 redirect=301,https://b.test/'] }, prefix), undefined)
})

t.test('a weight is bounded, and so is what becomes of it', async (t) => {
  const weightOf = (text: string): unknown => {
    const tag = parseTag(`urlprefix-/x weight=${text}`, prefix)
    return tag?.kind === 'route' ? tag.weight : tag?.reason
  }
  t.equal(weightOf('0.0001'), 0.0001)
  t.equal(weightOf('1000'), 1_000)
  for (const text of ['0.00009', `0.${'0'.repeat(310)}5`, '1000.1', '9'.repeat(400)])
    t.match(weightOf(text), /^weight=.{1,40} is not supported: .*, from 0\.0001 to 1000$/, text)
  const tags = (text: string) => [`urlprefix-/x weight=${text}`]
  const web = service('web', [instance('web', 'a', { tags: tags(`0.${'0'.repeat(310)}5`) })])
  const { table } = buildTable(emptyTable, snapshot(web), policy([route('/', 'web')], {}, { tagPrefix: prefix }))
  t.match(table.services.get('web')?.groups, [{ weight: 1, endpoints: [{ weight: 1 }] }])
})

t.test('a tag that claims refuse wishes nothing', async (t) => {
  const claims = [{ service: 'web', hosts: ['web.example.com'] }]
  const own = 'urlprefix-web.example.com/'
  const foreign = 'urlprefix-foreign.example.com/ weight=1'
  t.equal(tagWish({ service: 'web', tags: [own, foreign] }, prefix, claims), undefined)
  t.same(tagWish({ service: 'web', tags: [`${own} weight=.2`, foreign] }, prefix, claims), { part: 0.2, torn: false })
  t.same(tagWish({ service: 'web', tags: [own, foreign] }, prefix), { part: 1, torn: true })
  const web = snapshot(
    service('web', [instance('web', 'a', { tags: [own, foreign] }), instance('web', 'b', { tags: [own] })]),
  )
  const weights = (said: Policy['claims']): readonly number[] => {
    const { table } = buildTable(emptyTable, web, policy([route('/', 'web')], {}, { tagPrefix: prefix, claims: said }))
    return table.services.get('web')?.groups[0]?.endpoints.map(({ weight }) => weight) ?? []
  }
  t.same(weights(undefined), [1, 0])
  t.same(weights(claims), [1, 1], 'also for a snapshot that was read by other claims before')
})

t.test('parts of the traffic', async (t) => {
  const shares = (weights: Readonly<Record<string, number>>, wishes: Readonly<Record<string, number>>) =>
    Object.fromEntries(
      withWishes(
        Object.entries(weights).map(([key, weight]) => ({ key, weight })),
        new Map(Object.entries(wishes)),
      ).map(({ key, weight }) => [key, Math.round(weight * 1_000) / 1_000]),
    )
  t.same(shares({ a: 1, b: 1, c: 1 }, { c: 0.05 }), { a: 0.475, b: 0.475, c: 0.05 }, 'a canary of 5 %')
  t.same(shares({ a: 1, b: 1 }, { a: 0.2, b: 0.2 }), { a: 0.5, b: 0.5 }, 'less than all, and nobody for the rest')
  t.same(shares({ a: 1, b: 1, c: 1 }, { a: 3, b: 1 }), { a: 0.75, b: 0.25, c: 0 }, 'more than all')
  t.same(shares({ a: 3, b: 1, c: 1 }, { c: 0.2 }), { a: 0.6, b: 0.2, c: 0.2 }, "the rest by Consul's weights")
  t.same(shares({ a: 1, b: 0 }, { b: 0.9 }), { a: 1, b: 0 }, 'a critical one stays at nothing, and leaves its part')
  const tenths = Object.fromEntries(Array.from({ length: 10 }, (_, at) => [`t${String(at)}`, 0.1]))
  const ones = Object.fromEntries(Object.keys(tenths).map((key) => [key, 1]))
  const left = withWishes(
    Object.entries({ ...ones, a: 1 }).map(([key, weight]) => ({ key, weight })),
    new Map(Object.entries(tenths)),
  )
  t.equal(left.find(({ key }) => key === 'a')?.weight, 0, 'ten times 0.1 is all')
  const as = [{ key: 'a', weight: 2 }]
  t.equal(withWishes(as, new Map()), as)
})

t.test('as a property: parts stand, all adds up to 1, and nobody who has nothing gets any', async () => {
  const weights = fc.array(fc.tuple(fc.integer({ min: 0, max: 9 }), fc.option(fc.integer({ min: 1, max: 2_000 }))), {
    minLength: 1,
    maxLength: 12,
  })
  fc.assert(
    fc.property(weights, (given) => {
      const instances = given.map(([weight], i) => ({ key: String(i), weight }))
      const wishes = new Map(
        given.flatMap(([, wish], i) => (wish === null ? [] : [[String(i), wish / 1_000] as const])),
      )
      const wished = instances.filter(({ key, weight }) => weight > 0 && wishes.has(key))
      const fixed = wished.reduce((sum, { key }) => sum + (wishes.get(key) ?? 0), 0)
      const result = new Map(withWishes(instances, wishes).map(({ key, weight }) => [key, weight]))
      for (const { key, weight } of instances) if (weight === 0 && result.get(key) !== 0) return false
      if (wished.length === 0) return instances.every(({ key, weight }) => result.get(key) === weight)
      const total = [...result.values()].reduce((sum, weight) => sum + weight, 0)
      const rest = instances.some(({ key, weight }) => weight > 0 && !wishes.has(key))
      const kept = fixed > 1 || !rest || wished.every(({ key }) => result.get(key) === wishes.get(key))
      return Math.abs(total - 1) < 1e-9 && kept
    }),
  )
})

t.test('in a table: shares between versions and within one, and a problem where tags disagree', async (t) => {
  const parts = { version: '1', tags: ['urlprefix-/'] }
  const web = service('web', [
    instance('web', 'a', parts),
    instance('web', 'b', parts),
    instance('web', 'c', { version: '2', tags: ['urlprefix-/ weight=.1'] }),
  ])
  const routes = [route('/', 'web')]
  const weigh = (tagPrefix: string | undefined, of = web) => {
    const { table, problems } = buildTable(emptyTable, snapshot(of), policy(routes, {}, { tagPrefix }))
    return { groups: table.services.get('web')?.groups.map(({ weight }) => weight), problems }
  }
  t.same(weigh('urlprefix-'), { groups: [0.9, 0.1], problems: [] })
  t.same(weigh(undefined), { groups: [2, 1], problems: [] })
  const torn = service('web', [instance('web', 'a', { tags: ['urlprefix-/ weight=.1', 'urlprefix-/b weight=.2'] })])
  t.match(weigh('urlprefix-', torn).problems, [{ code: 'torn-weight', where: 'tag:web' }])
})
