/** Canaries declared as Consul's own config entries, at a real agent. */
import t from 'tap'
import { ask, backend, configOf, portOf, proxyPort, quiet, rigApp } from '../fixtures/app.ts'
import { startConsulAgent } from '../fixtures/consul-agent.ts'
import { findConsul } from '../fixtures/install.ts'
import { until } from '../fixtures/until.ts'

const consul = await findConsul()

await t.test(
  'a real agent',
  { skip: consul.path === undefined ? consul.reason : false, timeout: 120_000 },
  async (t) => {
    const agent = await startConsulAgent()
    t.teardown(() => agent.stop())
    for (const version of ['1', '2']) {
      const Port = await backend(t, ({ url }, res) => res.end(url === '/inner/x' ? `${version} rewritten` : version))
      const instance = { ID: `shop-${version}`, Name: 'shop', Address: '127.0.0.1', Port, Meta: { version } }
      await agent.api('PUT', '/v1/agent/service/register', instance)
    }
    const write = (entry: object): Promise<unknown> => agent.api('PUT', '/v1/config', entry)
    const { app } = rigApp(
      t,
      configOf(`${quiet}\ncatalog: { consul: { address: "${agent.address}" } }\nroutes: [{ service: shop }]\n`),
    )
    await app.start()
    const port = proxyPort(app)
    const admin = portOf(app.addresses().admin)
    const get = async (path: string): Promise<string> => (await ask(admin, path)).body
    const weights = async (): Promise<unknown> => {
      const { policy } = JSON.parse(await get('/v1/services/shop')) as { policy: { versions: unknown } }
      return JSON.stringify(policy.versions)
    }
    const subset = (version: string): object => ({ Filter: `Service.Meta.version == ${version}` })
    const split = (one: number, two: number): object => ({
      Kind: 'service-splitter',
      Name: 'shop',
      Splits: [
        { Weight: one, ServiceSubset: 'v1' },
        { Weight: two, ServiceSubset: 'v2' },
      ],
    })
    const router = (http: object, rewrite = ''): object => ({
      Kind: 'service-router',
      Name: 'shop',
      Routes: [{ Match: { HTTP: http }, Destination: { ServiceSubset: 'v2', PrefixRewrite: rewrite } }],
    })
    await write({ Kind: 'service-defaults', Name: 'shop', Protocol: 'http' })
    await write({ Kind: 'service-resolver', Name: 'shop', Subsets: { v1: subset('1'), v2: subset('2') } })
    await write(split(100, 0))
    await until(async () => (await weights()) === '{"1":100,"2":0}')
    for (let i = 0; i < 10; i++) t.equal((await ask(port)).body, '1', 'the split holds')

    await write(router({ PathRegex: '/beta/.*' }))
    await until(async () => (await ask(port, '/beta/x')).body === '2')
    t.equal((await ask(port, '/other')).body, '1')
    t.match(await get('/v1/explain?url=/beta/x'), /config-entries\/service-router\/shop/)

    await write(router({ PathPrefix: '/outer' }, '/inner'))
    await until(async () => (await ask(port, '/outer/x')).body === '2 rewritten')
    t.equal((await ask(port, '/outermost/x')).body, '1', 'it ends on a segment boundary')

    await write(router({ PathRegex: '/beta/.*' }))
    await until(async () => (await ask(port, '/beta/x')).body === '2')
    await write(router({ PathRegex: '/[a-z]+' }))
    await until(async () => (await get('/v1/problems')).includes('config-entries/service-router/shop'))
    t.match(await get('/v1/problems'), /PathRegex is a regular expression.*its last good form stays in force/)
    t.equal((await ask(port, '/beta/x')).body, '2', 'the last good form')
    t.equal((await ask(port, '/abc')).body, '1')

    await write(split(0, 100))
    await until(async () => (await ask(port)).body === '2')

    const own = await fetch(`http://127.0.0.1:${String(admin)}/v1/services/shop/split`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ versions: { 1: 1, 2: 0 } }),
    })
    t.equal(own.status, 200)
    await until(async () => (await ask(port)).body === '1')
    t.match(await get('/v1/explain?url=/'), /kv:fairlead\/services\/shop.*config-entries\/service-splitter\/shop/)

    for (const kind of ['router', 'splitter']) await agent.api('DELETE', `/v1/config/service-${kind}/shop`)
    await until(async () => (await ask(port, '/beta/x')).body === '1')
    await until(async () => !(await get('/v1/problems')).includes('config-entries'))
  },
)

