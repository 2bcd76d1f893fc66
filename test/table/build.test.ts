import fc from 'fast-check'
import t from 'tap'
import type { Instance, Snapshot } from '../../src/catalog/snapshot.ts'
import { seededRandom } from '../../src/core/random.ts'
import { emptyPolicy, type Policy, type RoutePolicy } from '../../src/policy/policy.ts'
import { mergePolicy } from '../../src/policy/tags.ts'
import type { Rule } from '../../src/policy/traffic.ts'
import { buildTable, emptyTable } from '../../src/table/build.ts'
import { hashHex } from '../../src/table/hash.ts'
import type { Endpoint, RouteTable, ServiceTable } from '../../src/table/table.ts'
import {
  freezeDeep,
  instance,
  policy,
  route,
  service,
  servicePolicy,
  snapshot,
  type InstanceParts,
} from '../fixtures/tables.ts'

const build = (snap: Snapshot, pol: Policy, previous: RouteTable = emptyTable): RouteTable =>
  buildTable(previous, freezeDeep(snap), freezeDeep(pol)).table

const web = (...instances: readonly Instance[]): Snapshot => snapshot(service('web', instances))
const toWeb = policy([route('/', 'web')])

function endpoints(table: RouteTable, name = 'web'): Endpoint[] {
  return table.services.get(name)?.groups.flatMap((group) => group.endpoints) ?? []
}

const shares = (table: RouteTable, name = 'web'): Record<string, number> =>
  Object.fromEntries(table.services.get(name)?.groups.map(({ version, weight }) => [version, weight]) ?? [])

const codes = (table: RouteTable): string[] => table.problems.map(({ code }) => code)

/** The table as data, without its version: what two builds must agree on. */
const content = ({ routes, services, problems }: RouteTable): unknown => ({
  routes,
  services: [...services],
  problems,
})

void t.test('an instance becomes an endpoint', async (t) => {
  const full = instance('web', 'web-1', {
    version: '9.8.0',
    address: '10.1.2.3',
    port: 8080,
    weights: { passing: 5, warning: 2 },
    createIndex: 42,
    nodeMeta: { zone: 'b' },
  })
  const table = build(web(full), toWeb)
  const [made] = endpoints(table)
  t.match(made, {
    key: full.key,
    life: 42,
    service: 'web',
    version: '9.8.0',
    address: '10.1.2.3',
    port: 8080,
    status: 'passing',
    agentLost: false,
    weight: 5,
    zone: 'b',
  })
  t.match(made?.handle, /^web-[0-9a-f]{8}$/)
  t.equal(table.version, 1)
  t.same(table.problems, [])
})

void t.test('the weight follows the status', async (t) => {
  const weights = { passing: 7, warning: 3 }
  const of = (parts: InstanceParts): number | undefined =>
    endpoints(build(web(instance('web', 'a', { weights, ...parts })), toWeb))[0]?.weight
  t.equal(of({ status: 'passing' }), 7)
  t.equal(of({ status: 'warning' }), 3)
  t.equal(of({ status: 'critical' }), 0)
  t.equal(of({ status: 'critical', agentLost: true }), 7, 'it may well live')
  t.equal(of({ status: 'maintenance' }), 0)
  t.equal(of({ status: 'warning', weights: { passing: 1, warning: 0 } }), 0)
  for (const odd of [Number.NaN, -1, Infinity])
    t.equal(of({ weights: { passing: odd, warning: 1 } }), 0, `${odd} is no weight`)
})

void t.test('a lost agent is carried on', async (t) => {
  const table = build(web(instance('web', 'a', { status: 'critical', agentLost: true })), toWeb)
  t.equal(endpoints(table)[0]?.agentLost, true)
})

void t.test('a lost agent costs an instance nothing, whoever else is there', async (t) => {
  const lost = { status: 'critical', agentLost: true, weights: { passing: 4, warning: 1 } } as const
  const weights = (...instances: readonly Instance[]): number[] =>
    endpoints(build(web(...instances), toWeb)).map(({ weight }) => weight)
  t.same(weights(instance('web', 'a', lost), instance('web', 'b')), [4, 1], 'beside one whose agent lives')
  t.same(weights(instance('web', 'a', lost), instance('web', 'b', lost)), [4, 4], 'a whole node')
  t.same(weights(instance('web', 'a', { ...lost, status: 'maintenance' })), [0], 'an operator says otherwise')
  t.same(
    shares(build(web(instance('web', 'a', { ...lost, version: '1' }), instance('web', 'b', { version: '2' })), toWeb)),
    {
      1: 4,
      2: 1,
    },
  )
})

