/** The same requests to a real agent and to the embedded catalog: statuses, headers and bodies to the letter. */
import t from 'tap'
import { deviations } from './deviations.ts'
import { entrants, type Answer, type Speaker } from '../fixtures/catalog-speaker.ts'
import { until } from '../fixtures/until.ts'

type Row = readonly [method: string, path: string, body: unknown, status: number, text: string]

const TEXT = 'text/plain; charset=utf-8'

/** Refusals and plain successes, in Consul's very words. */
const words: readonly Row[] = [
  ['PUT', 'agent/service/register', {}, 400, 'Missing service name'],
  ['PUT', 'agent/service/register', '', 400, 'Request decode failed: EOF'],
  ['PUT', 'agent/service/register', '{"Name":"x"', 400, 'Request decode failed: unexpected EOF'],
  [
    ...(['PUT', 'agent/service/register', { Name: 5 }, 400] as const),
    'Request decode failed: json: cannot unmarshal number into Go struct field .Name of type string',
  ],
  [
    ...(['PUT', 'agent/service/register', { Name: 'x', Port: '80' }, 400] as const),
    'Request decode failed: json: cannot unmarshal string into Go struct field .Port of type int',
  ],
  ['PUT', 'agent/service/register', { Name: 'x', Bogus: 1 }, 400, 'Request decode failed: json: unknown field "Bogus"'],
  [
    ...(['PUT', 'agent/service/register', { Name: 'x', Weights: { Passing: 0, Warning: 1 } }, 400] as const),
    'Invalid Weights: Passing must be greater than 0',
  ],
  [
    ...(['PUT', 'agent/service/register', { Name: 'x', Weights: { Passing: 1, Warning: -1 } }, 400] as const),
    'Invalid Weights: Warning must be greater or equal than 0',
  ],
  [
    ...(['PUT', 'agent/service/register', { Name: 'x', Weights: { Passing: 70_000, Warning: 1 } }, 400] as const),
    'Invalid Weights: DNS Weight must be between 0 and 65535',
  ],
  [
    ...(['PUT', 'agent/service/register', { Name: 'x', Meta: { 'a b': 'c' } }, 400] as const),
    "Invalid Service Meta: Couldn't load metadata pair ('a b', 'c'): Key contains invalid characters",
  ],
  ['PUT', 'agent/service/register', { Name: 'x', Address: '0.0.0.0' }, 400, 'Invalid service address'],
  [
    ...(['PUT', 'agent/service/register', { Name: 'x', Check: { HTTP: 'http://a' } }, 400] as const),
    'Invalid check: Interval must be > 0 for Script, HTTP, or TCP checks',
  ],
  [
    ...(['PUT', 'agent/service/register', { Name: 'x', Check: { HTTP: 'http://a', Interval: 'soon' } }, 400] as const),
    'Request decode failed: time: invalid duration "soon"',
  ],
  [
    ...(['PUT', 'agent/service/register', { Name: 'x', Check: { Name: 'q' } }, 400] as const),
    'Invalid check: TTL must be > 0 for TTL checks',
  ],
  [
    ...(['PUT', 'agent/service/register', { Name: 'x', Check: { TTL: '5s', Interval: '5s' } }, 400] as const),
    'Invalid check: Interval and TTL cannot both be specified',
  ],
  [
    ...(['PUT', 'agent/service/register', { Name: 'x', Check: { TTL: '5s', Status: 'bogus' } }, 400] as const),
    "Status for checks must 'passing', 'warning', 'critical'",
  ],
  ['PUT', 'agent/service/deregister/nope', undefined, 200, ''],
  ['PUT', 'agent/service/deregister/', undefined, 500, 'ServiceID missing'],
  ['PUT', 'agent/check/pass/nope', undefined, 500, 'CheckID "nope" does not have associated TTL'],
  ['PUT', 'agent/check/update/nope', { Status: 'bogus' }, 400, "Invalid check status: 'bogus'"],
  ['PUT', 'agent/check/register', { TTL: '15s' }, 400, 'Missing check name'],
  ['PUT', 'agent/check/register', { Name: 'm', TTL: '15s', ServiceID: 'nope' }, 500, 'ServiceID "nope" does not exist'],
  ['PUT', 'agent/check/deregister/nope', undefined, 200, ''],
  ['PUT', 'agent/service/maintenance/nope', undefined, 400, 'Missing value for enable'],
  ['PUT', 'agent/service/maintenance/nope?enable=x', undefined, 400, 'Invalid value for enable: "x"'],
  ['PUT', 'agent/service/maintenance/nope?enable=true', undefined, 404, 'No service registered with ID "nope"'],
  ['GET', 'agent/service/nope', undefined, 404, 'unknown service ID: nope'],
  ['GET', 'health/service/', undefined, 400, 'Missing service name'],
  ['GET', 'health/service/web?passing=x', undefined, 400, 'Invalid value for ?passing'],
  ['GET', 'health/service/web?index=x', undefined, 400, 'Invalid index'],
  ['GET', 'health/service/web?wait=x', undefined, 400, 'Invalid wait time'],
  [
    ...(['GET', 'health/service/web?stale&consistent', undefined, 400] as const),
    'Cannot specify ?stale with ?consistent, conflicting semantics.',
  ],
  ['GET', 'health/service/web?dc=dc9', undefined, 500, 'No path to datacenter'],
  ['POST', 'agent/service/register', {}, 405, 'method POST not allowed'],
  ['GET', 'bogus', undefined, 404, ''],
  ['GET', 'kv/', undefined, 400, 'Missing key name'],
  ['PUT', 'kv/', 'x', 400, 'Missing key name'],
  ['DELETE', 'kv/', undefined, 400, 'Missing key name'],
  ['PUT', 'kv/k?cas=x', 'x', 500, 'strconv.ParseUint: parsing "x": invalid syntax'],
  ['PUT', 'kv/k?flags=x', 'x', 500, 'strconv.ParseUint: parsing "x": invalid syntax'],
  ['PUT', 'kv/k?cas=0&acquire=y', 'x', 400, 'Conflicting flags: acquire=y&cas=0'],
  ['DELETE', 'kv/k?recurse&cas=1', undefined, 400, 'Conflicting flags: cas=1&recurse='],
  ['PUT', 'kv/k?acquire=abc', 'x', 500, 'failed session lookup: index error: UUID must be 36 characters'],
  ['PUT', 'session/create', { TTL: '5s' }, 500, "Invalid Session TTL '5000000000', must be between [10s=24h0m0s]"],
  ['PUT', 'session/create', { Behavior: 'x' }, 500, "Invalid Behavior setting 'x'"],
  ['PUT', 'session/create', { Checks: ['nope'] }, 500, "Missing check 'nope' registration"],
  ['PUT', 'session/create', { Node: 'nope' }, 500, 'Missing node registration'],
  ['PUT', 'session/renew/', undefined, 400, 'Missing session'],
  [
    ...(['PUT', 'session/renew/00000000-0000-0000-0000-000000000000', undefined, 404] as const),
    "Session id '00000000-0000-0000-0000-000000000000' not found",
  ],
  ['GET', 'session/info/nope', undefined, 500, 'failed session lookup: index error: UUID must be 36 characters'],
  ['GET', 'session/node/', undefined, 400, 'Missing node name'],
  [...(['PUT', 'catalog/register', { Node: 'e' }, 500] as const), 'Must provide address if SkipNodeUpdate is not set'],
  ['PUT', 'catalog/register', { Address: '1' }, 500, 'Must provide node'],
  ['PUT', 'catalog/register', { Node: 'e', Address: '1', Datacenter: 'zz' }, 500, 'No path to datacenter'],
  ['PUT', 'catalog/register', '{', 400, 'Request decode failed: unexpected EOF'],
  ['PUT', 'catalog/deregister', {}, 500, 'Must provide node'],
]

