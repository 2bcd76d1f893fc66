import fc from 'fast-check'
import t from 'tap'
import { parseHealthService } from '../../src/catalog/consul/parse.ts'
import { parseCatalogServices, parseHealthState } from '../../src/catalog/consul/parse-streams.ts'
import type { Instance } from '../../src/catalog/snapshot.ts'

type Json = Record<string, unknown>

function entry(service: Json = {}, checks: unknown = [], node: Json = {}): Json {
  return {
    Node: { ID: 'c6', Node: 'n1', Address: '10.0.0.1', Datacenter: 'dc1', Meta: { zone: 'a' }, ...node },
    Service: {
      ID: 'web-1',
      Service: 'web',
      Tags: ['v1', 'urlprefix-/web'],
      Address: '10.0.0.9',
      Meta: { version: '1.0' },
      Port: 9101,
      Weights: { Passing: 10, Warning: 1 },
      CreateIndex: 19,
      ...service,
    },
    Checks: checks,
  }
}

const serf = (status: string): Json => ({ CheckID: 'serfHealth', Status: status, ServiceID: '' })
const own = (status: string, id = 'service:web-1'): Json => ({ CheckID: id, Status: status, ServiceID: 'web-1' })

function one(json: Json): Instance {
  const { instances, problems } = parseHealthService([json], 'consul', 'web')
  const [instance] = instances
  if (!instance) throw new Error(`no instance: ${JSON.stringify(problems)}`)
  return instance
}

void t.test('an instance as Consul shows it', (t) => {
  const instance = one(entry())
  t.match(instance, { node: 'n1', service: 'web', id: 'web-1', address: '10.0.0.9', port: 9101, createIndex: 19 })
  t.strictSame(instance.tags, ['urlprefix-/web', 'v1'])
  t.strictSame(instance.weights, { passing: 10, warning: 1 })
  t.equal(instance.meta['version'], '1.0')
  t.equal(instance.nodeMeta['zone'], 'a')
  t.equal(instance.status, 'passing')
  for (const value of [instance, instance.tags, instance.meta, instance.nodeMeta, instance.weights])
    t.ok(Object.isFrozen(value))
  t.equal(Object.getPrototypeOf(instance.meta), null)
  t.end()
})

void t.test('the worst of all checks counts', (t) => {
  const maintenance = (id: string): Json => ({ CheckID: id, Status: 'critical', ServiceID: '', Type: 'maintenance' })
  const cases: [string, unknown, Instance['status'], boolean][] = [
    ['no checks', [], 'passing', false],
    ['null', null, 'passing', false],
    ['all pass', [serf('passing'), own('passing')], 'passing', false],
    ['a warning', [serf('passing'), own('warning')], 'warning', false],
    ['critical beats warning', [own('warning', 'a'), own('critical', 'b')], 'critical', false],
    ['only the agent is lost', [serf('critical'), own('passing')], 'critical', true],
    ['the agent is lost and it warns', [serf('critical'), own('warning')], 'critical', true],
    ['the agent is lost and it is ill', [serf('critical'), own('critical')], 'critical', false],
    ["a node's other check is no lost agent", [{ CheckID: 'disk', Status: 'critical' }], 'critical', false],
    ["a service's check of that name is no lost agent", [own('critical', 'serfHealth')], 'critical', false],
    ['service maintenance', [own('critical'), maintenance('_service_maintenance:web-1')], 'maintenance', false],
    ['node maintenance', [serf('critical'), maintenance('_node_maintenance')], 'maintenance', false],
    ['a status nobody knows', [own('wonderful')], 'critical', false],
  ]
  for (const [name, checks, status, agentLost] of cases) t.match(one(entry({}, checks)), { status, agentLost }, name)
  t.end()
})

void t.test('what may be absent', (t) => {
  t.equal(one(entry({ Address: '' })).address, '10.0.0.1')
  t.equal(one(entry({ Address: undefined })).address, '10.0.0.1')
  t.strictSame({ ...one(entry({ Meta: null })).meta }, {})
  t.strictSame(one(entry({ Tags: null })).tags, [])
  t.strictSame(one(entry({ Tags: ['b', 'a', 'b'] })).tags, ['a', 'b'])
  t.strictSame(one(entry({ Weights: undefined })).weights, { passing: 1, warning: 1 })
  t.strictSame(one(entry({ Weights: { Passing: 0, Warning: 0 } })).weights, { passing: 1, warning: 1 })
  t.strictSame(one(entry({ Weights: { Passing: 3, Warning: 0 } })).weights, { passing: 3, warning: 0 })
  t.equal(one(entry({ CreateIndex: undefined })).createIndex, 0)
  t.end()
})

