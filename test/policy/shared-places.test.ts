/** Several services with tags for one place: what fabio does with them (1.7, route/route.go `weighTargets`) is the reference. */
import fc from 'fast-check'
import t from 'tap'
import { bindTable } from '../../src/live/bind.ts'
import { createRegistry, type Registry } from '../../src/live/registry.ts'
import { emptyPolicy, type Policy, type RoutePolicy, type ServicePolicy } from '../../src/policy/policy.ts'
import { mergePolicy } from '../../src/policy/tags.ts'
import { applyDelta, tableDelta } from '../../src/fleet/table-delta.ts'
import { buildTable, emptyTable } from '../../src/table/build.ts'
import { describeChange } from '../../src/table/describe-change.ts'
import { diffTables } from '../../src/table/diff.ts'
import type { RouteTable } from '../../src/table/table.ts'
import { fakePool, instance, route, service, servicePolicy, snapshot } from '../fixtures/tables.ts'

const newRegistry = (): Registry => createRegistry((each) => fakePool(each))

const base: Policy = { ...emptyPolicy, tagPrefix: 'urlprefix-' }

/** A service by name, each instance by its tag. */
type Services = Readonly<Record<string, readonly string[]>>

const snapshotOf = (services: Services) =>
  snapshot(
    ...Object.entries(services).map(([name, tags]) =>
      service(
        name,
        tags.map((tag, at) => instance(name, `${name}${String(at)}`, { tags: [tag] })),
      ),
    ),
  )

function built(services: Services, policy: Policy = base): RouteTable {
  const from = snapshotOf(services)
  return buildTable(emptyTable, from, mergePolicy(policy, from)).table
}

/** What each instance gets of the first route, as the data path weighs it. */
function sharesOf(table: RouteTable): Readonly<Record<string, number>> {
  const bound = bindTable(table, newRegistry())
  const first = bound.match('', '/')
  const aims = first?.parts ?? (first ? [{ ...first, weight: 1 }] : [])
  const shares: Record<string, number> = {}
  const total = (items: readonly { readonly weight: number }[]): number =>
    items.reduce((sum, { weight }) => sum + weight, 0)
  for (const aim of aims)
    for (const group of aim.groups)
      for (const { endpoint } of group.endpoints)
        shares[endpoint.id] =
          ((aim.weight / total(aims)) * (group.weight / total(aim.groups)) * endpoint.weight) /
          total(group.endpoints.map((one) => one.endpoint))
  return shares
}

/** As fabio has it: undefined has no fixed weight. */
function fabioShares(fixed: readonly (number | undefined)[]): readonly number[] {
  const said = fixed.filter((one) => one !== undefined)
  const sum = said.reduce((all, one) => all + one, 0)
  if (said.length === 0) return fixed.map(() => 1 / fixed.length)
  const scale = sum > 1 || said.length === fixed.length ? 1 / sum : 1
  const rest = Math.max(0, 1 - sum * scale) / (fixed.length - said.length)
  return fixed.map((one) => (one === undefined ? rest : one * scale))
}

const tagOf = (weight: number | undefined): string =>
  `urlprefix-/${weight === undefined ? '' : ` weight=${String(weight)}`}`

t.test('each instance gets the share that fabio gives it', async (t) => {
  const cases: Readonly<
    Record<string, readonly [readonly (number | undefined)[], readonly (number | undefined)[], readonly number[]]>
  > = {
    'no weight': [[undefined], [undefined], [0.5, 0.5]],
    'as many as there are': [[undefined, undefined], [undefined], [1 / 3, 1 / 3, 1 / 3]],
    'a fixed one': [[0.1], [undefined], [0.1, 0.9]],
    'a fixed one, the rest for two services': [[0.2, undefined], [undefined], [0.2, 0.4, 0.4]],
    'all fixed, less than 1': [[0.1], [0.3], [0.25, 0.75]],
    'more than 1': [[0.9], [0.9, undefined], [0.5, 0.5, 0]],
  }
  for (const [name, [a, b, wanted]] of Object.entries(cases)) {
    t.same(
      fabioShares([...a, ...b]).map((one) => Number(one.toFixed(9))),
      wanted.map((one) => Number(one.toFixed(9))),
      `${name}: fabio`,
    )
    const shares = sharesOf(built({ a: a.map(tagOf), b: b.map(tagOf) }))
    const own = [...a.map((_, at) => shares[`a${String(at)}`]), ...b.map((_, at) => shares[`b${String(at)}`])]
    for (const [at, share] of wanted.entries())
      t.ok(Math.abs((own[at] ?? 0) - share) < 1e-9, `${name}: ${String(own[at])}`)
  }
})