void t.test('where the version is found', async (t) => {
  const cases: readonly [string, InstanceParts, Partial<Policy>, string][] = [
    ['meta', { meta: { version: '1.0' } }, {}, '1.0'],
    ['a tag', { tags: ['a', 'version=2', 'version=3'] }, {}, '2'],
    ['meta before a tag', { meta: { version: '1' }, tags: ['version=2'] }, {}, '1'],
    ['an empty meta counts as none', { meta: { version: '' }, tags: ['version=2'] }, {}, '2'],
    ['none', { meta: { other: '1' }, tags: ['versions=2'] }, {}, ''],
    ['another key', { meta: { rev: 'x', version: '1' } }, { versionFrom: { metaKey: 'rev', tagPrefix: 'v-' } }, 'x'],
    ['another tag', { tags: ['v-7'] }, { versionFrom: { metaKey: 'rev', tagPrefix: 'v-' } }, '7'],
    ['nowhere', { meta: { version: '1' }, tags: ['b'] }, { versionFrom: { metaKey: '', tagPrefix: '' } }, ''],
    ['not from a prototype', { meta: {} }, { versionFrom: { metaKey: 'constructor', tagPrefix: '' } }, ''],
  ]
  for (const [name, parts, rest, version] of cases)
    t.equal(endpoints(build(web(instance('web', 'a', parts)), { ...toWeb, ...rest }))[0]?.version, version, name)
})

void t.test('a change of versionFrom alone is seen', async (t) => {
  const snap = web(instance('web', 'a', { meta: { version: '1', rev: 'x' }, tags: ['v=2'] }))
  const version = (metaKey: string, tagPrefix: string, previous?: RouteTable): RouteTable =>
    build(snap, { ...toWeb, versionFrom: { metaKey, tagPrefix } }, previous)
  let table = version('version', '')
  for (const [metaKey, tagPrefix, expected] of [
    ['rev', '', 'x'],
    ['none', '', ''],
    ['none', 'v=', '2'],
    ['version', 'v=', '1'],
  ] as const) {
    table = version(metaKey, tagPrefix, table)
    t.equal(endpoints(table)[0]?.version, expected, `${metaKey} ${tagPrefix}`)
  }
})

void t.test('the zone is the instance, else the node', async (t) => {
  const zone = (parts: InstanceParts): string | undefined =>
    endpoints(build(web(instance('web', 'a', parts)), toWeb))[0]?.zone
  t.equal(zone({ meta: { zone: 'a' }, nodeMeta: { zone: 'b' } }), 'a')
  t.equal(zone({ nodeMeta: { zone: 'b' } }), 'b')
  t.equal(zone({}), '')
})

void t.test('shares of versions', async (t) => {
  const all = [
    instance('web', 'a1', { version: 'a', weights: { passing: 2, warning: 1 } }),
    instance('web', 'a2', { version: 'a', status: 'critical' }),
    instance('web', 'b1', { version: 'b' }),
    instance('web', 'c1', { version: 'c', weights: { passing: 3, warning: 1 } }),
    instance('web', 'n1', {}),
  ]
  const cases: readonly [string, Record<string, number> | undefined, Record<string, number>, string[]][] = [
    ['without a policy: what their instances weigh', undefined, { '': 1, a: 2, b: 1, c: 3 }, []],
    ['an empty one says nothing either', {}, { '': 1, a: 2, b: 1, c: 3 }, []],
    ['named ones alone', { a: 90, b: 10 }, { '': 0, a: 90, b: 10, c: 0 }, []],
    ['a named one at 0', { a: 0, b: 10 }, { '': 0, a: 0, b: 10, c: 0 }, []],
    ['all at 0 stays at 0', { a: 0 }, { '': 0, a: 0, b: 0, c: 0 }, ['no-usable-version']],
    [
      'one at 0 is there, and never serves',
      { a: 0, z: 10 },
      { '': 0, a: 0, b: 0, c: 0 },
      ['no-such-version', 'no-usable-version'],
    ],
    ['the rest shares by its instances', { a: 50, '*': 50 }, { '': 10, a: 50, b: 10, c: 30 }, []],
    ['only the rest', { '*': 7 }, { '': 1, a: 2, b: 1, c: 3 }, []],
    ['those without a version can be named', { '': 5, a: 5 }, { '': 5, a: 5, b: 0, c: 0 }, []],
    ['one that is missing', { a: 50, z: 50 }, { '': 0, a: 50, b: 0, c: 0 }, ['no-such-version']],
    ['one that is missing and weighs nothing', { a: 50, z: 0 }, { '': 0, a: 50, b: 0, c: 0 }, []],
    ['all missing: the others serve', { y: 50, z: 50 }, { '': 1, a: 2, b: 1, c: 3 }, ['named-versions-gone']],
    ['all missing, with a rest', { z: 50, '*': 7 }, { '': 1, a: 2, b: 1, c: 3 }, ['no-such-version']],
    ['all missing, with a rest of 0', { z: 1, '*': 0 }, { '': 1, a: 2, b: 1, c: 3 }, ['named-versions-gone']],
    ['no number is 0', { a: Number.NaN, b: 1 }, { '': 0, a: 0, b: 1, c: 0 }, []],
  ]
  for (const [name, versions, expected, problems] of cases) {
    const own = versions && new Map(Object.entries(versions))
    const table = build(web(...all), policy([route('/', 'web')], { web: { versions: own } }))
    t.same(shares(table), expected, name)
    t.same(codes(table), problems, name)
  }
})

