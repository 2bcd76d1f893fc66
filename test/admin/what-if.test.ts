/** What would be if an endpoint died, or with another split: over the API and as a command. */
import t from 'tap'
import { type NowAfter, type SharedPartView, whatIfAnswer } from '../../src/admin/what-if.ts'
import { whatIfText } from '../../src/cli/what-if/run.ts'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ask, configOf, portOf, quiet, rigApp } from '../fixtures/app.ts'
import { fairlead } from '../fixtures/command.ts'

t.test('shares and load, now and after it', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-what-if-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'services.json')
  const services = ['1', '1', '2'].map((version, at) => ({
    id: `w${String(at)}`,
    name: 'web',
    address: '127.0.0.1',
    port: 4_000 + at,
    meta: { version },
  }))
  writeFileSync(
    file,
    JSON.stringify({
      services: [...services, ...services.slice(1).map((one) => ({ ...one, id: `s${one.id}`, name: 'strict' }))],
    }),
  )
  const own =
    'services: { web: { versions: { 1: 8, 2: 2 }, health: { mode: off, slowStart: 0s } }, strict: { versions: { 1: 1, 2: 1 }, fallback: none, health: { mode: off } } }'
  const { app } = rigApp(
    t,
    configOf(
      `${quiet}catalog: { file: "${file}" }\nroutes: [{ service: web }, { path: /s, service: strict }]\n${own}\n`,
    ),
  )
  await app.start()
  const admin = portOf(app.addresses().admin)
  const get = async (query: string): Promise<{ status: number; json: unknown }> => {
    const { status, body } = await ask(admin, `/v1/what-if?${query}`)
    return { status, json: JSON.parse(body) as unknown }
  }
  const handles = (name: string): readonly string[] =>
    app
      .dataPlane()
      .current()
      .table.services.get(name)
      ?.groups.flatMap(({ endpoints }) => endpoints.map(({ handle }) => handle)) ?? []
  const [a = '', , c = ''] = handles('web')
  t.match(await get(`service=web&without=${a}`), {
    status: 200,
    json: {
      service: 'web',
      versions: [
        { version: '1', now: 0.8, after: 0.8 },
        { version: '2', now: 0.2, after: 0.2 },
      ],
      endpoints: [
        { handle: a, now: 0.4, after: 0 },
        { now: 0.4, after: 0.8 },
        { handle: c, now: 0.2, after: 0.2 },
      ],
      unanswered: { now: 0, after: 0 },
    },
  })
  for (const name of ['127.0.0.1:4002', 'w2'])
    t.same(await get(`service=web&without=${name}`), await get(`service=web&without=${c}`), `one alone is ${name}`)
  t.match((await get(`service=web&without=${c}`)).json, {
    versions: [
      { now: 0.8, after: 1 },
      { now: 0.2, after: 0 },
    ],
  })
  t.match((await get('service=web&split=1=1,2=1')).json, {
    versions: [{ after: 0.5 }, { after: 0.5 }],
    endpoints: [{ after: 0.25 }, { after: 0.25 }, { after: 0.5 }],
  })
  t.match((await get('service=web&split=2=1,9=1')).json, {
    versions: [{ after: 0 }, { after: 1 }, { version: '9', after: 0 }],
    shared: { length: 0 },
    warnings: ['No instance of version 9 is registered. Did you mean 1? There is 1, 2.'],
  })
  t.match((await get('service=web&split=2=1,9=0')).json, { warnings: ['No instance of version 9 is registered.'] })
  t.match((await get('service=web&split=2=1,*=1')).json, { warnings: { length: 0 } })
  t.match((await get(`service=strict&without=${handles('strict')[0] ?? ''}`)).json, {
    versions: [{ after: 0.5 }, { after: 0.5 }],
    unanswered: { now: 0, after: 0.5 },
  })

  for (const [query, status, error] of [
    ['', 400, /^service is missing/],
    ['service=web', 400, /one of without, .* and split/],
    [`service=web&without=${a}&split=1=1`, 400, /one of without, .* and split/],
    ['service=wbe&split=1=1', 404, /^service: .*Did you mean web\?/],
    ['service=web&without=x', 404, /^without: no endpoint/],
    ['service=web&without=wbe', 404, /^without: no endpoint.*Did you mean web\?/],
    ['service=web&without=strict', 404, /^without: no endpoint/],
    ['service=web&split=1', 400, /^split: a version and its weight/],
    ['service=web&split=1=1,1=2', 400, /^split: .*twice/],
    ['service=web&split=1=x', 400, /^split: .*weight/],
    ['service=web&split=1=0', 400, /^split: versions: every weight is zero/],
    ['service=web&spilt=1=0', 400, /no such parameter.*split/],
  ] as const)
    t.match(await get(query), { status, json: { error } }, query)

  const command = fairlead(['what-if', 'web', '--split', '1=1,2=1', '-a', `127.0.0.1:${String(admin)}`])
  t.equal(await command.exit, 0)
  t.match(command.out(), /^web, of its requests.*\n {5}80 % -> {4}50 % {2}1\n {5}40 % -> {4}25 % {4}web-[0-9a-f]+ 127/)
})