t.test('where tags ask for all there is, the others are told', async (t) => {
  const noShare = (services: Services): readonly unknown[] =>
    built(services).problems.filter(({ code }) => code === 'no-share')
  t.match(noShare({ shop: [tagOf(undefined)], zevil: [tagOf(1)] }), [
    {
      notice: true,
      where: 'tag:shop:urlprefix-/',
      message: /^weight= in tags of service zevil asks for all requests here: service shop gets none/,
    },
  ])
  t.equal(noShare({ a: [tagOf(0.7)], b: [tagOf(0.3)], c: [tagOf(undefined)] }).length, 1)
  t.match(noShare({ a: [tagOf(0.7)], b: [tagOf(0.3)], c: [tagOf(undefined)] }), [
    { message: /of services a and b asks/ },
  ])
  t.same(noShare({ shop: [tagOf(undefined)], zevil: [tagOf(0.9)] }), [])
  t.same(noShare({ shop: [tagOf(undefined)], zevil: [tagOf(undefined)] }), [])
})

t.test('a wish in a tag that claims refuse takes nothing from others', async (t) => {
  const claims = ['shop', 'zevil'].map((name) => ({ service: name, hosts: ['shop.example.com'] }))
  const tags = (...more: readonly string[]) => ({ tags: ['urlprefix-shop.example.com/', ...more] })
  const from = snapshot(
    service('shop', [instance('shop', 'a', tags())]),
    service('zevil', [instance('zevil', 'b', tags('urlprefix-foreign.example.com/ weight=1'))]),
  )
  const { table } = buildTable(emptyTable, from, mergePolicy({ ...base, claims }, from))
  t.match(table.routes[0]?.parts, [
    { service: 'shop', weight: 1 },
    { service: 'zevil', weight: 1 },
  ])
})

t.test('whatever services and weights there are', async () => {
  const weights = fc.array(fc.option(fc.integer({ min: 1, max: 150 }), { nil: undefined }), {
    minLength: 1,
    maxLength: 4,
  })
  fc.assert(
    fc.property(fc.array(weights, { minLength: 2, maxLength: 4 }), (services) => {
      const names = services.map((_, at) => `s${String(at)}x`)
      const parts = services.map((list) => list.map((one) => (one === undefined ? undefined : one / 100)))
      const shares = sharesOf(built(Object.fromEntries(parts.map((list, at) => [names[at] ?? '', list.map(tagOf)]))))
      const wanted = fabioShares(parts.flat())
      const ids = parts.flatMap((list, at) => list.map((_, one) => `${names[at] ?? ''}${String(one)}`))
      return ids.every((id, at) => Math.abs((shares[id] || 0) - (wanted[at] ?? 0)) < 1e-9)
    }),
    { numRuns: 200 },
  )
})

t.test('a weight in a shared place leaves the weights elsewhere as they are', async (t) => {
  const from = snapshot(
    service('a', [
      instance('a', 'a0', { tags: ['urlprefix-/ weight=0.2', 'urlprefix-/own weight=0.2'] }),
      instance('a', 'a1', { tags: ['urlprefix-/', 'urlprefix-/own'] }),
    ]),
    service('b', [instance('b', 'b0', { tags: ['urlprefix-/'] })]),
  )
  const { table } = buildTable(emptyTable, from, mergePolicy(base, from))
  const own = table.services.get('a')?.groups[0]?.endpoints.map(({ weight }) => weight)
  t.same(own, [0.2, 0.8], 'alone')
  const shares = Object.entries(sharesOf(table)).map(([id, share]) => `${id} ${share.toFixed(6)}`)
  t.same(shares, ['a0 0.200000', 'a1 0.400000', 'b0 0.400000'], 'shared')
})

