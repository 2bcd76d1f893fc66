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