interface SharedAnswer {
  readonly shared: readonly {
    readonly routes: readonly string[]
    readonly parts: readonly SharedPartView[]
    readonly unanswered: NowAfter
  }[]
  readonly warnings: readonly string[]
}

t.test('a route that several services share: what becomes of each part', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-what-if-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'services.json')
  const of = (name: string, ...versions: readonly string[]): object[] =>
    versions.map((version, at) => ({
      id: `${name}-${String(at)}`,
      name,
      address: `127.3.${String(name.length)}.${String(at + 1)}`,
      port: 4_000,
      meta: { version },
      tags: name.length === 1 ? ['urlprefix-/x', 'urlprefix-/y'] : [],
    }))
  const services = [
    of('a', '1', '1'),
    of('b', '1'),
    of('shop', '1', '2'),
    of('next', '5'),
    of('eu', '1'),
    of('own', '1', '2'),
    of('pair', '1', '2'),
    of('west', '1'),
  ]
  writeFileSync(file, JSON.stringify({ services: services.flat() }))
  const { app } = rigApp(
    t,
    configOf(
      `${quiet}catalog: { file: "${file}" }
policy: { tags: urlprefix- }
defaults: { health: { mode: off, slowStart: 0s } }
routes:
  - { path: /shop, service: shop }
  - { path: /own, service: own, split: [{ service: own, weight: 3 }, { service: next, weight: 1 }] }
  - { path: /strict, service: own, fallback: none, split: [{ version: "1", weight: 1 }, { service: next, weight: 1 }] }
  - { path: /mine, service: pair, split: [{ service: pair, weight: 1 }, { service: west, weight: 1 }] }
  - { path: /pinned, service: pair, versions: { "1": 1 }, failover: [west] }
services:
  pair: { split: [{ service: west, weight: 1 }] }
  shop:
    split: [{ version: "1", weight: 80 }, { service: next, weight: 20 }]
    failover: [eu]
`,
    ),
  )
  await app.start()
  const admin = portOf(app.addresses().admin)
  const get = async (query: string): Promise<SharedAnswer> => {
    const { body } = await ask(admin, `/v1/what-if?${query}`)
    return JSON.parse(body) as SharedAnswer
  }
  const handles = (name: string): readonly string[] =>
    app
      .dataPlane()
      .current()
      .table.services.get(name)
      ?.groups.flatMap(({ endpoints }) => endpoints.map(({ handle }) => handle)) ?? []
  const three = (share: number): number => Number(share.toFixed(3))
  const said = async (query: string): Promise<unknown> =>
    (await get(query)).shared.map(({ routes, parts, unanswered }) => [
      routes.join(' '),
      ...parts.map(({ service, version, standby, now, after, endpoints }) => [
        [service, version, standby ? 'standby' : null].filter((word) => word !== null).join(' '),
        three(now),
        three(after),
        endpoints.map((one) => three(one.after)).join(' '),
      ]),
      [three(unanswered.now), three(unanswered.after)],
    ])
  const [a = ''] = handles('a')
  const [b = ''] = handles('b')
  t.same(
    await said(`service=a&without=${a}`),
    [['/x /y', ['a', 0.667, 0.667, '0 0.667'], ['b', 0.333, 0.333, '0.333'], [0, 0]]],
    'its sibling takes it until the catalog knows, and those with the same shares are one',
  )
  const withoutB = [['/x /y', ['a', 0.667, 1, '0.5 0.5'], ['b', 0.333, 0, '0'], [0, 0]]]
  t.same(await said('service=b&without=b'), withoutB, 'all of a service')
  t.same(await said(`service=a&without=${b}`), withoutB, "another's endpoint, asked of whom it shares with")
  const shop = (one: number, next: number, eu: number, ...last: readonly unknown[]): unknown => [
    '/shop',
    ['shop 1', 0.8, one, String(one)],
    ['next', 0.2, next, String(next)],
    ['eu standby', 0, eu, String(eu)],
    ...last,
  ]
  t.same(await said('service=shop&without=shop'), [shop(0, 1, 0, [0, 0])])
  t.same(await said('service=eu&without=eu'), [shop(0.8, 0.2, 0, [0, 0])])
  t.same(
    await said('service=next&without=next'),
    [
      shop(1, 0, 0, [0, 0]),
      ['/strict', ['own 1', 0.5, 0.5, '0.5'], ['next', 0.5, 0.5, '0'], [0, 0.5]],
      ['/own', ['own', 0.75, 1, '0.5 0.5'], ['next', 0.25, 0, '0'], [0, 0]],
    ].toSorted((left, right) => (String(left) < String(right) ? 1 : -1)),
    'with fallback none nobody has its share',
  )

  t.same(await said('service=shop&split=1=1,2=3'), [shop(0, 0, 0, ['shop', 0, 1, '0.25 0.75'], [0, 0])])
  t.match((await get('service=shop&split=1=1,2=3')).warnings, [/^Weights by version end the split/])
  t.same(
    await said('service=own&split=1=1,2=4'),
    [
      ['/strict', ['own 1', 0.5, 0.5, '0.5'], ['next', 0.5, 0.5, '0.5'], [0, 0]],
      ['/own', ['own', 0.75, 0.75, '0.15 0.6'], ['next', 0.25, 0.25, '0.25'], [0, 0]],
    ],
    "a route's own split stays",
  )
  t.same((await get('service=own&split=1=1,2=4')).warnings, [])

  const moved = [shop(0, 0, 1, ['shop', 0, 0, '0 0'], [0, 0])]
  t.same(await said('service=shop&split=9=1,1=0,2=0'), moved, 'who stands by still does')
  t.same(
    await said('service=pair&split=1=1,2=4'),
    [
      ['/pinned', ['pair', 1, 1, '1 0'], ['west standby', 0, 0, '0'], [0, 0]],
      ['/mine', ['pair', 0.5, 0.5, '0.1 0.4'], ['west', 0.5, 0.5, '0.5'], [0, 0]],
    ],
    "a route's own word stays",
  )
  const bound = app.dataPlane().current()
  const answer = whatIfAnswer(bound, 'service=shop&split=1=1,2=3', () => ({ split: undefined }))
  t.match(
    JSON.parse(answer.body as string),
    { warnings: { length: 0 }, shared: [{ parts: [{ version: '1', after: 0.8 }, {}, {}] }] },
    'one that the KV says itself stays beside weights',
  )

  const command = fairlead(['what-if', 'shop', '--without', 'shop', '-a', `127.0.0.1:${String(admin)}`])
  t.equal(await command.exit, 0)
  t.match(
    command.out(),
    /\n +0 % -> +100 % {2}nobody of it: see below\nof those to \*\/shop, where others share with it or stand by:\n +80 % -> +0 % {2}shop 1\n.*\n +20 % -> +100 % {2}next\n.*\n +0 % -> +0 % {2}eu \(stands by\)\n/,
  )
})

t.test('the text steers no terminal', async (t) => {
  const part = { now: 0, after: 1 }
  const view = {
    service: '\u001b',
    versions: [{ version: '\u009b', ...part }],
    endpoints: [],
    unanswered: part,
    shared: [],
    warnings: [],
  }
  t.notMatch(whatIfText(view), /(?!\n)\p{Cc}/u)
  t.match(whatIfText(view), '0 % ->   100 %  answered 503\n')
})