void t.test(
  'a version that all are critical of keeps its share; a named one with weight still counts as there',
  async (t) => {
    const snap = web(instance('web', 'a', { version: 'a', status: 'critical' }), instance('web', 'b', { version: 'b' }))
    const table = build(snap, policy([route('/', 'web')], { web: { versions: new Map([['a', 1]]) } }))
    t.same(shares(table), { a: 1, b: 0 })
    t.same(codes(table), ['no-usable-version'])
    t.equal(
      table.problems[0]?.message,
      'no version with a weight (a) has a usable instance: this service answers 503, though b could serve; give it a ' +
        'weight, or bring one back that has',
    )
    const back = build(
      web(instance('web', 'a', { version: 'a' }), instance('web', 'b', { version: 'b' })),
      policy([route('/', 'web')], { web: { versions: new Map([['a', 1]]) } }),
      table,
    )
    t.same(codes(back), [])
    const down = web(
      instance('web', 'a', { version: 'a', status: 'critical' }),
      instance('web', 'b', { version: 'b', status: 'critical' }),
    )
    const none = build(down, policy([route('/', 'web')], { web: { versions: new Map([['a', 1]]) } }))
    t.same(codes(none), [], 'where nobody is healthy the weights are not to blame')
  },
)

void t.test('defaults hold for a service without its own policy', async (t) => {
  const defaults = servicePolicy({ versions: new Map([['x', 1]]), balance: 'round-robin' })
  const table = build(web(instance('web', 'a', { version: 'x' })), { ...toWeb, defaults })
  t.equal(table.services.get('web')?.policy.balance, 'round-robin')
})

void t.test('a route whose service is empty or unknown stays', async (t) => {
  const table = build(snapshot(service('web', [])), policy([route('/', 'web'), route('/x', 'nobody')]))
  t.equal(table.routes.length, 2)
  t.same(table.services.get('web')?.groups, [])
  t.same(table.services.get('nobody')?.groups, [])
  t.same(codes(table), ['no-such-service', 'no-such-service'])
  t.same(
    table.problems.map(({ where }) => where),
    ['config:/x', 'config:/'],
  )
})

void t.test('a service that only rules lead to is missed where the rules are', async (t) => {
  const web = snapshot(service('web', [instance('web', 'a')]))
  const rules = [{ when: [], action: { kind: 'service', service: 'nobody' } as const }]
  const problems = (...routes: readonly RoutePolicy[]): unknown =>
    build(web, policy([route('/', 'web'), ...routes], { web: { rules } })).problems
  t.match(problems(), [
    {
      where: 'service web',
      message: /^no instance of service nobody .*; until one is, what a rule sends there is answered 503$/,
    },
  ])
  t.match(problems(route('/x', 'nobody')), [{ where: 'config:/x', message: /its routes answer 503$/ }])
})

void t.test('services without a route are left out', async (t) => {
  const table = build(snapshot(service('web', []), service('other', [instance('other', 'o')])), toWeb)
  t.same([...table.services.keys()], ['web'])
})