await t.test(
  'shares of other services and failover, at a real agent',
  { skip: consul.path === undefined ? consul.reason : false, timeout: 120_000 },
  async (t) => {
    const agent = await startConsulAgent()
    t.teardown(() => agent.stop())
    const register = (Name: string, Port: number, Address = '127.0.0.1'): Promise<unknown> =>
      agent.api('PUT', '/v1/agent/service/register', { ID: Name, Name, Address, Port })
    await register('shop', await backend(t, 'shop'))
    await register('spare', await backend(t, 'spare'))
    await register('dead', 1, '127.77.2.1')
    const write = (entry: object): Promise<unknown> => agent.api('PUT', '/v1/config', entry)
    for (const Name of ['mix', 'shop', 'spare', 'dead'])
      await write({ Kind: 'service-defaults', Name, Protocol: 'http' })
    const splits = (shop: number): object => ({
      Kind: 'service-splitter',
      Name: 'mix',
      Splits: [
        { Weight: shop, Service: 'shop' },
        { Weight: 100 - shop, Service: 'spare' },
      ],
    })
    await write(splits(100))
    await write({ Kind: 'service-resolver', Name: 'dead', Failover: { '*': { Service: 'spare' } } })
    const { app } = rigApp(
      t,
      configOf(
        `${quiet}\ncatalog: { consul: { address: "${agent.address}" } }\nroutes: [{ service: mix }, { path: /dead, service: dead }]\n`,
      ),
    )
    await app.start()
    const port = proxyPort(app)
    const admin = portOf(app.addresses().admin)
    await until(async () => (await ask(port)).body === 'shop')
    for (let i = 0; i < 10; i++) t.equal((await ask(port)).body, 'shop')
    await until(async () => (await ask(port, '/dead')).body === 'spare')
    for (let i = 0; i < 10; i++) t.equal((await ask(port, '/dead')).body, 'spare')
    await write(splits(0))
    await until(async () => (await ask(port)).body === 'spare')
    await write(splits(50))
    const seen = new Set<string>()
    await until(async () => seen.add((await ask(port)).body).size === 2)
    const { problems } = JSON.parse((await ask(admin, '/v1/problems')).body) as { problems: readonly unknown[] }
    t.same(problems, [], 'a service without instances that is split among others lacks nothing')
    const own = await fetch(`http://127.0.0.1:${String(admin)}/v1/services/mix/split`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ versions: { 1: 1 }, force: true, dryRun: true }),
    })
    t.match(await own.text(), /end the split among several services that is in force/)
    await agent.api('PUT', '/v1/agent/service/deregister/spare')
    await until(async () => (await ask(admin, '/v1/problems')).body.includes('a split sends requests to service spare'))
    for (let i = 0; i < 10; i++) t.equal((await ask(port)).body, 'shop', 'the other part has it all')
    t.equal((await ask(port, '/dead')).status, 503)
  },
)

await t.test(
  'a token that may not read entries of a service that is routed',
  { skip: consul.path === undefined ? consul.reason : false, timeout: 120_000 },
  async (t) => {
    const master = '11111111-1111-1111-1111-111111111111'
    const agent = await startConsulAgent({ aclToken: master })
    t.teardown(() => agent.stop())
    const api = (path: string, body: object): Promise<unknown> => agent.api('PUT', path, body, master)
    const rules =
      'service "shop" { policy = "read" } node_prefix "" { policy = "read" } key_prefix "" { policy = "read" }'
    const { ID } = (await api('/v1/acl/policy', { Name: 'some', Rules: rules })) as { ID: string }
    const { SecretID: token } = (await api('/v1/acl/token', { Policies: [{ ID }] })) as { SecretID: string }
    await api('/v1/agent/service/register', { Name: 'shop', Address: '127.0.0.1', Port: await backend(t, 'shop') })
    const { app } = rigApp(
      t,
      configOf(
        `${quiet}\ncatalog: { consul: { address: "${agent.address}", token: "${token}" } }\nroutes: [{ service: shop }, { path: /other, service: other }]\n`,
      ),
    )
    await app.start()
    const admin = portOf(app.addresses().admin)
    await until(async () => (await ask(admin, '/v1/problems')).body.includes('may not read config entries of other:'))
    t.equal((await ask(proxyPort(app))).body, 'shop')
  },
)
