import fc from 'fast-check'
import t from 'tap'
import type { Snapshot } from '../../src/catalog/snapshot.ts'
import type { Policy } from '../../src/policy/policy.ts'
import { buildTable, emptyTable } from '../../src/table/build.ts'
import { describeChange } from '../../src/table/describe-change.ts'
import { diffTables } from '../../src/table/diff.ts'
import type { RouteTable } from '../../src/table/table.ts'
import { instance, policy, route, service, snapshot, type InstanceParts } from '../fixtures/tables.ts'

const build = (snap: Snapshot, pol: Policy, previous: RouteTable = emptyTable): RouteTable =>
  buildTable(previous, snap, pol).table
const lines = (a: RouteTable, b: RouteTable): string[] => diffTables(a, b).map(describeChange)

/** `{ a: { version: '1' } }` as a snapshot of web. */
const web = (instances: Readonly<Record<string, InstanceParts>>): Snapshot =>
  snapshot(
    service(
      'web',
      Object.entries(instances).map(([id, parts]) => instance('web', id, parts)),
    ),
  )
const toWeb = policy([route('/', 'web')])
const split = (versions: Record<string, number>): Policy =>
  policy([route('/', 'web')], { web: { versions: new Map(Object.entries(versions)) } })

void t.test('lines for the log', async (t) => {
  const two = { a: { version: '9.7.0' }, b: { version: '9.7.0' } }
  const cases: readonly [string, [Snapshot, Policy], [Snapshot, Policy], (string | RegExp)[]][] = [
    ['nothing', [web(two), toWeb], [web(two), toWeb], []],
    [
      'instances come and go',
      [web(two), split({ '9.7.0': 90, '9.8.0': 10 })],
      [web({ a: two.a, c: { version: '9.8.0' }, d: { version: '9.8.0' } }), split({ '9.7.0': 50, '9.8.0': 50 })],
      ['service web: +2 endpoints (9.8.0), -1 endpoint (9.7.0); weights 9.7.0=90 -> 9.7.0=50 9.8.0=50'],
    ],
    [
      'several versions at once',
      [web({}), toWeb],
      [web({ a: { version: '1' }, b: { version: '1' }, c: {} }), toWeb],
      ['service web: +3 endpoints (1 of no version, 2 of 1)'],
    ],
    [
      'weights alone',
      [web(two), split({ '9.7.0': 90 })],
      [web(two), split({ '9.7.0': 1 / 3 })],
      ['service web: weights 9.7.0=90 -> 9.7.0=0.3333'],
    ],
    [
      'weights that no policy sets are no news',
      [web({ a: {} }), toWeb],
      [web({ a: {}, b: {} }), toWeb],
      ['service web: +1 endpoint (no version)'],
    ],
    [
      'a status',
      [web({ a: {} }), toWeb],
      [web({ a: { status: 'critical', agentLost: true } }), toWeb],
      [/^service web: web-[0-9a-f]{8} passing -> critical, its agent is lost$/],
    ],
    [
      'the rest of an endpoint',
      [web({ a: { status: 'critical', agentLost: true } }), toWeb],
      [web({ a: { status: 'critical', createIndex: 2, version: '2', meta: { version: '2', zone: 'z' } } }), toWeb],
      [
        /^service web: web-\w+ registered anew, version \(none\) -> 2, weight 1 -> 0, zone \(none\) -> z, its agent is back$/,
      ],
    ],
    [
      'a weight of an endpoint',
      [web({ a: {} }), toWeb],
      [web({ a: { weights: { passing: 5, warning: 1 } } }), toWeb],
      [/^service web: web-\w+ weight 1 -> 5$/],
    ],
    [
      'many endpoints are counted',
      [web({ a: {}, b: {}, c: {}, d: {}, e: {} }), toWeb],
      [web(Object.fromEntries(['a', 'b', 'c', 'd', 'e'].map((id) => [id, { status: 'warning' as const }]))), toWeb],
      [/^service web: (web-\w+ passing -> warning; ){3}2 more endpoints changed$/],
    ],
    [
      'settings',
      [web({}), toWeb],
      [web({}), policy([route('/', 'web')], { web: { fallback: 'none', balance: 'round-robin' } })],
      ['service web: settings changed: balance least-request -> round-robin, fallback others -> none'],
    ],
    [
      'settings that are short, and those that are not',
      [web({}), policy([route('/', 'web')], { web: { failover: [{ service: 'eu', version: undefined }] } })],
      [
        web({}),
        policy([route('/', 'web')], {
          web: {
            split: [
              { service: undefined, version: '1', weight: 80 },
              { service: 'next', version: undefined, weight: 20 },
            ],
            sticky: { from: 'cookie', name: 'c', maxAgeSeconds: 0 },
            retry: { attempts: 1, budget: 0.2, bodyBytes: 65_536 },
            rules: [{ when: [], action: { kind: 'version', version: '1' } }],
            hash: { key: { from: 'header', name: 'x' }, loadFactor: 1.25 },
          },
        }),
      ],
      [
        'route */ leads to web 1 80 and next 20, before to web, else eu (config:/)',
        'service eu: no longer routed',
        'service next: routed, no instance yet',
        'service web: settings changed: failover eu -> (nobody), hash, retry (attempts 3 -> 1), rules 0 rules -> 1 rule, split (none) -> itself 1 80, next 20, sticky off -> cookie c',
      ],
    ],
    [
      'a redirect',
      [web({}), policy([route('/', 'web')])],
      [web({}), policy([{ ...route('/', ''), redirect: { to: '/new', status: 308 } }])],
      ['route */ leads to redirect to /new, before to web (config:/)', 'service web: no longer routed'],
    ],
    [
      'routes',
      [web({}), policy([route('/', 'web'), route('/old', 'web'), route('h/x', 'web'), route('/same', 'web')])],
      [
        web({}),
        policy([route('/', 'web', 'other'), route('/new', 'web'), route('h/x', 'shop'), route('/same', 'web')]),
      ],
      [
        'route h/x leads to shop, before to web (config:h/x)',
        'route */new to web added (config:/new)',
        'route */ to web now comes from other',
        'route */old to web removed',
        'service shop: routed, no instance yet',
      ],
    ],
    [
      'a version whose instances are gone changes no weight',
      [web({ ...two, c: { version: '9.8.0' } }), split({ '9.7.0': 90, '9.8.0': 10 })],
      [web(two), split({ '9.7.0': 90, '9.8.0': 10 })],
      ['service web: -1 endpoint (9.8.0)'],
    ],
    [
      'nor when it was the last one',
      [web(two), split({ '9.7.0': 90 })],
      [web({}), split({ '9.7.0': 90 })],
      ['service web: -2 endpoints (9.7.0)'],
    ],
    [
      'a version that comes tells its weight',
      [web({}), split({ '9.7.0': 90 })],
      [web(two), split({ '9.7.0': 90 })],
      ['service web: +2 endpoints (9.7.0); weights 9.7.0=90'],
    ],
    [
      'what the others then share is news',
      [web({ ...two, c: { version: '9.8.0' } }), split({ '*': 10 })],
      [web(two), split({ '*': 10 })],
      ['service web: -1 endpoint (9.8.0); weights 9.7.0=6.667 9.8.0=3.333 -> 9.7.0=10'],
    ],
    [
      'one more than are named',
      [web({ a: {}, b: {}, c: {}, d: {} }), toWeb],
      [web(Object.fromEntries(['a', 'b', 'c', 'd'].map((id) => [id, { status: 'warning' as const }]))), toWeb],
      [/1 more endpoint changed$/],
    ],
    [
      'a service comes with its instances',
      [web({ a: {} }), policy([])],
      [web({ a: {} }), toWeb],
      ['route */ to web added (config:/)', 'service web: now served; +1 endpoint (no version)'],
    ],
    [
      'one without instances is no longer routed',
      [web({}), toWeb],
      [web({}), policy([])],
      ['route */ to web removed', 'service web: no longer routed'],
    ],
    [
      'services',
      [web({ a: { version: '1' } }), toWeb],
      [web({}), policy([])],
      ['route */ to web removed', 'service web: no longer served; -1 endpoint (1)'],
    ],
  ]
  for (const [name, before, after, expected] of cases) {
    const a = build(...before)
    const made = lines(a, build(...after, a))
    t.equal(made.length, expected.length, name)
    expected.forEach((line, i) =>
      typeof line === 'string' ? t.equal(made[i], line, name) : t.match(made[i], line, name),
    )
  }
})