void t.test('addresses', async (t) => {
  const good = [
    '10.0.0.1',
    '255.255.255.255',
    '::1',
    '::',
    'fe80::1%eth0',
    '2001:db8::ff00:42:8329',
    '1:2:3:4:5:6:7:8',
    '::ffff:10.0.0.1',
    'web',
    'web-1.internal',
    'my_host.local',
    'web.example.com.',
    'xn--bcher-kva.example',
    '3com.example',
    'a'.repeat(63),
  ]
  const bad = [
    '',
    ' ',
    '10.0.0',
    '10.0.0.256',
    '10.0.0.1.',
    '010.0.0.1',
    '1.2.3.4.5',
    'host name',
    'http://web',
    'web:80',
    'web/',
    '-web',
    'web-',
    'a..b',
    '.web',
    'bücher.example',
    'a'.repeat(64),
    `${'a.'.repeat(127)}a`,
    '[::1]',
    ':::1',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1::2::3',
    '::12345',
    '::1%',
    '::1%e th',
    '10.0.0.1::',
    '1:2:3:4:5:6:7::8',
    'web\r\nx',
    'web\n',
  ]
  for (const address of good) {
    const table = build(web(instance('web', 'a', { address })), { ...toWeb, checkAddress: () => undefined })
    t.equal(endpoints(table).length, 1, `${address} is used`)
  }
  for (const address of bad) {
    const table = build(web(instance('web', 'a', { address }), instance('web', 'b')), toWeb)
    t.equal(endpoints(table).length, 1, `${JSON.stringify(address)} costs only itself`)
    t.same(codes(table), ['bad-address'], JSON.stringify(address))
    t.match(table.problems[0]?.where, /consul: web a on n1/)
  }
  for (const port of [0, 65_536, 1.5, Number.NaN, -1])
    t.same(codes(build(web(instance('web', 'a', { port }), instance('web', 'b')), toWeb)), ['bad-address'], `${port}`)
})

void t.test('an address that must not be routed to costs only itself, and a new rule is seen', async (t) => {
  const snap = web(instance('web', 'a', { address: '169.254.169.254' }), instance('web', 'b', { address: '10.0.0.1' }))
  const strict = build(snap, toWeb)
  t.same(
    endpoints(strict).map(({ id }) => id),
    ['b'],
  )
  t.match(strict.problems, [
    {
      code: 'bad-address',
      where: 'consul: web a on n1',
      message: /^its address 169\.254\.169\.254:80 must not be routed to: it is link-local/,
    },
  ])
  const checkAddress = (address: string, port: number): string | undefined =>
    address === '10.0.0.1' && port === 80 ? 'it is ours' : undefined
  const other = build(snap, { ...toWeb, checkAddress }, strict)
  t.same(
    endpoints(other).map(({ id }) => id),
    ['a'],
  )
  t.equal(build(snap, toWeb, other).problems.length, 1)
})

void t.test('an instance that is listed twice counts once, in its newer life', async (t) => {
  const old = instance('web', 'a', { createIndex: 1 })
  for (const order of [
    [old, { ...old, createIndex: 2 }],
    [{ ...old, createIndex: 2 }, old],
  ]) {
    const table = build(snapshot({ name: 'web', instances: order }), toWeb)
    t.same(
      endpoints(table).map(({ life }) => life),
      [2],
    )
    t.same(codes(table), ['duplicate-instance'])
  }
})

void t.test(
  'endpoints are sorted by key, groups by version, services by name, whatever order they came in',
  async (t) => {
    const unsorted = ['c', 'a', 'b'].flatMap((id) => [
      instance('web', `2${id}`, { version: '2' }),
      instance('web', `1${id}`, { version: '1' }),
    ])
    const table = build(snapshot({ name: 'web', instances: unsorted }, service('app', [])), {
      ...toWeb,
      routes: [route('/', 'web'), route('/a', 'app')],
    })
    t.same([...table.services.keys()], ['app', 'web'])
    t.same(Object.keys(shares(table)), ['1', '2'])
    const keys = endpoints(table).map(({ key }) => key.split('\u001f')[3])
    t.same(keys, ['1a', '1b', '1c', '2a', '2b', '2c'])
  },
)

