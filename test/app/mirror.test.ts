/** Mirroring through a whole proxy: from its file and from Consul's KV, told by the API, the metrics and the command line. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ask, backend, configOf, portOf, proxyPort, quiet, rigApp } from '../fixtures/app.ts'
import { entrants } from '../fixtures/catalog-speaker.ts'
import { fairlead } from '../fixtures/command.ts'
import { until } from '../fixtures/until.ts'

type Json = Readonly<Record<string, unknown>>

interface Instance {
  readonly id: string
  readonly version: string
  readonly port: number
  /** What it was asked. */
  readonly asked: IncomingMessage[]
}

/** Two versions of `shop`; the second answers 500 below /broken, and never below /slow. */
async function shop(t: Test): Promise<readonly [Instance, Instance]> {
  const make = async (version: string): Promise<Instance> => {
    const asked: IncomingMessage[] = []
    const port = await backend(t, (req, res) => {
      asked.push(req)
      if (version === '2' && req.url?.startsWith('/slow')) return
      res.statusCode = version === '2' && req.url?.startsWith('/broken') ? 500 : 200
      res.end(`shop ${version}`)
    })
    return { id: `shop-${version}`, version, port, asked }
  }
  return [await make('1'), await make('2')]
}

interface Proxy {
  readonly port: number
  readonly admin: number
  read(path: string): Promise<Json>
  /** What was mirrored to version 2, as the API tells it; null: nothing. */
  mirrored(): Promise<Json | null>
}

async function proxyOf(t: Test, settings: string): Promise<Proxy> {
  const { app } = rigApp(t, configOf(quiet + settings))
  await app.start()
  const admin = portOf(app.addresses().admin)
  const read = async (path: string): Promise<Json> => JSON.parse((await ask(admin, path)).body) as Json
  return {
    port: proxyPort(app),
    admin,
    read,
    mirrored: async () => {
      const { versions } = await read('/v1/services/shop')
      return (versions as readonly Json[]).find(({ version }) => version === '2')?.['mirrored'] as Json | null
    },
  }
}

async function fromFile(t: Test, instances: readonly Instance[], settings: string): Promise<Proxy> {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-mirror-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'services.json')
  const services = instances.map(({ id, version, port }) => ({
    id,
    name: 'shop',
    address: '127.0.0.1',
    port,
    meta: { version },
  }))
  writeFileSync(file, JSON.stringify({ services }))
  return await proxyOf(t, `catalog: { file: "${file}" }\n${settings}`)
}

t.test('clients get the one version, the other is asked too, compared and told', async (t) => {
  const [one, two] = await shop(t)
  const it = await fromFile(
    t,
    [one, two],
    `
routes: [{ service: shop }, { path: /own, service: shop, mirror: off }]
services: { shop: { versions: { 1: 1 }, mirror: { version: 2, timeout: 10s } } }
`,
  )
  t.equal(await it.mirrored(), null)
  for (const path of ['/', '/broken', '/slow', '/own', '/own/x'])
    t.match(await ask(it.port, path), { status: 200, body: 'shop 1' }, path)
  t.match(await ask(it.port, '/', { method: 'POST' }), { status: 200, body: 'shop 1' })
  await until(async () => {
    const view = await it.mirrored()
    const { same = 0, different = 0 } = (view?.['outcomes'] ?? {}) as Readonly<Record<string, number>>
    return same + different === 2
  })
  t.strictSame(
    two.asked.map(({ url, headers }) => [url, headers['fairlead-mirror']]),
    [
      ['/', '1'],
      ['/broken', '1'],
      ['/slow', '1'],
    ],
  )
  t.ok(one.asked.every(({ headers }) => headers['fairlead-mirror'] === undefined))
  t.equal(one.asked.length, 6)
  t.match(await it.mirrored(), {
    inFlight: 1,
    outcomes: { same: 1, different: 1 },
    failures: {},
    compared: [
      { client: '2xx', mirror: '2xx', requests: 1 },
      { client: '2xx', mirror: '5xx', requests: 1 },
    ],
    meanDifferenceMs: Number,
  })
  const service = await it.read('/v1/services/shop')
  t.match(service['policy'], { mirror: { version: '2', share: 1, timeoutMs: 10_000, concurrency: 64 } })
  t.match((await it.read('/v1/table'))['routes'], [{ path: '/own', mirror: null }, { path: '/' }])
  const metrics = (await ask(it.admin, '/metrics')).body
  const labels = 'service="shop",version="2"'
  t.match(metrics, `fairlead_mirrored_requests_total{${labels},outcome="different"} 1\n`)
  t.match(metrics, `fairlead_mirror_compared_total{${labels},client="2xx",mirror="5xx"} 1\n`)
  t.match(metrics, `fairlead_mirror_latency_difference_seconds_count{${labels}} 2\n`)
  t.notMatch(metrics, `fairlead_requests_total{${labels}`)
  t.notMatch(metrics, `fairlead_attempts_total{${labels}`)
})

