/** What config entries ask for, and what of it cannot be expressed. */
import fc from 'fast-check'
import t from 'tap'
import type { PolicyDocument } from '../../src/policy/documents/documents.ts'
import { readFilter } from '../../src/policy/consul-entries/filter.ts'
import type { SubsetCondition, Translation } from '../../src/policy/consul-entries/result.ts'
import { translateEntries } from '../../src/policy/consul-entries/translate.ts'

function documentsOf(entries: Readonly<Record<string, unknown>>): Map<string, PolicyDocument> {
  return new Map(
    Object.entries(entries).map(([key, entry]) => [key, { key, text: JSON.stringify(entry), modifyIndex: 1 }]),
  )
}

const translate = (entries: Readonly<Record<string, unknown>>): Translation => translateEntries(documentsOf(entries))

const route = (match: object, destination: object = {}): object => ({
  Kind: 'service-router',
  Name: 'web',
  Routes: [{ Match: { HTTP: match }, Destination: destination }],
})
const header = (more: object): object => route({ Header: [{ Name: 'X-A', ...more }] })
const resolver = (more: object): object => ({ Kind: 'service-resolver', Name: 'web', ...more })
const split = (...weights: readonly unknown[]): object => ({ Splits: weights.map((Weight) => ({ Weight })) })

void t.test('matches', async (t) => {
  const matchOf = (entry: object): unknown => {
    const { services, problems } = translate({ 'service-router/web': entry })
    t.same(problems, [])
    return services.get('web')?.routes?.[0]?.match
  }
  const none = { path: undefined, headers: [], query: [], methods: [] }
  t.strictSame(matchOf(route({})), none)
  t.strictSame(matchOf({ Routes: [{}] }), none, 'no match matches all')
  t.strictSame(matchOf(route({ PathExact: '/a' })), { ...none, path: { kind: 'exact', value: '/a' } })
  t.strictSame(matchOf(route({ PathPrefix: '/a' })), { ...none, path: { kind: 'prefix', value: '/a' } })
  t.strictSame(matchOf(route({ Methods: ['get', 'PUT'] })), { ...none, methods: ['GET', 'PUT'] })
  const conditions: readonly [object, object][] = [
    [{ Present: true }, { kind: 'present' }],
    [{ Exact: 'v' }, { kind: 'exact', value: 'v' }],
    [{ Prefix: 'v' }, { kind: 'prefix', value: 'v' }],
    [{ Suffix: 'v' }, { kind: 'suffix', value: 'v' }],
  ]
  for (const [more, match] of conditions) {
    t.strictSame(matchOf(header(more)), { ...none, headers: [{ name: 'x-a', match, invert: false }] })
    t.strictSame(matchOf(header({ ...more, Invert: true })), {
      ...none,
      headers: [{ name: 'x-a', match, invert: true }],
    })
  }
  t.strictSame(matchOf(route({ QueryParam: [{ Name: 'B', Exact: '1', Regex: '' }] })), {
    ...none,
    query: [{ name: 'B', match: { kind: 'exact', value: '1' } }],
  })
})

void t.test('destinations', async (t) => {
  const routeOf = (destination: object): unknown =>
    translate({ 'service-router/web': route({ PathPrefix: '/a' }, destination) }).services.get('web')?.routes?.[0]
  t.match(routeOf({}), { target: { service: 'web', subset: undefined }, requestTimeoutMs: undefined, retry: undefined })
  t.match(routeOf({ Service: 'api', ServiceSubset: 'v2' }), { target: { service: 'api', subset: 'v2' } })
  t.match(routeOf({ RequestTimeout: 15_000_000_000 }), { requestTimeoutMs: 15_000 }, 'nanoseconds')
  t.match(routeOf({ RequestTimeout: '1h1m1s1ms' }), { requestTimeoutMs: 3_661_001 })
  t.match(routeOf({ RequestTimeout: '0s', NumRetries: 0 }), { requestTimeoutMs: undefined, retry: undefined })
  t.match(routeOf({ RetryOnConnectFailure: true }), { retry: { retries: 1, onConnectFailure: true, onStatuses: [] } })
  t.match(routeOf({ Namespace: 'default', Partition: 'default' }), { target: { service: 'web' } })
  t.match(routeOf({ PrefixRewrite: '/b' }), { prefixRewrite: '/b' })
})