void t.test('one address, two services: told, and costs neither', async (t) => {
  const at = { address: '10.0.0.9', port: 80 }
  const pol = policy([route('/', 'web'), route('/b', 'shop')])
  const older = instance('web', 'w', { ...at, createIndex: 5 })
  const newer = instance('shop', 's', { ...at, createIndex: 6 })
  const both = snapshot(service('web', [older, instance('web', 'w2')]), service('shop', [newer]))
  const table = build(both, pol)
  t.same(
    endpoints(table, 'web').map(({ weight }) => weight),
    [1, 1],
    'a registration takes nothing from another service',
  )
  t.equal(endpoints(table, 'shop')[0]?.weight, 1)
  t.same(codes(table), ['address-shared'])
  t.match(table.problems[0], {
    where: 'address 10.0.0.9:80',
    message: /^2 services have an instance here, the latest first: shop \(shop-.*, create index 6\), web \(.*5\)\. All/,
  })
  const many = Array.from({ length: 12 }, (_, i) => {
    const name = `s${String(i)}`
    const same = (id: string, createIndex: number): Instance => instance(name, id, { ...at, createIndex })
    return service(name, [same('a', 100 + i), same('b', i)])
  })
  const crowd = build(snapshot(...many), policy(many.map(({ name }) => route(`/${name}`, name))))
  t.same(codes(crowd), ['address-shared'], 'one for an address, however many are there')
  t.match(
    crowd.problems[0]?.message,
    /^12 services .* first: s11 \([^)]*, create index 111\), s10 .*, s4 \([^)]*\) and 4 more\. All/,
  )

  const after = build(snapshot(service('web', [older, instance('web', 'w2')]), service('shop', [])), pol, table)
  t.same(codes(after), ['no-such-service'], 'and is no problem any more when the other goes')

  const same = web(instance('web', 'a', at), instance('web', 'b', { ...at, source: 'file' }))
  t.same(codes(build(same, toWeb)), [], 'two registrations of one service may share it')
  const ports = snapshot(service('web', [older]), service('shop', [{ ...newer, port: 81 }]))
  t.same(codes(build(ports, pol)), [], 'another port is another address')
})

void t.test('handles', async (t) => {
  const names: Readonly<Record<string, string>> = {
    web: 'web',
    'my app/x': 'my-app-x',
    Ünïcode: 'n-code',
    '***': 'service',
    '-a-': 'a',
    ['x'.repeat(80)]: 'x'.repeat(48),
  }
  for (const [name, prefix] of Object.entries(names)) {
    const table = build(snapshot(service(name, [instance(name, 'a', { address: 'h' })])), policy([route('/', name)]))
    t.match(endpoints(table, name)[0]?.handle, new RegExp(`^${prefix}-[0-9a-f]{8}$`))
  }
})

void t.test('handles that collide are told apart, the same way whichever came first', async (t) => {
  const keys = new Map<string, string>()
  const random = seededRandom(1)
  let pair: readonly string[] = []
  while (pair.length === 0) {
    const key = String(random()) + String(random())
    const short = hashHex(key).slice(0, 8)
    const other = keys.get(short)
    if (other !== undefined && other !== key) pair = [other, key]
    keys.set(short, key)
  }
  const [a, b] = pair.map((key, i) => ({ ...instance('web', `x${i}`), key })) as [Instance, Instance]
  const both = build(web(a, b), toWeb)
  const handles = endpoints(both).map(({ handle }) => handle)
  t.equal(new Set(handles).size, 2)
  t.match(handles.toSorted()[1], /^web-[0-9a-f]{16}$/)
  for (const first of [a, b]) {
    const grown = build(web(a, b), toWeb, build(web(first), toWeb))
    t.same(content(grown), content(both))
  }
  t.same(content(build(web(b), toWeb, both)), content(build(web(b), toWeb)), 'alone it has the short one')

  const pol = policy([route('/a', 'x y'), route('/b', 'x-y')])
  const [one, two] = [service('x y', [{ ...a, service: 'x y' }]), service('x-y', [{ ...b, service: 'x-y' }])]
  const expected = content(build(snapshot(one, two), pol))
  for (const first of [one, two]) t.same(content(build(snapshot(one, two), pol, build(snapshot(first), pol))), expected)
})

void t.test('routes: order and shadows', async (t) => {
  const pol = policy([
    route('/', 'web', '0'),
    route('*.b.com/', 'web', '1'),
    route('*.a.b.com/', 'web', '2'),
    route('x.com/a', 'web', '3'),
    route('y.com/a/b', 'web', '4'),
    route('/long/path', 'web', '5'),
    route('x.com/a/', 'shop', '6'),
    route('x.com/a', 'web', '3'),
    route('/z', 'web', '7'),
  ])
  const table = build(web(instance('web', 'a')), pol)
  t.same(
    table.routes.map(({ origin }) => origin),
    ['4', '3', '2', '1', '5', '7', '0'],
  )
  t.same(codes(table), ['route-shadowed'])
  t.equal(table.problems[0]?.where, '6')
  t.match(table.problems[0]?.message, /x\.com\/a to shop has no effect: 3 comes before it and sends x\.com\/a to web/)
  t.notOk(table.services.has('shop'), 'a service that only a shadowed route names is not served')
})

