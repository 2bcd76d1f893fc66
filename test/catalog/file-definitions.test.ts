import fc from 'fast-check'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { parseDefinitions } from '../../src/catalog/file/parse-definitions.ts'
import type { Definitions } from '../../src/catalog/file/parse-definitions.ts'

function parse(text: string): Definitions {
  return parseDefinitions(text, { source: 'file', fileName: 's.json' })
}

function good(text: string) {
  const parsed = parse(text)
  if (parsed.broken !== undefined) throw new Error(parsed.broken)
  return parsed
}

void t.test('one definition, with all that matters', (t) => {
  const { instances, problems } = good(
    JSON.stringify({
      service: {
        id: 'web-1',
        name: 'web',
        address: '10.0.0.1',
        port: 8080,
        tags: ['b', 'a', 'b'],
        meta: { version: '9.10', z: '1' },
        weights: { passing: 10, warning: 0 },
        checks: [
          { http: 'http://10.0.0.1:8080/', interval: '1s' },
          { ttl: '5s', status: 'warning' },
        ],
        enable_tag_override: true,
      },
    }),
  )
  t.same(problems, [])
  t.match(instances, [
    {
      source: 'file',
      service: 'web',
      id: 'web-1',
      address: '10.0.0.1',
      port: 8080,
      tags: ['a', 'b'],
      meta: { version: '9.10', z: '1' },
      weights: { passing: 10, warning: 0 },
      status: 'warning',
      agentLost: false,
      createIndex: 0,
    },
  ])
  t.equal(Object.getPrototypeOf(instances[0]?.meta), null)
  t.ok(Object.isFrozen(instances[0]) && Object.isFrozen(instances[0]?.meta) && Object.isFrozen(instances[0]?.tags))
  t.end()
})

void t.test('every way to write one', (t) => {
  const ways = [
    '{"services": [{"name": "web", "port": 1}]}',
    '{"Services": [{"Name": "web", "Port": 1, "ID": "web", "Address": "127.0.0.1"}]}',
    '{"service": {"NAME": "web", "port": "1", "id": null, "tags": null, "meta": null, "weights": null}}',
    '[{"name": "web", "port": 1}]',
    '{"name": "web", "port": 1}',
    'services:\n  - name: web\n    port: 1\n    Tagged_Addresses: {}\n',
    'service: { name: web, port: 1, id: "" , address: }',
  ]
  const first = good(ways[0] ?? '').instances
  t.match(first, [{ id: 'web', address: '127.0.0.1', weights: { passing: 1, warning: 1 }, status: 'passing' }])
  for (const way of ways) t.same(good(way).instances, first, way)
  t.same(good('services: []').instances, [])
  t.end()
})

void t.test('versions stay what they are', (t) => {
  const { instances } = good('services: [{ name: web, port: 1, meta: { version: 9.10 } }]')
  t.equal(instances[0]?.meta['version'], '9.10')
  t.end()
})

void t.test('a literal status is taken, the worst one of several', (t) => {
  const cases: Readonly<Record<string, string>> = {
    'status: critical': 'critical',
    'check: { status: warning }': 'warning',
    'checks: [{ status: passing }, { status: critical }, { status: warning }]': 'critical',
    'status: maintenance, checks: [{ status: critical }]': 'maintenance',
    'checks: [{ http: x }]': 'passing',
  }
  for (const [text, wanted] of Object.entries(cases))
    t.equal(good(`services: [{ name: a, port: 1, ${text} }]`).instances[0]?.status, wanted, text)
  t.end()
})

void t.test('a bad definition costs only itself', (t) => {
  const { instances, problems } = good(`services:
  - { name: good, port: 1 }
  - { name: no-port }
  - { name: bad-port, port: 70000 }
  - { port: 1 }
  - { name: [x], port: 1 }
  - text
  - { name: good, port: 2 }
  - { name: half, port: 3, tags: [a, [b]], meta: { k: [v], l: w }, weights: { passing: 0 }, status: fine }
`)
  t.same(
    instances.map(({ service, port }) => `${service}:${String(port)}`),
    ['good:1', 'half:3'],
  )
  t.match(instances[1], { tags: ['a'], meta: { l: 'w' }, weights: { passing: 1, warning: 1 }, status: 'passing' })
  t.match(
    problems.map(({ where, message }) => `${where} ${message}`),
    [
      /^s\.json:3:5 no-port has no port/,
      /^s\.json:4:29 the port of bad-port is not 1 to 65535/,
      /^s\.json:5:5 this definition has no name/,
      /^s\.json:6:13 name is no usable text/,
      /^s\.json:7:5 this is no service definition/,
      /^s\.json:8:5 another definition has the id "good" already/,
      /^s\.json:9:34 the tags of half/,
      /^s\.json:9:50 the meta of half/,
      /^s\.json:9:77 the weights of half/,
      /^s\.json:9:101 a status of half/,
    ],
  )
  t.end()
})

void t.test('a text that is no definitions is broken as a whole', (t) => {
  const cases: Readonly<Record<string, RegExp>> = {
    '': /^s\.json:1:1: the file is empty/,
    '{"services": [': /^s\.json:1:\d+: YAML: /,
    hello: /found a text/,
    '{"servers": []}': /expected service definitions/,
    '{"services": {"name": "web"}}': /services is not a list/,
    '{"services": [], "services": []}': /"services" stands here twice/,
  }
  for (const [text, message] of Object.entries(cases)) t.match(parse(text).broken, message, JSON.stringify(text))
  t.end()
})

void t.test('the template is good', (t) => {
  const text = readFileSync(new URL('../../templates/services.json', import.meta.url), 'utf8')
  const { instances, problems } = good(text)
  t.equal(instances.length, 3)
  t.same(problems, [])
  t.end()
})

void t.test('nothing in a definition crashes it, and what is wrong is said', (t) => {
  const value = fc.oneof(fc.string(), fc.integer(), fc.constant(null), fc.boolean(), fc.jsonValue({ maxDepth: 2 }))
  const keys = ['name', 'id', 'port', 'address', 'tags', 'meta', 'weights', 'checks', 'check', 'status'] as const
  const definition = fc.dictionary(fc.constantFrom(...keys), value)
  fc.assert(
    fc.property(fc.array(definition, { maxLength: 4 }), (services) => {
      const parsed = parse(JSON.stringify({ services }))
      if (parsed.broken !== undefined) return true
      const dropped = services.length - parsed.instances.length
      return (
        parsed.problems.length >= dropped &&
        parsed.instances.every(({ port, address, id }) => port >= 1 && port <= 65_535 && address !== '' && id !== '')
      )
    }),
    { numRuns: 400 },
  )
  t.end()
})