/** Indexes and ids differ from run to run. */
function steady(answer: Answer): unknown {
  const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g
  const text = answer.text.replaceAll(uuid, 'UUID').replaceAll(/"(Create|Modify)Index": ?\d+/g, '"$1Index":0')
  return JSON.parse(text)
}

const blockingHeaders = {
  'content-type': 'application/json',
  'x-consul-effective-consistency': 'leader',
  'x-consul-knownleader': 'true',
  'x-consul-lastcontact': '0',
  vary: 'Accept-Encoding',
}

function headersOf(answer: Answer): Record<string, string | null> {
  return Object.fromEntries(Object.keys(blockingHeaders).map((name) => [name, answer.headers.get(name)]))
}

const node = {
  ID: 'UUID',
  Node: 'n1',
  Address: '127.0.0.1',
  Datacenter: 'dc1',
  TaggedAddresses: { lan: '127.0.0.1', lan_ipv4: '127.0.0.1', wan: '127.0.0.1', wan_ipv4: '127.0.0.1' },
}
const nodeMeta = { 'consul-network-segment': '' }
const indexes = { CreateIndex: 0, ModifyIndex: 0 }
const tagged = {
  lan: { Address: '1.2.3.4', Port: 5 },
  lan_ipv4: { Address: '10.0.0.1', Port: 9101 },
  wan_ipv4: { Address: '10.0.0.1', Port: 9101 },
}
const service = {
  ID: 'web-1',
  Service: 'web',
  Tags: ['b', 'a'],
  Address: '10.0.0.1',
  TaggedAddresses: tagged,
  Meta: { version: '1' },
  Port: 9101,
  Weights: { Passing: 10, Warning: 1 },
  EnableTagOverride: true,
}
const serf = {
  Node: 'n1',
  CheckID: 'serfHealth',
  Name: 'Serf Health Status',
  Status: 'passing',
  Notes: '',
  Output: 'Agent alive and reachable',
  ServiceID: '',
  ServiceName: '',
  ServiceTags: [],
  Type: '',
  Definition: {},
  ...indexes,
}
const check = {
  Node: 'n1',
  CheckID: 'service:web-1',
  Name: "Service 'web' check",
  Status: 'critical',
  Notes: 'nn',
  Output: '',
  ServiceID: 'web-1',
  ServiceName: 'web',
  ServiceTags: ['b', 'a'],
  Type: 'ttl',
  Definition: {},
  ...indexes,
}
const inService = { ...service, Proxy: { MeshGateway: {}, Expose: {} }, Connect: {}, ...indexes }
const registration = {
  ID: 'web-1',
  Name: 'web',
  Tags: ['b', 'a'],
  Address: '10.0.0.1',
  Port: 9101,
  Meta: { version: '1' },
  Weights: { Passing: 10, Warning: 1 },
  EnableTagOverride: true,
  TaggedAddresses: { lan: tagged.lan },
  Check: { TTL: '30s', Notes: 'nn' },
}