void t.test("others' problems are on the list", async (t) => {
  const mine = { code: 'bad-definition', where: 'consul', message: 'odd' }
  const theirs = { code: 'bad-config', where: 'fairlead.yaml', message: 'odd too' }
  const { table, problems } = buildTable(
    emptyTable,
    { ...snapshot(), problems: [mine] },
    { ...emptyPolicy, problems: [theirs] },
  )
  t.same(problems, [mine, theirs])
  t.equal(problems, table.problems)
})

void t.test('nothing to do gives the very table before', async (t) => {
  t.equal(build(snapshot(), emptyPolicy), emptyTable)
  const parts = (): [Snapshot, Policy] => [
    web(instance('web', 'a', { version: '1' }), instance('web', 'bad', { address: '!' })),
    policy([route('/', 'web'), route('/', 'shop', 'other')], { web: { versions: new Map([['1', 1]]) } }),
  ]
  const [snap, pol] = parts()
  const first = build(snap, pol)
  t.equal(build(snap, pol, first), first, 'identical objects')
  const [snap2, pol2] = parts()
  t.equal(build(snap2, pol2, first), first, 'equal content')
  t.equal(build(snap, pol, first), first, 'and back')
})

void t.test('what did not change is the same object', async (t) => {
  const app = service('app', [instance('app', 'x')])
  const a = instance('web', 'a', { version: '1' })
  const b = instance('web', 'b', { version: '2' })
  const pol = policy([route('/', 'web'), route('/app', 'app'), route('/app/x', 'app')])
  const before = build(snapshot(app, service('web', [a, b])), pol)
  const after = build(snapshot(app, service('web', [{ ...a }, { ...b, status: 'critical' }])), pol, before)

  t.equal(after.version, before.version + 1)
  t.equal(after.services.get('app'), before.services.get('app'))
  t.equal(after.problems, before.problems)
  const of = (table: RouteTable): ServiceTable['groups'] => table.services.get('web')?.groups ?? []
  t.equal(of(after)[0], of(before)[0], 'the group of the other version')
  t.not(of(after)[1], of(before)[1])
  const paths = (table: RouteTable, path: string) => table.routes.find((each) => each.path === path)
  t.equal(paths(after, '/app'), paths(before, '/app'))
  t.equal(paths(after, '/app/x'), paths(before, '/app/x'))
  t.not(paths(after, '/'), paths(before, '/'))

  const odd = { code: 'bad-definition', where: 'x', message: 'y' }
  const noted = build({ ...snapshot(app, service('web', [a, b])), problems: [odd] }, pol, before)
  t.equal(noted.version, before.version + 1, 'a problem alone is a change')
  t.equal(noted.services, before.services)
  t.equal(noted.routes, before.routes)

  const more = build(
    snapshot(app, service('web', [a, b])),
    { ...pol, routes: [route('/new', 'app'), ...pol.routes] },
    before,
  )
  t.equal(paths(more, '/'), paths(before, '/'), 'a new route moves the others, and they stay')
  t.equal(more.services.get('web'), before.services.get('web'))
})

void t.test('a route that only comes from elsewhere is a change', async (t) => {
  const snap = web(instance('web', 'a'))
  const first = build(snap, policy([route('/', 'web', 'config:routes[0]')]))
  const second = build(snap, policy([route('/', 'web', 'tag:web:urlprefix-/')]), first)
  t.equal(second.routes[0]?.origin, 'tag:web:urlprefix-/')
  t.equal(second.version, first.version + 1)
  t.equal(second.services, first.services)
})

void t.test('two successors of one table do not know of each other', async (t) => {
  const at = { address: '10.0.0.9', port: 80 }
  const pol = policy([route('/', 'web'), route('/b', 'shop')])
  const shop = service('shop', [instance('shop', 's', { ...at, createIndex: 9 })])
  const base = build(web(instance('web', 'w', at)), pol)
  const left = build(snapshot(service('web', [instance('web', 'w', at)]), shop), pol, base)
  const right = build(snapshot(service('web', [instance('web', 'w', at)])), pol, base)
  t.same(codes(left), ['address-shared'])
  t.notOk(codes(right).includes('address-shared'))
  t.same(content(build(snapshot(shop), pol, left)), content(build(snapshot(shop), pol)))
})

void t.test('everything is frozen', async (t) => {
  const table = build(
    web(instance('web', 'a'), instance('web', 'b', { address: '!' })),
    policy([route('/', 'web'), route('/', 'x', 'shadow')], { web: { versions: new Map([['gone', 1]]) } }),
  )
  const frozen = (value: unknown, path: string): void => {
    if (typeof value !== 'object' || value === null) return
    t.ok(Object.isFrozen(value) || value instanceof Map, path)
    const inside = value instanceof Map ? [...value] : Object.entries(value)
    for (const [key, item] of inside) frozen(item, `${path}.${key}`)
  }
  frozen(table, 'table')
})