t.test('explain says where it goes as well, and why not', async (t) => {
  const [one, two] = await shop(t)
  const it = await fromFile(
    t,
    [one, two],
    `
routes: [{ service: shop }, { path: /none, service: shop, mirror: off }, { path: /3, service: shop, mirror: { version: 3 } }]
services:
  shop:
    versions: { 1: 1 }
    mirror: { version: 2, share: 10% }
    rules: [{ when: { header: { x-canary: always } }, version: 2 }, { when: { header: { x-other: "1" } }, service: other }]
`,
  )
  const cases: readonly (readonly [query: string, applies: boolean, why: string])[] = [
    ['url=/', true, 'by chance, unless it goes to this version already'],
    ['url=/&method=POST', false, 'POST is not mirrored'],
    ['url=/&header=X-HTTP-Method-Override:%20POST', false, 'a request whose method is overridden is not mirrored'],
    ['url=/&header=Content-Length:%201', false, 'a request with a body is not mirrored'],
    ['url=/&header=Fairlead-Mirror:%201', false, 'it is mirrored already: it has Fairlead-Mirror'],
    ['url=/&header=X-Canary:%20always', false, 'it goes to this version already'],
    ['url=/&header=X-Other:%201', false, 'a rule sends it to another service'],
  ]
  for (const [query, applies, why] of cases)
    t.match(await it.read(`/v1/explain?${query}`), { mirror: { version: '2', share: 0.1, applies, why } }, query)
  t.match(await it.read('/v1/explain?url=/none'), { mirror: null })
  t.match(await it.read('/v1/explain?url=/3'), { mirror: { version: '3', why: 'no instance of it is registered' } })
  const { problems } = await it.read('/v1/problems')
  t.match(problems, [
    { code: 'no-such-service' },
    { code: 'no-such-version', where: 'config:routes[2]', message: /^requests are mirrored to version 3, of which no/ },
  ])
  const admin = `127.0.0.1:${String(it.admin)}`
  const command = fairlead(['explain', '/', '--admin', admin])
  t.equal(await command.exit, 0)
  t.match(command.out(), /\nMirrored to 2: 10 ?%, by chance, unless it goes to this version already\n/)
})

for (const entrant of await entrants())
  t.test(`from the KV, and back: ${entrant.kind}`, { skip: entrant.absent ?? false, timeout: 60_000 }, async (t) => {
    const speaker = await entrant.start()
    t.teardown(() => speaker.stop())
    const [one, two] = await shop(t)
    for (const { id, port, version } of [one, two])
      await speaker.ask('PUT', 'agent/service/register', {
        ID: id,
        Name: 'shop',
        Address: '127.0.0.1',
        Port: port,
        Meta: { version },
      })
    const it = await proxyOf(
      t,
      `catalog: { consul: { address: "${speaker.address}" } }
routes: [{ service: shop }]
services: { shop: { versions: { 1: 1 } } }
`,
    )
    await until(async () => (await ask(it.port)).status === 200)
    const inForce = async (): Promise<unknown> => ((await it.read('/v1/services/shop'))['policy'] as Json)['mirror']
    const write = async (revision: number, mirror: unknown): Promise<void> => {
      const at = '2026-11-26T07:00:00Z'
      const document = { revision, by: 'alice', at, reason: '', settings: { mirror } }
      await speaker.ask('PUT', 'kv/fairlead/services/shop', document)
    }
    t.equal(await inForce(), null)
    await write(1, { version: '2' })
    await until(async () => (await inForce()) !== null)
    t.equal((await ask(it.port, '/kv')).body, 'shop 1')
    await until(() => two.asked.some(({ url }) => url === '/kv'))
    await write(2, { version: '2', share: '0%' })
    await until(async () => JSON.stringify(await it.read('/v1/problems')).includes('write mirror: off'))
    t.match(await inForce(), { version: '2' }, 'the last good one stays')
    await write(3, 'off')
    await until(async () => (await inForce()) === null)
    const before = two.asked.length
    for (let i = 0; i < 3; i++) t.equal((await ask(it.port, '/after')).body, 'shop 1')
    t.equal(two.asked.length, before)
  })