async function settled(it: Speaker, name: string, count: number): Promise<void> {
  await until(async () => (await it.ask('GET', `health/service/${name}`)).json<unknown[]>().length === count)
}

for (const entrant of await entrants()) {
  const skip = entrant.absent ?? false
  await t.test(entrant.kind, { skip }, async (t) => {
    const it = await entrant.start()
    t.teardown(() => it.stop())
    const real = it.kind === 'consul'

    await t.test('what is refused, and how', async (t) => {
      for (const [method, path, body, status, text] of words) {
        const answer = await it.ask(method, path, body)
        const seen = [answer.status, answer.text]
        t.strictSame(seen, [status, text], `${method} ${path} ${JSON.stringify(body) ?? ''}`)
        if (text !== '') t.equal(answer.headers.get('content-type'), TEXT, 'as text')
      }
    })

    await t.test('methods', async (t) => {
      const wrong = await it.ask('DELETE', 'agent/services')
      t.strictSame([wrong.status, wrong.headers.get('allow')], [405, 'OPTIONS,GET'])
      const head = await it.ask('HEAD', 'health/service/web')
      t.strictSame([head.status, head.headers.get('allow')], [405, 'OPTIONS,GET'])
      const options = await it.ask('OPTIONS', 'kv/x')
      t.strictSame([options.status, options.headers.get('allow')], [200, 'OPTIONS,GET,PUT,DELETE'])
    })

    await t.test('one service, everywhere it shows', async (t) => {
      const put = await it.ask('PUT', 'agent/service/register', registration)
      t.strictSame([put.status, put.text, put.index], [200, '', 0])
      await settled(it, 'web', 1)

      const health = await it.ask('GET', 'health/service/web')
      t.strictSame(headersOf(health), blockingHeaders)
      t.ok(health.index >= 1, 'an index')
      const nodeRecord = { ...node, Meta: nodeMeta, ...indexes }
      t.strictSame(steady(health), [{ Node: nodeRecord, Service: inService, Checks: [serf, check] }])

      const catalog = await it.ask('GET', 'catalog/service/web')
      t.strictSame(headersOf(catalog), blockingHeaders)
      t.strictSame(steady(catalog), [
        {
          ...node,
          NodeMeta: nodeMeta,
          ServiceKind: '',
          ServiceID: 'web-1',
          ServiceName: 'web',
          ServiceTags: ['b', 'a'],
          ServiceAddress: '10.0.0.1',
          ServiceTaggedAddresses: tagged,
          ServiceWeights: service.Weights,
          ServiceMeta: { version: '1' },
          ServicePort: 9101,
          ServiceEnableTagOverride: true,
          ServiceProxy: { MeshGateway: {}, Expose: {} },
          ServiceConnect: {},
          ...indexes,
        },
      ])

      const agent = await it.ask('GET', 'agent/services')
      t.strictSame(
        [agent.index, agent.headers.get('content-type')],
        [0, 'application/json'],
        'agent reads have no index',
      )
      t.strictSame(steady(agent), { 'web-1': service })
      t.strictSame(steady(await it.ask('GET', 'agent/checks')), { 'service:web-1': check })
      t.strictSame(steady(await it.ask('GET', 'health/checks/web')), [check])
      t.strictSame(steady(await it.ask('GET', 'health/node/n1')), [serf, check])
      t.strictSame(steady(await it.ask('GET', 'health/state/critical')), [check])
      t.strictSame(steady(await it.ask('GET', 'catalog/nodes')), [nodeRecord])
      t.strictSame(steady(await it.ask('GET', 'catalog/datacenters')), ['dc1'])
      const onNode = (await it.ask('GET', 'catalog/node/n1')).json<{ Services: Record<string, object> }>()
      t.match(onNode.Services['web-1'], { ...service })
      t.equal('consul' in onNode.Services, real, deviations.noConsulService[2])

      const services = (await it.ask('GET', 'catalog/services')).json<Record<string, string[]>>()
      t.strictSame(services['web']?.toSorted(), ['a', 'b'])
      if (!real) t.strictSame(services, { web: ['a', 'b'] }, deviations.tagsSorted[2])

      const own = await it.ask('GET', 'agent/service/web-1')
      const hash = own.headers.get('x-consul-contenthash')
      t.strictSame(own.json(), { ...service, ContentHash: hash })
      t.match(hash, /^[0-9a-f]{16}$/)

      const flags = ['stale=', 'consistent=', 'cached='] as const
      for (const flag of flags) t.equal((await it.ask('GET', `health/service/web?${flag}`)).status, 200, flag)
      const stale = await it.ask('GET', 'health/service/web?stale')
      t.equal(stale.headers.get('x-consul-effective-consistency'), 'stale')
      const narrowed = await it.ask('GET', 'health/service/web?tag=a&tag=b')
      t.equal(narrowed.json<unknown[]>().length, 1)
      for (const tag of ['zz', '']) t.strictSame((await it.ask('GET', `health/service/web?tag=${tag}`)).json(), [])
      t.strictSame((await it.ask('GET', 'health/service/web?passing')).json(), [], 'critical is not passing')
      t.match((await it.ask('GET', 'health/service/web?pretty')).text, /^\[\n {4}\{/, 'pretty')
    })

    await t.test('nothing there', async (t) => {
      const rows: [string, unknown][] = [
        ['health/service/nope', []],
        ['catalog/service/nope', []],
        ['health/checks/nope', []],
        ['health/node/nope', []],
        ['health/state/bogus', []],
        ['catalog/node/nope', null],
      ]
      for (const [path, body] of rows) {
        const answer = await it.ask('GET', path)
        t.strictSame([answer.status, answer.json()], [200, body], path)
        t.ok(answer.index >= 1, `${path}: an index`)
      }
    })

    await t.test('heartbeats', async (t) => {
      const statusOf = async (): Promise<string | undefined> => {
        const checks = (await it.ask('GET', 'health/checks/web')).json<{ Status: string; Output: string }[]>()
        return checks[0] && `${checks[0].Status}: ${checks[0].Output}`
      }
      t.equal((await it.ask('PUT', 'agent/check/pass/service:web-1?note=fine')).status, 200)
      await until(async () => (await statusOf()) === 'passing: fine')
      t.equal((await it.ask('GET', 'health/service/web?passing=true')).json<unknown[]>().length, 1)
      await it.ask('PUT', 'agent/check/warn/service:web-1')
      await until(async () => (await statusOf()) === 'warning: ')
      t.strictSame((await it.ask('GET', 'health/service/web?passing')).json(), [], 'a warning is not passing')
      const health = await it.ask('GET', 'agent/health/service/id/web-1')
      t.strictSame([health.status, health.headers.get('x-consul-reason')], [429, 'warning'])
      await it.ask('PUT', 'agent/check/fail/service:web-1?note=bad')
      await until(async () => (await statusOf()) === 'critical: bad')
      await it.ask('PUT', 'agent/check/update/service:web-1', { Status: 'passing', Output: 'told' })
      await until(async () => (await statusOf()) === 'passing: told')
      await it.ask('PUT', 'agent/service/register', registration)
      await until(async () => (await statusOf()) === 'passing: told')
      t.pass('registering again keeps the status')
    })

    await t.test('maintenance', async (t) => {
      t.equal((await it.ask('PUT', 'agent/service/maintenance/web-1?enable=true&reason=moving')).status, 200)
      const find = async (id: string): Promise<Record<string, unknown> | undefined> => {
        const all = (await it.ask('GET', 'health/node/n1')).json<Record<string, unknown>[]>()
        return all.find((one) => one['CheckID'] === id)
      }
      const own = await until(() => find('_service_maintenance:web-1'))
      t.match(own, { Name: 'Service Maintenance Mode', Status: 'critical', Notes: 'moving', Type: 'maintenance' })
      const health = await it.ask('GET', 'agent/health/service/name/web?format=text')
      t.strictSame([health.status, health.text], [503, 'maintenance'])
      await it.ask('PUT', 'agent/service/maintenance/web-1?enable=false')
      await until(async () => !(await find('_service_maintenance:web-1')))
      await it.ask('PUT', 'agent/maintenance?enable=true')
      const whole = await until(() => find('_node_maintenance'))
      t.match(whole['Notes'], /^Maintenance mode is enabled for this node, but no reason was provided/)
      t.strictSame((await it.ask('GET', 'health/service/web?passing')).json(), [], 'the node counts')
      await it.ask('PUT', 'agent/maintenance?enable=false')
      await until(async () => !(await find('_node_maintenance')))
      const good = await it.ask('GET', 'agent/health/service/id/web-1')
      t.strictSame([good.status, good.headers.get('x-consul-reason')], [200, 'passing'])
      const none = await it.ask('GET', 'agent/health/service/name/nope')
      t.strictSame(
        [none.status, none.headers.get('x-consul-reason'), none.json()],
        [404, 'ServiceName nope Not Found', []],
      )
    })

    await t.test('checks of a registration', async (t) => {
      const two = { Name: 'two', Port: 1, Checks: [{ TTL: '9s' }, { TTL: '9s', Name: 'second' }] }
      await it.ask('PUT', 'agent/service/register', two)
      const ids = async (): Promise<string[]> =>
        Object.keys((await it.ask('GET', 'agent/checks')).json<object>()).filter((id) => id.includes('two'))
      t.strictSame((await ids()).toSorted(), ['service:two:1', 'service:two:2'])
      await it.ask('PUT', 'agent/check/register', { Name: 'extra-two', TTL: '9s', ServiceID: 'two' })
      t.strictSame((await ids()).toSorted(), ['extra-two', 'service:two:1', 'service:two:2'])
      await it.ask('PUT', 'agent/service/register', { Name: 'two', Port: 1, Check: { CheckID: 'own-two', TTL: '9s' } })
      t.equal((await ids()).length, 4, 'earlier checks stay')
      await it.ask('PUT', 'agent/service/register?replace-existing-checks', {
        Name: 'two',
        Port: 1,
        Check: { CheckID: 'own-two', TTL: '9s' },
      })
      t.strictSame(await ids(), ['own-two'], 'unless they are replaced')
      await it.ask('PUT', 'agent/check/deregister/own-two')
      t.strictSame(await ids(), [])
      t.equal((await it.ask('PUT', 'agent/service/register', { Name: 'two', Check: null, Checks: null })).status, 200)
      await it.ask('PUT', 'agent/service/deregister/two')
      await settled(it, 'two', 0)
    })

    await t.test('keys', async (t) => {
      const missing = await it.ask('GET', 'kv/none')
      t.strictSame([missing.status, missing.text, missing.headers.get('content-type')], [404, '', null])
      t.ok(missing.index >= 1, 'a 404 has an index too: a client without one would ask again at once')
      t.strictSame((await it.ask('GET', 'kv/?keys')).json(), [], 'no keys at all')
      t.equal((await it.ask('GET', 'kv/zz?keys')).status, 404)
      t.equal((await it.ask('GET', 'kv/zz/?recurse=')).status, 404)
      t.strictSame((await it.ask('PUT', 'kv/a/b', 'hello')).json(), true)
      t.strictSame((await it.ask('PUT', 'kv/a/c/d?flags=18446744073709551615', 'hi <&>')).json(), true)
      t.strictSame((await it.ask('PUT', 'kv/e', '')).json(), true)
      const one = await it.ask('GET', 'kv/a/b')
      t.strictSame(steady(one), [{ LockIndex: 0, Key: 'a/b', Flags: 0, Value: 'aGVsbG8=', ...indexes }])
      t.equal(one.headers.get('x-consul-effective-consistency'), null)
      t.match((await it.ask('GET', 'kv/a/c/d')).text, /"Flags": ?18446744073709551615,/, 'flags are not rounded')
      t.match(steady(await it.ask('GET', 'kv/e')), [{ Value: null }])
      const under = (await it.ask('GET', 'kv/a?recurse')).json<{ Key: string }[]>()
      t.strictSame(
        under.map(({ Key }) => Key),
        ['a/b', 'a/c/d'],
      )
      t.strictSame((await it.ask('GET', 'kv/a/?keys')).json(), ['a/b', 'a/c/d'])
      t.strictSame((await it.ask('GET', 'kv/a/?keys&separator=/')).json(), ['a/b', 'a/c/'])
      t.strictSame((await it.ask('GET', 'kv/?keys&separator=/')).json(), ['a/', 'e'])
      const raw = await it.ask('GET', 'kv/a/b?raw')
      t.strictSame([raw.text, raw.headers.get('content-type')], ['hello', 'text/plain'])
      t.equal(raw.headers.get('content-security-policy'), 'sandbox')
      const current = String(one.json<{ ModifyIndex: number }[]>()[0]?.ModifyIndex)
      t.strictSame((await it.ask('PUT', 'kv/a/b?cas=0', 'x')).json(), false, 'it exists')
      t.strictSame((await it.ask('PUT', `kv/a/b?cas=${current}`, 'x')).json(), true)
      t.strictSame((await it.ask('PUT', `kv/a/b?cas=${current}`, 'y')).json(), false, 'it moved on')
      t.strictSame((await it.ask('PUT', 'kv/new?cas=0', 'x')).json(), true)
      t.strictSame((await it.ask('DELETE', 'kv/new?cas=1')).json(), false)
      t.strictSame((await it.ask('DELETE', 'kv/new')).json(), true)
      t.strictSame((await it.ask('DELETE', 'kv/new')).json(), true, 'twice')
      t.strictSame((await it.ask('PUT', 'kv/a%2Fslash%20x', 'x')).json(), true)
      t.equal((await it.ask('GET', 'kv/a/slash x?raw')).text, 'x', 'an escaped key is the key')
      t.strictSame((await it.ask('DELETE', 'kv/a?recurse')).json(), true)
      t.equal((await it.ask('GET', 'kv/a?recurse')).status, 404)
      const large = await it.ask('PUT', 'kv/large', 'x'.repeat(524_289))
      t.equal(large.status, 413)
      t.match(large.text, /^Request body\(524289 bytes\) too large, max size: 524288 bytes/)
      t.strictSame((await it.ask('PUT', 'kv/large', 'x'.repeat(524_288))).json(), true, 'one byte less is fine')
    })

    await t.test('transactions on keys', async (t) => {
      const b = (text: string): string => Buffer.from(text).toString('base64')
      const ask = async (operations: readonly object[]): Promise<unknown> => {
        const answer = await it.ask(
          'PUT',
          'txn',
          operations.map((KV) => ({ KV })),
        )
        const { Results, Errors, ...about } = JSON.parse(JSON.stringify(steady(answer))) as Record<string, unknown>
        return [answer.status, Results, Errors, Object.keys(about).length > 0]
      }
      const index = async (key: string): Promise<number> =>
        (await it.ask('GET', `kv/${key}`)).json<{ ModifyIndex: number }[]>()[0]?.ModifyIndex ?? 0
      const entry = (Key: string, Value: string | null = null): object => ({
        KV: { LockIndex: 0, Key, Flags: 0, Value, ...indexes },
      })
      const set = { Verb: 'set', Key: 't/a', Value: b('1') }
      t.strictSame(await ask([{ Verb: 'cas', Key: 't/h', Value: '', Index: 0 }, set]), [
        200,
        [entry('t/h'), entry('t/a')],
        null,
        false,
      ])
      const atOnce = await index('t/h')
      t.equal(await index('t/a'), atOnce, 'at one index')
      t.strictSame(
        await ask([
          { Verb: 'cas', Key: 't/a', Value: b('2'), Index: 1 },
          { Verb: 'set', Key: 't/never', Value: b('x') },
          { Verb: 'check-not-exists', Key: 't/h' },
        ]),
        [
          409,
          null,
          [
            { OpIndex: 0, What: 'failed to set key "t/a", index is stale' },
            { OpIndex: 2, What: 'key "t/h" exists' },
          ],
          false,
        ],
      )
      t.equal((await it.ask('GET', 'kv/t/never')).status, 404, 'all or none')
      t.equal(await index('t/a'), atOnce)
      t.strictSame(
        await ask([
          { Verb: 'set', Key: 't/b', Value: b('1') },
          { Verb: 'set', Key: 't/b', Value: b('2') },
          { Verb: 'get', Key: 't/b' },
          { Verb: 'delete', Key: 't/b' },
          { Verb: 'check-not-exists', Key: 't/b' },
        ]),
        [200, [entry('t/b'), entry('t/b'), entry('t/b', 'Mg==')], null, false],
        'a step sees those before it',
      )
      t.equal((await it.ask('GET', 'kv/t/b')).status, 404)
      const now = await index('t/a')
      t.strictSame(await ask([{ Verb: 'check-index', Key: 't/a', Index: now }]), [200, [entry('t/a')], null, true])
      t.strictSame(await ask([set]), [200, [entry('t/a')], null, false])
      t.equal(await index('t/a'), now, 'the same value moves no index')
      const refused: readonly [object, string, boolean][] = [
        [
          { Verb: 'check-index', Key: 't/a', Index: 3 },
          `failed index check for key "t/a", current modify index ${String(now)} != 3`,
          true,
        ],
        [{ Verb: 'check-index', Key: 't/no', Index: 3 }, 'failed to check index, key "t/no" doesn\'t exist', true],
        [{ Verb: 'get', Key: 't/no' }, 'key "t/no" doesn\'t exist', true],
        [{ Verb: 'bogus', Key: 't/no' }, 'unknown KV verb "bogus"', true],
        [{ Verb: 'cas', Key: 't/no', Value: b('1'), Index: 77 }, 'failed to set key "t/no", index is stale', false],
        [{ Verb: 'delete-cas', Key: 't/a', Index: 3 }, 'failed to delete key "t/a", index is stale', false],
        [{ Verb: 'set', Key: '', Value: b('1') }, 'Must provide key', false],
      ]
      for (const [operation, What, reads] of refused)
        t.strictSame(await ask([operation]), [409, null, [{ OpIndex: 0, What }], reads], What)
      t.strictSame(await ask([{ Verb: 'delete-cas', Key: 't/no', Index: 3 }]), [200, [], null, false])
      t.strictSame(await ask([{ Verb: 'get-tree', Key: 't/' }]), [
        200,
        [entry('t/a', 'MQ=='), entry('t/h')],
        null,
        true,
      ])
      t.strictSame(await ask([{ verb: 'set', key: 't/lower', value: b('1') }]), [200, [entry('t/lower')], null, false])
      t.strictSame(await ask([{ Verb: 'delete-tree', Key: 't/' }]), [200, [], null, false])
      t.equal((await it.ask('GET', 'kv/t/?recurse')).status, 404)
      t.strictSame(await ask([]), [200, [], null, true])
      const words: readonly [body: unknown, status: number, text: string][] = [
        ['', 400, 'Failed to parse body: EOF'],
        ['{', 400, 'Failed to parse body: unexpected EOF'],
        [{}, 400, 'Failed to parse body: json: cannot unmarshal object into Go value of type api.TxnOps'],
        [[{ Bogus: {} }], 400, 'Failed to parse body: json: unknown field "Bogus"'],
        [[{ KV: { ...set, Bogus: 3 } }], 400, 'Failed to parse body: json: unknown field "Bogus"'],
        [[{ KV: { ...set, Value: '%%%' } }], 400, 'Failed to parse body: illegal base64 data at input byte 0'],
        [Array.from({ length: 65 }, () => ({ KV: set })), 413, 'Transaction contains too many operations (65 > 64)'],
      ]
      for (const [body, status, text] of words) {
        const answer = await it.ask('PUT', 'txn', body)
        t.strictSame([answer.status, answer.text], [status, text], text)
      }
      t.equal((await it.ask('PUT', 'txn?dc=zz', [])).status, 500)
      t.equal((await it.ask('POST', 'txn', [])).status, 405)
    })

    await t.test('sessions and locks', async (t) => {
      const create = async (body: object): Promise<string> =>
        (await it.ask('PUT', 'session/create', body)).json<{ ID: string }>().ID
      const first = await create({ Name: 's1', TTL: '15s', LockDelay: '1s' })
      const shown = {
        ID: 'UUID',
        Name: 's1',
        Node: 'n1',
        LockDelay: 1_000_000_000,
        Behavior: 'release',
        TTL: '15s',
        NodeChecks: ['serfHealth'],
        ServiceChecks: null,
        ...indexes,
      }
      const info = await it.ask('GET', `session/info/${first}`)
      t.ok(info.index >= 1)
      t.strictSame(steady(info), [shown])
      t.strictSame(steady(await it.ask('GET', 'session/list')), [shown])
      t.strictSame(steady(await it.ask('GET', 'session/node/n1')), [shown])
      t.strictSame(steady(await it.ask('PUT', `session/renew/${first}`)), [shown])
      const second = await create({ Behavior: 'delete', LockDelay: '0s' })
      const held = async (): Promise<unknown> => steady(await it.ask('GET', 'kv/lock'))
      t.strictSame((await it.ask('PUT', `kv/lock?acquire=${first}`, 'one')).json(), true)
      t.match(await held(), [{ LockIndex: 1, Session: 'UUID', Value: 'b25l' }])
      t.strictSame((await it.ask('PUT', `kv/lock?acquire=${second}`, 'two')).json(), false, 'held by another')
      t.strictSame((await it.ask('PUT', `kv/lock?acquire=${first}`, 'one again')).json(), true, 'held by itself')
      t.match(await held(), [{ LockIndex: 1 }])
      t.strictSame((await it.ask('PUT', `kv/lock?release=${second}`, 'x')).json(), false)
      t.strictSame((await it.ask('PUT', `kv/lock?release=${first}`, 'free')).json(), true)
      t.notMatch(await held(), [{ Session: 'UUID' }])
      t.strictSame((await it.ask('PUT', `kv/lock?acquire=${first}`, 'one')).json(), true)
      await it.ask('PUT', 'kv/lock', 'plain')
      t.match(await held(), [{ LockIndex: real ? 0 : 2, Session: 'UUID' }], deviations.lockIndex[2])
      t.strictSame((await it.ask('PUT', `session/destroy/${first}`)).json(), true)
      t.strictSame((await it.ask('PUT', `session/destroy/${first}`)).json(), true, 'twice')
      t.notMatch(await held(), [{ Session: 'UUID' }])
      t.strictSame((await it.ask('PUT', `kv/lock?acquire=${second}`, 'two')).json(), false, 'the lock-delay')
      await until(async () => (await it.ask('PUT', `kv/lock?acquire=${second}`, 'two')).json())
      await it.ask('PUT', `session/destroy/${second}`)
      t.equal((await it.ask('GET', 'kv/lock')).status, 404, 'behaviour delete')
    })

    await t.test('a session ends with its check', async (t) => {
      await it.ask('PUT', 'agent/check/register', { Name: 'alive', TTL: '60s', Status: 'passing' })
      await until(async () => (await it.ask('GET', 'health/node/n1')).text.includes('"alive"'))
      const made = await it.ask('PUT', 'session/create', { Checks: ['serfHealth', 'alive'] })
      const id = made.json<{ ID: string }>().ID
      t.strictSame((await it.ask('PUT', `kv/guarded?acquire=${id}`, 'x')).json(), true)
      await it.ask('PUT', 'agent/check/fail/alive')
      await until(async () => (await it.ask('GET', `session/info/${id}`)).json<unknown[]>().length === 0)
      t.notMatch((await it.ask('GET', 'kv/guarded')).text, /Session/)
      const refused = await it.ask('PUT', 'session/create', { Checks: ['alive'] })
      t.strictSame([refused.status, refused.text], [500, "Check 'alive' is in critical state"])
      await it.ask('PUT', 'agent/check/deregister/alive')
    })

    await t.test('nodes registered from outside', async (t) => {
      const body = {
        Node: 'ext',
        Address: '10.1.1.1',
        NodeMeta: { rack: 'r1' },
        Service: { Service: 'far', Port: 80 },
        Checks: [
          {
            CheckID: 'q',
            Name: 'c',
            Status: 'passing',
            ServiceID: 'far',
            Definition: { HTTP: 'http://x', Interval: '5s' },
          },
        ],
      }
      t.strictSame((await it.ask('PUT', 'catalog/register', body)).json(), true)
      const seen = (await it.ask('GET', 'health/service/far')).json<
        { Node: object; Service: object; Checks: object[] }[]
      >()
      t.match(seen[0]?.Node, { ID: '', Node: 'ext', Address: '10.1.1.1', TaggedAddresses: null, Meta: { rack: 'r1' } })
      t.match(seen[0]?.Service, { ID: 'far', Service: 'far', Port: 80, Tags: [], Meta: null })
      t.match(seen[0]?.Checks, [{ CheckID: 'q', Status: 'passing', Type: 'http', Definition: { HTTP: 'http://x' } }])
      t.equal((await it.ask('GET', 'catalog/nodes?node-meta=rack:r1')).json<unknown[]>().length, 1)
      t.equal((await it.ask('GET', 'health/service/far?node-meta=rack:r2')).json<unknown[]>().length, 0)
      t.strictSame((await it.ask('GET', 'agent/services')).text.includes('far'), false, 'not the agent’s')
      await it.ask('PUT', 'catalog/deregister', { Node: 'ext', ServiceID: 'far' })
      t.match((await it.ask('GET', 'catalog/node/ext')).json(), { Services: {} })
      t.strictSame((await it.ask('PUT', 'catalog/deregister', { Node: 'ext' })).json(), true)
      t.strictSame((await it.ask('GET', 'catalog/node/ext')).json(), null)
      t.strictSame((await it.ask('PUT', 'catalog/deregister', { Node: 'nope' })).json(), true)
    })

    await t.test('whom one talks to', async (t) => {
      t.match((await it.ask('GET', 'status/leader')).json<string>(), /^127\.0\.0\.1:\d+$/)
      t.equal((await it.ask('GET', 'status/peers')).json<string[]>().length, 1)
      const self = (await it.ask('GET', 'agent/self')).json<object>()
      t.match(self, { Config: { Datacenter: 'dc1', NodeName: 'n1', Server: true, Version: '1.8.7' } })
      t.match(self, { Member: { Name: 'n1', Addr: '127.0.0.1', Status: 1 } })
      t.match((await it.ask('GET', 'agent/members')).json(), [{ Name: 'n1', Addr: '127.0.0.1' }])
    })

    await t.test('deviations', async (t) => {
      const status = async (method: string, path: string, body?: unknown): Promise<number> =>
        (await it.ask(method, path, body)).status
      t.equal(await status('GET', 'health/service/web?filter=Service.ID==x'), real ? 200 : 400, deviations.filter[2])
      const odd = await it.ask('PUT', 'agent/service/register', '{"Name" 5}')
      t.strictSame([odd.status, odd.text.startsWith('Request decode failed: ')], [400, true], deviations.decodeText[2])
      t.equal(await status('GET', 'query'), real ? 200 : 501, deviations.absentApi[2])
      const lock = { KV: { Verb: 'lock', Key: 'k', Session: '00000000-0000-0000-0000-000000000000' } }
      const locked = await it.ask('PUT', 'txn', [lock])
      t.strictSame([locked.status, /has no KV verb/.test(locked.text)], [409, !real], deviations.txn[2])
      const node = { Node: { Verb: 'get', Node: { Node: 'n1' } } }
      t.equal(await status('PUT', 'txn', [node]), real ? 200 : 400, deviations.txn[2])
      t.equal(await status('GET', 'agent/metrics'), real ? 200 : 501, deviations.absentApi[2])
      t.equal(await status('GET', 'agent/bogus'), real ? 404 : 501, deviations.absentAgent[2])
      t.equal(await status('GET', '/'), real ? 301 : 200, deviations.root[2])
      const kind = { Name: 'k', Kind: 'connect-proxy', Proxy: { DestinationServiceName: 'web' }, Port: 1 }
      t.equal(await status('PUT', 'agent/service/register', kind), real ? 200 : 400, deviations.connect[2])
      const large = { Name: 'l', Tags: ['x'.repeat(600_000)] }
      t.equal(await status('PUT', 'agent/service/register', large), real ? 200 : 413, deviations.bodyCap[2])
      const grpc = { Name: 'g', Check: { GRPC: '127.0.0.1:1', Interval: '60s' } }
      t.equal(await status('PUT', 'agent/service/register', grpc), real ? 200 : 400, deviations.checkTypes[2])
      await it.ask('PUT', 'agent/service/register', { Name: 'checkless' })
      await settled(it, 'checkless', 1)
      const states = (await it.ask('GET', 'health/state/any')).json<{ ServiceName: string; Status: string }[]>()
      const found = states.filter(({ ServiceName }) => ServiceName === 'checkless').map(({ Status }) => Status)
      t.strictSame(found, real ? [] : ['passing'], deviations.checkless[2])
      t.equal(await status('PUT', 'catalog/deregister', { Node: 'n1' }), real ? 200 : 400, deviations.ownNode[2])
    })
  })
}