void t.test('a table that another process made is taken over as it is', async (t) => {
  const pol = policy([route('/', 'web')], { web: { versions: new Map([['1', 1]]) } })
  const parts = (): Snapshot => web(instance('web', 'a', { version: '1' }))
  const made = build(parts(), pol)
  const copy: RouteTable = freezeDeep(structuredClone(made))
  // A clone's route points at its own clone of the service, as its services do: structuredClone keeps that.
  t.equal(build(parts(), pol, copy), copy)
})

void t.test('last good routes', async (t) => {
  const base: Policy = { ...emptyPolicy, tagPrefix: 'urlprefix-', routes: [route('/', 'root')] }
  const step = (tags: readonly string[] | undefined, previous?: RouteTable): RouteTable => {
    const snap = snapshot(
      service('web', tags ? [instance('web', 'a', { tags })] : []),
      service('root', [instance('root', 'r')]),
    )
    return build(snap, mergePolicy(base, snap), previous)
  }
  const places = (table: RouteTable): string[] => table.routes.map(({ host, path }) => host + path)

  const first = step(['urlprefix-/x', 'urlprefix-shop/'])
  t.same(places(first), ['shop/', '/x', '/'])

  const turned = step(['urlprefix-/x register=x', 'urlprefix-shop/'], first)
  t.same(places(turned), ['shop/', '/x', '/'], 'a tag that turned bad keeps its route')
  t.same(codes(turned), ['bad-tag'])
  t.same(
    places(step(['urlprefix-/x register=x', 'urlprefix-shop/'], turned)),
    ['shop/', '/x', '/'],
    'for as long as it is',
  )
  t.same(places(step(['urlprefix-shop/'], turned)), ['shop/', '/'], 'and loses it when the tag goes')
  t.same(places(step(['urlprefix-/x register=x'])), ['/'], 'without a good form before there is none')

  const empty = step(undefined, first)
  t.same(places(empty), ['shop/', '/x', '/'], 'the tags that went with the last instance')
  t.same(empty.services.get('web')?.groups, [])
  t.equal(step(undefined, empty), empty, 'stay as they are')
  t.same(places(step(['urlprefix-/y'], empty)), ['/y', '/'], 'until an instance says otherwise')

  const forgotten = snapshot(service('root', [instance('root', 'r')]))
  const gone = step(undefined, first)
  t.same(places(build(forgotten, mergePolicy(base, forgotten), gone)), ['/'], 'or the source forgets the service')
  t.same(places(build(forgotten, { ...base, tagPrefix: undefined }, empty)), ['/'], 'or tags make no routes any more')

  const taken = snapshot(service('web', []), service('new', [instance('new', 'n', { tags: ['urlprefix-/x'] })]))
  const after = build(taken, mergePolicy({ ...base, routes: [] }, taken), first)
  t.equal(after.routes.find(({ path }) => path === '/x')?.service.name, 'new', 'or somebody else claims the path')
  t.notOk(codes(after).includes('route-shadowed'))
})

