import fc from 'fast-check'
import t from 'tap'
import { claimFault, type HostClaim } from '../../src/policy/host-claims.ts'
import { emptyPolicy, type Policy } from '../../src/policy/policy.ts'
import { mergePolicy } from '../../src/policy/tags.ts'
import { buildTable, emptyTable } from '../../src/table/build.ts'
import type { RouteTable } from '../../src/table/table.ts'
import { freezeDeep, instance, route, service, snapshot } from '../fixtures/tables.ts'

const claims: readonly HostClaim[] = freezeDeep([
  { service: 'shop-*', hosts: ['shop.example.com', '*.shop.example.com'] },
  { service: 'shop-eu', hosts: ['eu.example.com'] },
  { service: 'edge', hosts: ['*'] },
])

void t.test('who may have which host', async (t) => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ['shop-web', 'shop.example.com', true],
    ['shop-web', 'a.shop.example.com', true],
    ['shop-web', 'a.b.shop.example.com', true],
    ['shop-web', '*.shop.example.com', true],
    ['shop-web', '*.b.shop.example.com', true],
    ['shop-web', 'example.com', false],
    ['shop-web', '*.example.com', false],
    ['shop-web', 'ashop.example.com', false],
    ['shop-web', 'a.ashop.example.com', false],
    ['shop-web', 'shop.example.com.evil.test', false],
    ['shop-web', 'eu.example.com', false],
    ['shop-web', '', false],
    ['shop-eu', 'eu.example.com', true],
    ['shop-eu', 'shop.example.com', true],
    ['shop-eu', 'a.eu.example.com', false],
    ['edge', '', true],
    ['edge', '*.example.com', true],
    ['edge', 'shop.example.com', true],
    ['shop', 'shop.example.com', false],
    ['my-shop-x', 'shop.example.com', false],
    ['other', 'shop.example.com', false],
    ['', 'shop.example.com', false],
    ['__proto__', 'shop.example.com', false],
  ]
  for (const [name, host, may] of cases)
    t.equal(claimFault(claims, name, host) === undefined, may, `${name} for ${host || 'any host'}`)
  t.equal(claimFault(undefined, 'other', 'shop.example.com'), undefined, 'without claims all may')
  t.equal(
    claimFault(claims, 'shop-web', 'x.test'),
    'policy.claims leaves it shop.example.com, *.shop.example.com, not x.test',
  )
  t.equal(
    claimFault(claims, 'shop-web', ''),
    'policy.claims leaves it shop.example.com, *.shop.example.com, not every host',
  )
  t.equal(claimFault(claims, 'other', 'x.test'), 'no entry of policy.claims names service other')
})

void t.test('whatever host a request names that a permitted route would match, the claim covers', async () => {
  const label = fc.constantFrom('a', 'b', 'shop', 'x-y')
  const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'))
  const pattern = fc.tuple(fc.boolean(), name).map(([wild, text]) => (wild ? `*.${text}` : text))
  const matches = (of: string, host: string): boolean =>
    of.startsWith('*.') ? host.endsWith(of.slice(1)) : of === host
  fc.assert(
    fc.property(pattern, pattern, name, (claimed, wanted, host) => {
      const may = claimFault([{ service: 's', hosts: [claimed] }], 's', wanted) === undefined
      return !may || !matches(wanted, host) || matches(claimed, host)
    }),
    { numRuns: 5_000 },
  )
})

const base: Policy = { ...emptyPolicy, tagPrefix: 'urlprefix-', routes: [route('/', 'root')], claims }

function build(names: Readonly<Record<string, readonly string[] | undefined>>, policy = base, previous = emptyTable) {
  const services = Object.entries(names).map(([name, tags]) =>
    service(name, tags ? [instance(name, 'a', { tags })] : []),
  )
  const snap = snapshot(...services, service('root', [instance('root', 'r')]))
  return buildTable(previous, snap, mergePolicy(policy, snap)).table
}

const places = (table: RouteTable): string[] => table.routes.map(({ host, path }) => host + path)
const problems = (table: RouteTable): string[] => table.problems.map(({ code, where }) => `${code} ${where}`)

void t.test('a tag outside its claim costs itself alone', async (t) => {
  const table = build({
    'shop-web': ['urlprefix-shop.example.com/', 'urlprefix-eu.example.com/', 'urlprefix-/x'],
    other: ['urlprefix-SHOP.example.com/checkout', 'urlprefix-:1'],
    edge: ['urlprefix-/y', 'urlprefix-*/z'],
  })
  t.same(places(table), ['shop.example.com/', '/z', '/y', '/'])
  t.same(problems(table), [
    'bad-tag tag:other:urlprefix-:1',
    'claim-refused tag:other:urlprefix-shop.example.com/checkout',
    'claim-refused tag:shop-web:urlprefix-/x',
    'claim-refused tag:shop-web:urlprefix-eu.example.com/',
  ])
  t.match(
    table.problems[1]?.message,
    /^tag "urlprefix-SHOP.example.com\/checkout" of service other makes no route: no entry of policy\.claims names/,
  )
})

void t.test('a host that is taken away is gone, whatever would keep a route', async (t) => {
  const open = { ...base, claims: undefined }
  const before = build({ other: ['urlprefix-x.test/'] }, open)
  t.same(places(before), ['x.test/', '/'])
  t.same(places(build({ other: undefined }, open, before)), ['x.test/', '/'], 'kept while there is no instance')
  t.same(places(build({ other: undefined }, base, before)), ['/'], 'but not against the claims')
  const turned = build({ other: ['urlprefix-x.test/ weight=1'] }, base, before)
  t.same(places(turned), ['/'], 'nor for a tag that turned bad')
  t.same(problems(turned), ['claim-refused tag:other:urlprefix-x.test/'])
  const permitted = { ...base, claims: [{ service: 'other', hosts: ['x.test'] }] }
  t.same(places(build({ other: undefined }, permitted, before)), ['x.test/', '/'])
  t.same(places(build({ other: ['urlprefix-x.test/'] }, permitted, turned)), ['x.test/', '/'], 'and back')
})

void t.test('other claims judge the same registrations anew', async (t) => {
  const snap = snapshot(service('other', [instance('other', 'a', { tags: ['urlprefix-x.test/'] })]))
  const routes = (policy: Policy): number => mergePolicy(policy, snap).routes.length
  t.equal(routes({ ...base, claims: undefined }), 2)
  t.equal(routes(base), 1)
  t.equal(routes({ ...base, claims: [{ service: '*', hosts: ['x.test'] }] }), 2)
})