void t.test('a bad entry costs only itself and is named', (t) => {
  const bad: [string, unknown, RegExp][] = [
    ['no object', 7, /the entry is 7/],
    ['null', null, /the entry is null/],
    ['a list', [], /the entry is \[\]/],
    ['no service', { Node: { Node: 'n1' } }, /Service is missing/],
    ['no node', { Service: { ID: 'x' } }, /Node is missing/],
    ['port 0', entry({ Port: 0 }), /Service.Port is 0/],
    ['port 65536', entry({ Port: 65_536 }), /Service.Port is 65536/],
    ['port as text', entry({ Port: '80' }), /Service.Port is "80"/],
    ['port 1.5', entry({ Port: 1.5 }), /Service.Port is 1.5/],
    ['no ID', entry({ ID: '' }), /Service.ID is ""/],
    ['ID a number', entry({ ID: 7 }), /Service.ID is 7/],
    ['another service', entry({ Service: 'db' }), /Service.Service is "db"/],
    ['no address', entry({ Address: '' }, [], { Address: '' }), /the address is ""/],
    ['a line break in the address', entry({ Address: 'a\r\nb' }), /the address is "a\\r\\nb"/],
    ['address a list', entry({ Address: ['x'] }), /Service.Address is/],
    ['tags a text', entry({ Tags: 'x' }), /Service.Tags is no list/],
    ['a tag a number', entry({ Tags: [1] }), /a tag is 1/],
    ['Meta a list', entry({ Meta: [1] }), /Service.Meta is/],
    ['Meta value a number', entry({ Meta: { a: 1 } }), /Service.Meta.a is 1/],
    ['checks a text', entry({}, 'x'), /Checks is no list/],
    ['a check null', entry({}, [null]), /a check is null/],
    ['a check without ID', entry({}, [{ Status: 'passing' }]), /no CheckID/],
  ]
  for (const [name, json, message] of bad) {
    const { instances, problems } = parseHealthService([json, entry({ ID: 'good' })], 'consul', 'web')
    t.strictSame(
      instances.map((instance) => instance.id),
      ['good'],
      name,
    )
    t.equal(problems.length, 1, name)
    t.match(problems[0], { code: 'bad-instance', where: /^consul:web/, message }, name)
  }
  const { problems } = parseHealthService([entry({ Port: 0 })], 'consul', 'web')
  t.equal(problems[0]?.where, 'consul:web/web-1 on n1', 'service, id and node are named')
  t.end()
})

void t.test('weights that are none are even, and it is said', (t) => {
  for (const weights of [
    { Passing: 65_536, Warning: 1 },
    { Passing: -1, Warning: 1 },
    { Passing: 1.5, Warning: 1 },
    { Passing: 'x' },
    { Passing: 2 },
  ]) {
    const { instances, problems } = parseHealthService([entry({ Weights: weights })], 'consul', 'web')
    t.strictSame(instances[0]?.weights, { passing: 1, warning: 1 })
    t.match(problems, [{ message: /Weights/ }])
  }
  t.end()
})

void t.test('what nobody can show costs its own instance alone', (t) => {
  const nest: unknown = JSON.parse('['.repeat(20_000) + ']'.repeat(20_000))
  for (const odd of [
    { ID: 'x', Meta: { a: nest } },
    { ID: 'x', Port: nest },
  ]) {
    const { instances, problems } = parseHealthService([entry({}), entry(odd)], 'consul', 'web')
    t.equal(instances.length, 1)
    t.match(problems, [{ message: /nested too deeply to be shown.*; this instance is not used$/ }])
  }
  const deep = parseHealthService([entry({ Weights: nest })], 'consul', 'web')
  t.same(deep.instances[0]?.weights, { passing: 1, warning: 1 })
  t.end()
})