void t.test('a chain of builds ends where one build does', async () => {
  const id = fc.constantFrom('a', 'b', 'c')
  const name = fc.constantFrom('web', 'shop', 'app', 'we b')
  const anyInstance = fc.record({
    id,
    version: fc.constantFrom(undefined, '1', '2', '3'),
    status: fc.constantFrom<Instance['status']>('passing', 'warning', 'critical', 'maintenance'),
    address: fc.constantFrom('10.0.0.1', '10.0.0.2', 'h', 'bad address'),
    weights: fc.record({ passing: fc.integer({ min: 1, max: 5 }), warning: fc.integer({ min: 0, max: 5 }) }),
    createIndex: fc.integer({ min: 0, max: 3 }),
    source: fc.constantFrom('consul', 'file'),
  })
  const anyService = fc.array(anyInstance, { maxLength: 4 })
  /** For each name some forms of the service, made once: a step that has the same form again has the same object. */
  const anyForms = fc
    .array(fc.tuple(name, anyService), { minLength: 1, maxLength: 8 })
    .map((forms) =>
      forms.map(([key, list]) =>
        service(
          key,
          list.map((each) => instance(key, each.id, each)),
        ),
      ),
    )
    .map(freezeDeep)
  const anyVersions = fc.option(
    fc
      .array(fc.tuple(fc.constantFrom('1', '2', '9', '*'), fc.integer({ min: 0, max: 3 })))
      .map((list) => new Map(list)),
    { nil: undefined },
  )
  const anyPolicy = fc
    .record({
      routes: fc.array(
        fc.tuple(fc.constantFrom('', 'h', '*.h', '*.g.h'), fc.constantFrom('/', '/a', '/a/', '/b/c'), name),
        {
          maxLength: 8,
        },
      ),
      versions: anyVersions,
      defaults: anyVersions,
      metaKey: fc.constantFrom('version', 'rev'),
    })
    .map(({ routes, versions, defaults, metaKey }) =>
      freezeDeep(
        policy(
          routes.map(([host, path, to], i) => ({ origin: `config:routes[${i}]`, host, path, service: to })),
          { web: { versions } },
          { defaults: servicePolicy({ versions: defaults }), versionFrom: { metaKey, tagPrefix: '' } },
        ),
      ),
    )
  const anySteps = fc.array(
    fc.record({ forms: fc.subarray([0, 1, 2, 3, 4, 5, 6, 7]), policy: fc.nat(1), fork: fc.boolean() }),
    { minLength: 1, maxLength: 8 },
  )
  fc.assert(
    fc.property(anyForms, fc.array(anyPolicy, { minLength: 1, maxLength: 2 }), anySteps, (forms, policies, steps) => {
      let table = emptyTable
      let branch = emptyTable
      for (const { forms: chosen, policy: at, fork } of steps) {
        const snap = freezeDeep(snapshot(...forms.filter((_, i) => chosen.includes(i))))
        const pol = policies[at % policies.length] ?? emptyPolicy
        const before = table
        table = buildTable(before, snap, pol).table
        const fresh = buildTable(emptyTable, snap, pol).table
        if (JSON.stringify(content(table)) !== JSON.stringify(content(fresh))) return false
        if (table !== before && table.version !== before.version + 1) return false
        if (table !== before && JSON.stringify(content(table)) === JSON.stringify(content(before)))
          if (
            JSON.stringify([...before.services.values()].map(policyText)) ===
            JSON.stringify([...table.services.values()].map(policyText))
          )
            return false
        // Going on from an older table must give the same as well.
        const other = buildTable(branch, snap, pol).table
        if (JSON.stringify(content(other)) !== JSON.stringify(content(fresh))) return false
        if (fork) branch = before
        for (const each of table.routes) if (each.service !== table.services.get(each.service.name)) return false
        const handles = [...table.services.keys()].flatMap((key) => endpoints(table, key).map(({ handle }) => handle))
        if (new Set(handles).size !== handles.length) return false
        for (const each of table.services.values()) if (!sane(each)) return false
      }
      return true
    }),
    { numRuns: 500 },
  )
})

/** JSON shows a Map as {}; this shows what is in it. */
const policyText = ({ policy: own }: ServiceTable): unknown => ({ ...own, versions: own.versions && [...own.versions] })

/** Weights are numbers of at least 0, and without a policy for versions they add up to the endpoints'. */
function sane({ groups, policy: own }: ServiceTable): boolean {
  const total = groups.reduce((sum, { weight }) => sum + weight, 0)
  const given = groups.flatMap((group) => group.endpoints).reduce((sum, { weight }) => sum + weight, 0)
  if (!groups.every(({ weight }) => Number.isFinite(weight) && weight >= 0)) return false
  return (own.versions && own.versions.size > 0) || total === given
}

void t.test('a document about a service that no route leads to is told as a notice, while none does', async (t) => {
  const of = (name: string): [string, readonly string[]] => [
    name,
    [`kv:fairlead/services/${name}`, `config:services.${name}`],
  ]
  const origins = new Map([of('shop'), of('shpo'), of('other'), of('web'), ['cart', ['config:services.cart']]])
  const canary: Rule = { when: [], action: { kind: 'service', service: 'web' } }
  const told = (rules: readonly Rule[], ...routes: readonly RoutePolicy[]): unknown =>
    build(snapshot(), policy(routes, { shop: { rules } }, { origins })).problems.filter(({ notice }) => notice)
  const notice = (name: string, more = ''): object => ({
    code: 'service-not-routed',
    notice: true,
    where: `kv:fairlead/services/${name}`,
    message: `no route leads to service ${name}: until one does, nothing reads this document${more}`,
  })
  const shop = route('/', 'shop')
  t.strictSame(told([canary], shop), [notice('shpo', '; did you mean "shop"?'), notice('other')])
  t.strictSame(told([], shop), [notice('shpo', '; did you mean "shop"?'), notice('other'), notice('web')])
  t.strictSame(told([canary], shop, route('/a', 'shpo'), route('/b', 'other')), [])
})