const shared = (
  services: Services,
  policy: Policy = base,
): { readonly routes: readonly RoutePolicy[]; readonly codes: readonly string[] } => {
  const merged = mergePolicy(policy, snapshotOf(services))
  return {
    routes: merged.routes,
    codes: merged.problems.map(({ code, message, notice }) => `${notice ? 'notice ' : ''}${code}: ${message}`),
  }
}

t.test('what the tags say besides is of their services', async (t) => {
  const same = shared({ a: ['urlprefix-/ strip=/x'], b: ['urlprefix-/ strip=/x'] })
  t.match(same.routes, [
    { service: 'a', shaping: { strip: '/x' }, traffic: { split: [{ service: 'a' }, { service: 'b' }] } },
  ])
  t.equal(same.routes[0]?.traffic?.split?.[0]?.shaping, undefined, 'said once where all say it')
  const other = shared({ a: ['urlprefix-/ strip=/x allow=ip:10.0.0.0/8'], b: ['urlprefix-/ proto=https'] })
  t.match(other.routes, [
    {
      shaping: undefined,
      access: undefined,
      traffic: {
        split: [
          { shaping: { strip: '/x' }, access: { allow: ['10.0.0.0/8'] } },
          { shaping: undefined, upstreamTls: true },
        ],
      },
    },
  ])
  t.same(same.codes, ['notice place-shared: services a and b have tags for /: their instances share its requests'])
  const table = built({ a: ['urlprefix-/'], b: ['urlprefix-/ proto=https'] })
  t.equal(table.services.get('a')?.policy.tls, undefined)
  t.ok(table.services.get('b')?.policy.tls, 'each service has its own scheme')
  t.same(
    table.problems.filter(({ notice }) => !notice),
    [],
  )
})

t.test('a route of the configuration has the place, a redirect does not share it', async (t) => {
  const taken = { ...base, routes: [route('/', 'own')] }
  const { routes, codes } = shared({ a: ['urlprefix-/'], b: ['urlprefix-/'] }, taken)
  t.same([routes.map(({ origin }) => origin), codes], [['config:/', 'tag:a:urlprefix-/', 'tag:b:urlprefix-/'], []])
  const shadowed = built({ a: ['urlprefix-/'], b: ['urlprefix-/'] }, taken).problems.filter(
    ({ code }) => code === 'route-shadowed',
  )
  t.same(
    shadowed.map(({ where }) => where),
    ['tag:a:urlprefix-/', 'tag:b:urlprefix-/'],
  )
  const redirect = built({ a: ['urlprefix-/ redirect=302,https://x.test/'], b: ['urlprefix-/'], c: ['urlprefix-/'] })
  t.match(redirect.routes, [{ policy: { redirect: { to: 'https://x.test/' } } }])
  t.match(
    redirect.problems.find(({ code }) => code === 'route-shadowed')?.message,
    /^\/ to b and c has no effect: tag:a:/,
  )
})

t.test('rules and stickiness hold where all agree; what is not asked is a problem', async (t) => {
  const sticky = { from: 'header', name: 'x-user' } as const
  const rule = (version: string): Partial<ServicePolicy> => ({
    rules: [{ when: [], action: { kind: 'version', version } }],
  })
  const with_ = (a: Partial<ServicePolicy>, b: Partial<ServicePolicy>): Policy => ({
    ...base,
    services: new Map([
      ['a', servicePolicy(a)],
      ['b', servicePolicy(b)],
    ]),
  })
  const tags = { a: ['urlprefix-/'], b: ['urlprefix-/'] }
  t.same(shared(tags, with_({ sticky }, { sticky })).routes[0]?.traffic?.sticky, sticky)
  t.equal(shared(tags, with_({ sticky }, {})).routes[0]?.traffic?.sticky, undefined)
  const answer = {
    rules: [{ when: [], action: { kind: 'answer', answer: { status: 410, body: '', contentType: '' } } }],
  } as const
  t.equal(shared(tags, with_(answer, answer)).routes[0]?.traffic?.rules?.length, 1)
  const guarded = { a: ['urlprefix-/ deny=ip:10.0.0.1'], b: ['urlprefix-/'] }
  t.equal(shared(guarded, with_(answer, answer)).routes[0]?.traffic?.rules?.length, 0, "past nobody's allow and deny")
  const { problems } = built(tags, with_(rule('1'), {}))
  t.match(
    problems.filter(({ code }) => code === 'split-not-followed'),
    [{ where: 'tag:a:urlprefix-/', message: /service a, which has rules of its own: they are not asked/ }],
  )
})

