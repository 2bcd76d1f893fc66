/** What stays of tags that turn bad or go: each by itself, also where several services share a place, and never past a claim. */
import fc from 'fast-check'
import t from 'tap'
import { claimFault, type HostClaim } from '../../src/policy/host-claims.ts'
import { emptyPolicy, type Policy } from '../../src/policy/policy.ts'
import { mergePolicy } from '../../src/policy/tags.ts'
import { buildTable, emptyTable } from '../../src/table/build.ts'
import { leadsTo } from '../../src/table/leads-to.ts'
import { type RouteTable, servicesAt } from '../../src/table/table.ts'
import { instance, route, service, snapshot } from '../fixtures/tables.ts'

const host = 'shop.example.com'
const good = `urlprefix-${host}/`
const bad = `${good} bogus=1`
const elsewhere = `${good} redirect=301,https://elsewhere.test/`

const claimed = (...names: readonly string[]): readonly HostClaim[] =>
  names.map((name) => ({ service: name, hosts: [host] }))
const both = claimed('shop', 'zevil')

/** By service its tag; '' for one that is registered with no instance. */
type Tags = Readonly<Record<string, string>>

function follow(steps: readonly (readonly [claims: Policy['claims'], tags: Tags])[], more: Partial<Policy> = {}) {
  let table: RouteTable = emptyTable
  for (const [claims, tags] of steps) {
    const services = Object.entries(tags).map(([name, tag]) =>
      service(name, tag === '' ? [] : [instance(name, `${name}-1`, { tags: [tag] })]),
    )
    const from = snapshot(...services)
    const base: Policy = { ...emptyPolicy, tagPrefix: 'urlprefix-', claims, ...more }
    ;({ table } = buildTable(table, from, mergePolicy(base, from)))
  }
  return table
}

const leads = (table: RouteTable): readonly string[] =>
  table.routes.map((one) => one.policy.redirect?.to ?? leadsTo(one))
const codes = ({ problems }: RouteTable): readonly string[] => problems.map(({ code }) => code)

t.test('of a shared place, what each service has of it is judged by itself', async (t) => {
  const shared = [both, { shop: good, zevil: good }] as const
  const cases: readonly [string, Parameters<typeof follow>[0], string][] = [
    ['both tags turn bad at once', [shared, [both, { shop: bad, zevil: bad }]], 'shop and zevil'],
    ['one of them', [shared, [both, { shop: bad, zevil: good }]], 'shop and zevil'],
    ['the other', [shared, [both, { shop: good, zevil: bad }]], 'shop and zevil'],
    [
      'one is well again',
      [shared, [both, { shop: bad, zevil: bad }], [both, { shop: good, zevil: bad }]],
      'shop and zevil',
    ],
    [
      'one after the other',
      [shared, [both, { shop: good, zevil: bad }], [both, { shop: bad, zevil: bad }]],
      'shop and zevil',
    ],
    [
      'then a claim goes',
      [shared, [both, { shop: bad, zevil: bad }], [claimed('shop'), { shop: bad, zevil: bad }]],
      'shop',
    ],
    ['all of that in one build', [shared, [claimed('shop'), { shop: bad, zevil: bad }]], 'shop'],
    ['the claim of the first goes', [shared, [claimed('zevil'), { shop: bad, zevil: bad }]], 'zevil'],
    [
      'the last instance of one and the claim of the other',
      [shared, [claimed('shop'), { shop: '', zevil: good }]],
      'shop',
    ],
    ['the last instance of one', [shared, [both, { shop: '', zevil: good }]], 'zevil'],
    ['the last instances of both', [shared, [both, { shop: '', zevil: '' }]], 'shop and zevil'],
    ['and then one is back', [shared, [both, { shop: '', zevil: '' }], [both, { shop: '', zevil: good }]], 'zevil'],
    [
      'a redirect comes beside a bad tag',
      [
        [both, { shop: good }],
        [both, { shop: bad, zevil: elsewhere }],
      ],
      'shop',
    ],
    [
      'a redirect turns bad beside a tag that it hid',
      [
        [both, { shop: elsewhere, zevil: good }],
        [both, { shop: `${elsewhere} bogus=1`, zevil: good }],
      ],
      'https://elsewhere.test/',
    ],
  ]
  for (const [name, steps, wanted] of cases) t.same(leads(follow(steps)), [wanted], name)
  const none = follow([shared, [claimed('nobody'), { shop: bad, zevil: bad }]])
  t.same(leads(none), [])
  const alone = follow([shared, [claimed('shop'), { shop: '', zevil: good }]])
  t.same(codes(alone), ['claim-refused', 'no-such-service'], 'nobody is said to share it any more')
  t.same(codes(follow([shared, [both, { shop: bad, zevil: good }]])), ['bad-tag', 'place-shared'])
})

t.test('what a tag said of its own part stays with it', async (t) => {
  const said = [both, { shop: `${good} strip=/a deny=ip:10.0.0.0/8`, zevil: `${good} proto=https` }] as const
  const before = follow([said])
  const after = follow([said, [both, { shop: bad, zevil: bad }]])
  t.same(after.routes[0]?.policy, before.routes[0]?.policy)
  t.match(leads(follow([said, [claimed('shop'), { shop: bad, zevil: bad }]])), ['shop'])
  t.match(follow([said, [claimed('shop'), { shop: bad, zevil: bad }]]).routes[0]?.policy, {
    origin: `tag:shop:${good}`,
    shaping: { strip: '/a' },
    access: { deny: ['10.0.0.0/8'] },
  })
})

t.test('a route of the configuration has its place alone', async (t) => {
  const shared = [both, { shop: good, zevil: good }] as const
  const more = { routes: [route(`${host}/`, 'own')] }
  const table = follow([shared, [both, { shop: bad, zevil: bad }]], more)
  t.same(leads(table), ['own'])
})

t.test('whatever comes after whatever: no route leads where claims refuse', async () => {
  const tags = fc.record({
    shop: fc.constantFrom(good, bad, '', elsewhere),
    web: fc.constantFrom(good, bad, ''),
    zevil: fc.constantFrom(good, bad, '', elsewhere),
  })
  const claims = fc.subarray(['shop', 'web', 'zevil']).map((names) => claimed(...names))
  fc.assert(
    fc.property(fc.array(fc.tuple(claims, tags), { minLength: 1, maxLength: 6 }), (steps) => {
      const table = follow(steps)
      const [said] = steps.at(-1) ?? []
      return table.routes.every((one) =>
        servicesAt(one).every((name) => name === '' || claimFault(said, name, one.host) === undefined),
      )
    }),
    { numRuns: 500 },
  )
})