void t.test('a table against itself or its equal is no change', async (t) => {
  const a = build(web({ a: {} }), toWeb)
  t.same(diffTables(a, a), [])
  t.same(diffTables(a, build(web({ a: {} }), toWeb)), [], 'even with no object in common')
})

void t.test('a difference is found exactly where there is one', async () => {
  const anyWeb = fc.dictionary(
    fc.constantFrom('a', 'b', 'c'),
    fc.record({
      version: fc.constantFrom('1', '2', ''),
      status: fc.constantFrom('passing' as const, 'critical' as const),
    }),
    { noNullPrototype: true },
  )
  const services = (table: RouteTable): string => JSON.stringify([...table.services])
  fc.assert(
    fc.property(anyWeb, anyWeb, (before, after) => {
      const a = build(web(before), toWeb)
      const b = build(web(after), toWeb)
      return diffTables(a, b).length > 0 === (services(a) !== services(b))
    }),
    { numRuns: 300 },
  )
})

void t.test('asked again for the same two tables it is not made again', async (t) => {
  const pol = policy([route('/', 'web')])
  const first = buildTable(emptyTable, snapshot(service('web', [instance('web', 'a')])), pol).table
  const second = buildTable(first, snapshot(service('web', [instance('web', 'b')])), pol).table
  const changes = diffTables(first, second)
  t.equal(diffTables(first, second), changes)
  t.same(diffTables(first, Object.freeze({ ...second })), changes)
  t.same(diffTables(second, first)[0], {
    ...changes[0],
    added: changes[0]?.kind === 'service' ? changes[0].removed : [],
  })
})