t.test('a service whose instances go leaves the place to the others, and the last one answers 503', async (t) => {
  const both = snapshotOf({ a: ['urlprefix-/'], b: ['urlprefix-/'] })
  const gone = (a: readonly string[], b: readonly string[]) => snapshotOf({ a, b })
  let { table } = buildTable(emptyTable, both, mergePolicy(base, both))
  const next = (from: ReturnType<typeof snapshotOf>): RouteTable =>
    ({ table } = buildTable(table, from, mergePolicy(base, from))).table
  t.same(sharesOf(next(gone([], ['urlprefix-/']))), { b0: 1 })
  t.match(next(gone([], [])).routes, [{ host: '', path: '/' }], 'nothing shorter takes it')
  t.same(sharesOf(next(both)), { a0: 0.5, b0: 0.5 })
})

t.test('nothing is new while nothing changes', async (t) => {
  const from = snapshotOf({ a: ['urlprefix-/'], b: ['urlprefix-/ weight=0.3'] })
  const { table } = buildTable(emptyTable, from, mergePolicy(base, from))
  const again = snapshotOf({ a: ['urlprefix-/'], b: ['urlprefix-/ weight=0.3'] })
  t.equal(buildTable(table, again, mergePolicy(base, again)).table, table)
})

t.test('an instance of a part that is replaced is bound, though the route is the same', async (t) => {
  const from = (id: string) =>
    snapshot(
      service('a', [instance('a', 'a0', { tags: ['urlprefix-/'] })]),
      service('b', [instance('b', id, { tags: ['urlprefix-/'] })]),
    )
  const registry = newRegistry()
  const { table } = buildTable(emptyTable, from('b0'), mergePolicy(base, from('b0')))
  const bound = bindTable(table, registry)
  const next = buildTable(table, from('b1'), mergePolicy(base, from('b1'))).table
  t.equal(next.routes, table.routes)
  const part = bindTable(next, registry, bound).match('', '/')?.parts?.[1]
  t.equal(part?.groups[0]?.endpoints[0]?.endpoint.id, 'b1')
  const moved = applyDelta(table, structuredClone(tableDelta(table, next)))
  t.equal(moved.services.get('b')?.groups[0]?.endpoints[0]?.id, 'b1', 'at a worker as well')
  const second = snapshotOf({ a: ['urlprefix-/'], b: ['urlprefix-/', 'urlprefix-/'] })
  const heavier = buildTable(next, second, mergePolicy(base, second)).table
  t.equal(heavier.routes[0]?.policy, next.routes[0]?.policy, 'it says the same')
  t.equal(applyDelta(moved, structuredClone(tableDelta(next, heavier))).routes[0]?.parts?.[1]?.weight, 2)
  const more = snapshot(...from('b1').services.values(), service('c', [instance('c', 'c0', { tags: ['urlprefix-/'] })]))
  const three = buildTable(next, more, mergePolicy(base, more)).table
  t.same(
    applyDelta(moved, structuredClone(tableDelta(next, three))).routes[0]?.parts?.map((one) => one.service),
    ['a', 'b', 'c'],
  )
})

t.test('the log tells who shares a place', async (t) => {
  const one = snapshotOf({ a: ['urlprefix-/'] })
  const two = snapshotOf({ a: ['urlprefix-/'], b: ['urlprefix-/'] })
  const { table } = buildTable(emptyTable, one, mergePolicy(base, one))
  const next = buildTable(table, two, mergePolicy(base, two)).table
  t.equal(diffTables(table, next).map(describeChange)[0], 'route */ leads to a and b, before to a (tag:a:urlprefix-/)')
})