void t.test('__proto__ is a key like any other', (t) => {
  const text = JSON.stringify(entry()).replace('"version":"1.0"', '"__proto__":"evil","constructor":"x"')
  const instance = one(JSON.parse(text) as Json)
  t.strictSame(Object.keys(instance.meta), ['__proto__', 'constructor'])
  t.equal(instance.meta['__proto__'], 'evil')
  t.equal(({} as Json)['evil'], undefined)
  t.end()
})

void t.test('the same registration twice', (t) => {
  const { instances, problems } = parseHealthService([entry(), entry()], 'consul', 'web')
  t.equal(instances.length, 1)
  t.match(problems, [{ message: /listed twice/ }])
  t.end()
})

void t.test('no list at all is an error', (t) => {
  for (const json of [null, {}, 'x', 7]) t.throws(() => parseHealthService(json, 'consul', 'web'))
  for (const json of [null, [], 'x']) t.throws(() => parseCatalogServices(json))
  for (const json of [null, {}, 'x']) t.throws(() => parseHealthState(json))
  t.end()
})

void t.test('whatever JSON comes, only good instances leave', (t) => {
  const odd = fc.oneof(fc.jsonValue(), fc.constantFrom(0, 65_536, -1, '', null, '\n', 80, 'web', {}))
  const made = fc
    .record(
      { ID: odd, Service: odd, Port: odd, Tags: odd, Meta: odd, Weights: odd, Address: odd },
      { requiredKeys: [] },
    )
    .chain((service) =>
      fc.record({
        service: fc.constant(service),
        checks: odd,
        node: fc.record({ Meta: odd, Address: odd }, { requiredKeys: [] }),
      }),
    )
    .map(({ service, checks, node }) => entry(service, checks, node))
  fc.assert(
    fc.property(fc.array(fc.oneof(made, fc.jsonValue()), { maxLength: 6 }), (json) => {
      const { instances, problems } = parseHealthService(json, 'consul', 'web')
      for (const instance of instances) {
        if (!(instance.port >= 1 && instance.port <= 65_535) || instance.address === '' || instance.id === '')
          return false
        if (instance.weights.passing < 1 || !Object.isFrozen(instance)) return false
      }
      const keys = instances.map((instance) => instance.key)
      return (
        keys.every((key, at) => at === 0 || (keys[at - 1] as string) < key) &&
        instances.length + problems.length >= json.length
      )
    }),
    { numRuns: 500 },
  )
  t.end()
})

void t.test('the catalog: names with sorted tags, whatever their order', (t) => {
  t.strictSame(
    [...parseCatalogServices({ web: ['b', 'a', 'b'], db: [], odd: null })],
    [
      ['web', ['a', 'b']],
      ['db', []],
      ['odd', []],
    ],
  )
  t.end()
})

void t.test('the health stream: one number per service and node, whatever the order of checks', (t) => {
  const check = (service: string, id: string, status: string, more: Json = {}): Json => ({
    Node: 'n1',
    CheckID: id,
    ServiceName: service,
    ServiceID: service,
    Status: status,
    ...more,
  })
  const base = [
    check('web', 'a', 'passing'),
    check('web', 'b', 'passing'),
    check('db', 'a', 'passing'),
    check('', 'serfHealth', 'passing'),
  ]
  const read = parseHealthState(base)
  t.strictSame(parseHealthState([...base].reverse()).services.get('web'), read.services.get('web'))
  t.strictSame([...read.nodes.keys()], ['n1'])
  const flipped = parseHealthState([check('web', 'a', 'critical'), ...base.slice(1)])
  t.not(flipped.services.get('web'), read.services.get('web'))
  t.equal(flipped.services.get('db'), read.services.get('db'))
  t.equal(flipped.nodes.get('n1'), read.nodes.get('n1'))
  const output = parseHealthState([check('web', 'a', 'passing', { Output: 'x', ModifyIndex: 9 }), ...base.slice(1)])
  t.equal(output.services.get('web'), read.services.get('web'), 'output is no change')
  t.not(
    parseHealthState([check('web', 'a', 'passing', { CreateIndex: 9 }), ...base.slice(1)]).services.get('web'),
    read.services.get('web'),
    'a new life is one',
  )
  t.not(parseHealthState(base.slice(1)).services.get('web'), read.services.get('web'), 'a check less is one')
  t.end()
})
