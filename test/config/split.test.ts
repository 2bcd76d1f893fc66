/** `split` and `failover`: what is taken, and what is said of the rest. */
import t from 'tap'
import { load } from '../../src/config/load.ts'
import { parseRouteSettings, parseServiceSettings } from '../../src/config/parse-settings.ts'

const said = (settings: object): readonly string[] => {
  const parsed = parseServiceSettings(settings)
  return parsed.kind === 'bad' ? parsed.messages : []
}

t.test('what is taken, in documents as in the file', async (t) => {
  const split = [
    { version: '9.7.0', weight: 80 },
    { service: 'next', weight: 20.5 },
    { service: 'b', version: '1', weight: 0 },
  ]
  const failover = ['eu', { service: 'us', version: '2' }, { version: '9.6.0' }]
  const wanted = {
    split: [
      { service: undefined, version: '9.7.0', weight: 80 },
      { service: 'next', version: undefined, weight: 20.5 },
      { service: 'b', version: '1', weight: 0 },
    ],
    failover: [
      { service: 'eu', version: undefined },
      { service: 'us', version: '2' },
      { service: undefined, version: '9.6.0' },
    ],
  }
  t.match(parseServiceSettings({ split, failover }), { kind: 'good', settings: wanted })
  t.match(parseRouteSettings({ service: 'shop', split, failover }), { kind: 'good', settings: { traffic: wanted } })
  t.match(
    load(
      JSON.stringify({ routes: [{ service: 'shop' }], services: { shop: { split, failover } } }),
      {},
      'f',
    ).config?.services.get('shop'),
    wanted,
  )
})

t.test('what is refused', async (t) => {
  t.match(said({ split: [] }), [/nothing would get a request/])
  t.match(said({ split: [{ service: 'a', weight: 0 }] }), [/nothing would get a request/])
  t.match(
    said({
      split: [
        { service: 'a', weight: 1 },
        { service: 'a', weight: 2 },
      ],
    }),
    [/stand there twice/],
  )
  const several = [{ service: 'a' }, { service: 'b' }, { service: 'a', version: '1' }, { service: 'b', version: '1' }]
  t.same(
    said({ split: several.map((one) => ({ ...one, weight: 1 })) }),
    [],
    'a service in several versions, a version of several',
  )
  const many = (count: number): object[] =>
    Array.from({ length: count }, (_, at) => ({ service: `s${String(at)}`, weight: 1 }))
  t.same(said({ split: many(100) }), [])
  t.match(said({ split: many(101) }), [/split.*100/])
  const names = (count: number): string[] => Array.from({ length: count }, (_, at) => `s${String(at)}`)
  t.same(said({ failover: names(16) }), [])
  t.match(said({ failover: names(17) }), [/failover.*16/])
  t.match(said({ split: [{ service: 'a' }] }), [/split\[0\]/])
  t.match(said({ failover: [{}] }), [/it names neither/])
})

t.test('a weight above 0 is no less than a millionth', async (t) => {
  t.same(said({ versions: { a: '0.000001', b: 0 } }), [])
  t.match(said({ versions: { a: '0.0000009' } }), [/a weight above 0 is at least 0\.000001/])
  t.match(said({ versions: { a: `0.${'0'.repeat(310)}5` } }), [/a weight above 0 is at least/])
})

t.test('mappings of more names than anybody means are refused before any of them is read', async (t) => {
  const of = (count: number, value: unknown): object =>
    Object.fromEntries(Array.from({ length: count }, (_, at) => [`v${String(at)}`, value]))
  t.same(said({ versions: of(100, 1) }), [])
  t.same(said({ versions: of(101, 'no weight') }), [
    'versions: expected a mapping of weights by version, 100 at most; found a mapping',
  ])
  for (const subject of ['header', 'cookie', 'query'])
    t.match(said({ rules: [{ when: { [subject]: of(101, []) }, version: '1' }] }), [/100 at most/], subject)
  for (const change of ['set', 'add']) {
    const parsed = parseRouteSettings({ service: 'shop', headers: { request: { [change]: of(101, []) } } })
    t.match(parsed, { messages: [/100 at most/] }, change)
  }
})

t.test('a service that only a split or a failover leads to is one that a route leads to', async (t) => {
  const warnings = (shop: string): readonly string[] =>
    load(
      `routes: [{ service: shop }]\nservices: { shop: ${shop}, next: { retry: { attempts: 1 } } }\n`,
      {},
      'f',
    ).warnings.map(({ message }) => message)
  t.match(warnings('{ retry: { attempts: 1 } }'), [/no route leads to this service/])
  t.same(warnings('{ split: [{ service: next, weight: 1 }] }'), [])
  t.same(warnings('{ failover: [next] }'), [])
  const onRoute = (rest: string): readonly string[] =>
    load(
      `routes: [{ service: shop, ${rest} }]\nservices: { next: { retry: { attempts: 1 } } }\n`,
      {},
      'f',
    ).warnings.map(({ message }) => message)
  t.match(onRoute('path: /x'), [/no route leads to this service/])
  t.same(onRoute('split: [{ service: next, weight: 1 }]'), [])
  t.same(onRoute('failover: [next]'), [])
})

void t.test('settings from elsewhere than the file are refused for the same mistakes, with their place', (t) => {
  const rules = [{ when: { method: 'post' }, version: '1' }]
  t.match(parseServiceSettings({ rules }), {
    kind: 'bad',
    messages: [/^rules\[0\]\.when\.method: expected a method such as GET; found "post": .*did you mean "POST"\?$/],
  })
  t.match(parseRouteSettings({ service: 'a', rules: [{ when: { header: { Host: 'a' } }, version: '1' }] }), {
    kind: 'bad',
    messages: [/^rules\[0\]\.when\.header\.Host: .*host of a route asks for it$/],
  })
  t.end()
})