void t.test('resolvers and splits', async (t) => {
  const { services, problems } = translate({
    'service-resolver/old': { Redirect: { Service: 'web', ServiceSubset: 'v1' } },
    'service-resolver/web': resolver({
      Subsets: { v1: { Filter: 'Service.Meta.version == "1"' }, all: {} },
      Failover: { '*': { Service: 'spare' }, v1: { ServiceSubset: 'all' } },
    }),
    'service-splitter/web': {
      Splits: [
        { Weight: 0.01, Service: 'api' },
        { Weight: 99.99, ServiceSubset: 'v1' },
      ],
    },
  })
  t.same(problems, [])
  t.strictSame([...services.keys()], ['old', 'web'])
  t.match(services.get('old')?.resolver, { redirect: { service: 'web', subset: 'v1' } })
  const web = services.get('web')
  t.strictSame(web?.resolver?.subsets.get('all'), { conditions: [], onlyPassing: false })
  t.strictSame(
    [...(web?.resolver?.failover ?? [])],
    [
      ['*', [{ service: 'spare', subset: undefined }]],
      ['v1', [{ service: 'web', subset: 'all' }]],
    ],
  )
  t.strictSame(web?.split, [
    { target: { service: 'api', subset: undefined }, weight: 1 },
    { target: { service: 'web', subset: 'v1' }, weight: 9_999 },
  ])
  t.equal(web?.routes, undefined)
  t.ok(Object.isFrozen(web))
})

void t.test('what cannot be expressed names its entry and field, and costs that entry alone', async (t) => {
  const cases: readonly [string, object, RegExp][] = [
    ['service-router', route({ PathRegex: '/a[0-9]' }), /Routes\[0\]\.Match\.HTTP\.PathRegex is a regular expression/],
    ['service-router', header({ Regex: 'x+' }), /Routes\[0\]\.Match\.HTTP\.Header\[0\]\.Regex is a regular expression/],
    ['service-router', header({}), /Header\[0\]\.Name needs exactly one of Present, Exact, Prefix, Suffix, and has 0/],
    ['service-router', header({ Exact: 'a', Prefix: 'b' }), /has 2/],
    ['service-router', route({ Header: [{ Exact: 'a' }] }), /Name is missing/],
    ['service-router', route({ QueryParam: [{ Name: 'a', Regex: '(x)' }] }), /QueryParam\[0\]\.Regex/],
    ['service-router', route({ PathExact: '/a', PathPrefix: '/b' }), /only one may/],
    ['service-router', route({ PathPrefix: 'a' }), /slash/],
    ['service-router', route({ Methods: ['A B'] }), /Methods\[0\] is no method/],
    ['service-router', route({ CaseInsensitive: true }), /CaseInsensitive is not supported/],
    ['service-router', route({}, { RequestHeaders: { Add: { a: 'b' } } }), /RequestHeaders is not supported/],
    ['service-router', route({}, { Namespace: 'other' }), /Destination\.Namespace is not supported/],
    ['service-router', route({}, { PrefixRewrite: '/' }), /PrefixRewrite needs a path/],
    ['service-router', route({}, { RequestTimeout: 'soon' }), /RequestTimeout is no duration/],
    ['service-router', route({}, { RetryOnStatusCodes: [99] }), /RetryOnStatusCodes\[0\] is no status/],
    ['service-router', route({}, { NumRetries: 1.5 }), /NumRetries/],
    ['service-router', route({}, { NumRetries: 1_000 }), /NumRetries is no number from 0 to 100/],
    ['service-router', { Routes: 5 }, /Routes is no list/],
    ['service-router', { Routes: [5] }, /Routes\[0\] is no object/],
    ['service-splitter', split(50, 49), /Splits have weights that sum up to 99, not 100/],
    ['service-splitter', split(-1, 101), /Splits\[0\]\.Weight is no number from 0 to 100/],
    ['service-splitter', split('100'), /Splits\[0\]\.Weight/],
    ['service-splitter', {}, /sum up to 0/],
    [
      'service-resolver',
      resolver({ Subsets: { a: { Filter: 'Node.Meta.x == y' } } }),
      /Subsets\.a\.Filter .*not supported/,
    ],
    [
      'service-resolver',
      resolver({ Failover: { '*': { Datacenters: ['dc2'] } } }),
      /Failover\.\*\.Datacenters is not supported/,
    ],
    ['service-resolver', resolver({ Failover: { a: { Service: 'x' } } }), /none of its subsets/],
    ['service-resolver', resolver({ DefaultSubset: 'a' }), /DefaultSubset names "a"/],
    ['service-resolver', resolver({ Redirect: { Datacenter: 'dc2' } }), /Redirect\.Datacenter is not supported/],
    ['service-resolver', resolver({ Redirect: { Service: 'x' }, Subsets: { a: {} } }), /Redirect stands beside/],
    ['service-resolver', resolver({ LoadBalancer: { Policy: 'maglev' } }), /LoadBalancer is not supported/],
    ['service-resolver', resolver({ ConnectTimeout: true }), /ConnectTimeout is no duration/],
  ]
  const good = { 'service-splitter/db': split(100) }
  for (const [kind, entry, message] of cases) {
    const { services, problems } = translate({ ...good, [`${kind}/web`]: entry })
    t.match(problems, [{ code: 'bad-config-entry', where: `config-entries/${kind}/web`, message }], String(message))
    t.strictSame([...services.keys()], ['db'])
  }
  const half = translate({ 'service-splitter/web': split(100), 'service-router/web': { Routes: 5 } })
  t.match(half.services.get('web'), { routes: undefined, split: [{}] }, 'of one service too')
})

void t.test('filters', async (t) => {
  const meta = (key: string, value: string, negated = false): SubsetCondition => ({ kind: 'meta', key, value, negated })
  const tag = (value: string, negated = false): SubsetCondition => ({ kind: 'tag', value, negated })
  const good: readonly [string, readonly SubsetCondition[]][] = [
    ['Service.Meta.version == "v1"', [meta('version', 'v1')]],
    ['Service.Meta.version == v1', [meta('version', 'v1')]],
    ['Service.Meta.version==9.7.0', [meta('version', '9.7.0')]],
    ['Service.Meta.version != `a b`', [meta('version', 'a b', true)]],
    ['Service.Meta.version == "a \\"b\\" and c"', [meta('version', 'a "b" and c')]],
    ['"v2" in Service.Tags', [tag('v2')]],
    ['v2 in Service.Tags', [tag('v2')]],
    ['"v2" not in Service.Tags', [tag('v2', true)]],
    ['Service.Tags contains "v2"', [tag('v2')]],
    [
      ' Service.Meta.a == 1 and "x" in Service.Tags AND Service.Meta.b != 2 ',
      [meta('a', '1'), tag('x'), meta('b', '2', true)],
    ],
  ]
  for (const [filter, conditions] of good) t.strictSame(readFilter(filter), conditions, filter)
  const bad = [
    '',
    'Service.Meta.a',
    'Service.Meta.a == ',
    'Service.Meta.a == 1 or Service.Meta.b == 2',
    'not Service.Meta.a == 1',
    '(Service.Meta.a == 1)',
    'Service.Meta.a == 1 and',
    'Service.Meta.a == 1 Service.Meta.b == 2',
    'Service.Meta.a matches "x.*"',
    '"a" in Service.Meta',
    'Service.Meta is empty',
    'Node.Meta.a == 1',
    'Service.ID == web-1',
    'Service.Meta.a == "open',
    'Service.Meta.a = 1',
  ]
  for (const filter of bad) t.equal(readFilter(filter), undefined, filter)
})

void t.test('whatever the entries are, nothing throws and every bad one has its problem', async () => {
  const field = fc.constantFrom(
    'Routes',
    'Splits',
    'Subsets',
    'Failover',
    'Redirect',
    'Match',
    'HTTP',
    'Header',
    'Weight',
    'Filter',
    'x',
    '__proto__',
  )
  const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 5 },
      fc.constantFrom<unknown>(null, 0, 1, 100, '', 'v1', true, 'Service.Meta.a == 1'),
      fc.array(tie('tree'), { maxLength: 3 }),
      fc.dictionary(field, tie('tree'), { maxKeys: 4, noNullPrototype: true }),
    ),
  }))
  const kind = fc.constantFrom('service-router', 'service-splitter', 'service-resolver')
  fc.assert(
    fc.property(
      kind,
      fc.oneof(
        tree.map((one) => JSON.stringify(one)),
        fc.string(),
      ),
      (one, text) => {
        const key = `${one}/web`
        const { services, problems } = translateEntries(new Map([[key, { key, text, modifyIndex: 1 }]]))
        return services.size + problems.length === 1
      },
    ),
    { numRuns: 500 },
  )
})
