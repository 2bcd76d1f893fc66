/** Several services behind one route, by fabio's tags and by `split` and `failover`, through a whole proxy. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ask, backend, configOf, type Got, portOf, proxyPort, quiet, rigApp } from '../fixtures/app.ts'
import { fairlead } from '../fixtures/command.ts'

interface Instance {
  readonly service: string
  readonly version?: string
  readonly tag?: string
  /** Nobody listens. */
  readonly dead?: boolean
}

interface Proxy {
  readonly admin: string
  get(path: string, headers?: Record<string, string>, method?: string): Promise<Got>
  read<T>(path: string): Promise<T>
  /** Bodies of so many answers, each once. */
  bodies(count: number, path?: string): Promise<readonly string[]>
}

/** Each instance answers with its service, version and what it was asked for. */
async function proxy(t: Test, instances: readonly Instance[], settings = ''): Promise<Proxy> {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-shared-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const services = []
  for (const [index, { service, version = '', tag, dead = false }] of instances.entries()) {
    const port = dead ? 1 : await backend(t, ({ url }, res) => res.end(`${service}${version} ${String(url)}`))
    services.push({
      id: `${service}-${String(index)}`,
      name: service,
      address: dead ? `127.77.1.${String(index + 1)}` : '127.0.0.1',
      port,
      meta: { version },
      tags: tag === undefined ? [] : [tag],
    })
  }
  const file = join(folder, 'services.json')
  writeFileSync(file, JSON.stringify({ services }))
  const { app } = rigApp(t, configOf(`${quiet}catalog: { file: "${file}" }\n${settings}`))
  await app.start()
  const port = proxyPort(app)
  const admin = portOf(app.addresses().admin)
  const get: Proxy['get'] = (path, headers = {}, method = 'GET') => ask(port, path, { headers, method })
  return {
    admin: `127.0.0.1:${String(admin)}`,
    get,
    read: async <T>(path: string) => JSON.parse((await ask(admin, path)).body) as T,
    bodies: async (count, path = '/x') => {
      const seen = new Set<string>()
      for (let i = 0; i < count; i++) seen.add((await get(path)).body)
      return [...seen].sort()
    },
  }
}

interface Explained {
  readonly result: string
  readonly versions: readonly { readonly service: string; readonly version: string; readonly share: number }[]
}

interface Table {
  readonly routes: readonly { readonly service: string; readonly split?: readonly Record<string, unknown>[] }[]
}

interface Problems {
  readonly problems: readonly { readonly code: string; readonly message: string; readonly notice?: boolean }[]
}

t.test("fabio's tags: one route for all, each target with its own options", async (t) => {
  const it = await proxy(t, [
    { service: 'a', version: '1', tag: 'urlprefix-/x strip=/x' },
    { service: 'a', version: '1', tag: 'urlprefix-/x strip=/x' },
    { service: 'b', version: '2', tag: 'urlprefix-/x' },
  ])
  t.same(await it.bodies(60), ['a1 /', 'b2 /x'])
  const { versions, result } = await it.read<Explained>('/v1/explain?url=/x')
  const shares = versions.map(({ service, version, share }) => `${service} ${version} ${share.toFixed(3)}`)
  t.same(shares, ['a 1 0.667', 'b 2 0.333'])
  t.equal(result, 'It goes to a or b, by chance to a 1 66.7 %, b 2 33.3 %.')
  const { routes } = await it.read<Table>('/v1/table')
  t.match(routes, [
    {
      service: 'a',
      split: [
        { service: 'a', options: { strip: '/x' } },
        { service: 'b', version: null },
      ],
    },
  ])
  const status = fairlead(['status', 'b', '--admin', it.admin])
  t.equal(await status.exit, 0)
  t.match(status.out(), /\/x/, 'the place is among the routes of both')
  const told = await it.read<Problems>('/v1/problems')
  t.match(told.problems, [{ code: 'place-shared', notice: true }])
  const explain = fairlead(['explain', 'http://h/x', '--admin', it.admin])
  t.equal(await explain.exit, 0)
  t.match(explain.out(), /b 2: weight 1, 33\.3 %/)
})

t.test(
  'a service whose only instance is dead costs nothing: another of the place takes the request, as its own',
  async (t) => {
    const it = await proxy(t, [
      { service: 'a', tag: 'urlprefix-/x strip=/x', dead: true },
      { service: 'b', tag: 'urlprefix-/x prepend=/b' },
    ])
    for (let i = 0; i < 12; i++) {
      const { status, body } = await it.get('/x/y', {}, i % 2 === 0 ? 'GET' : 'POST')
      t.same([status, body], [200, 'b /b/x/y'])
    }
    const { services } = await it.read<{ services: readonly { name: string; inFlight: number }[] }>('/v1/table')
    t.same(
      services.map(({ name, inFlight }) => [name, inFlight]),
      [
        ['a', 0],
        ['b', 0],
      ],
      'each is counted off where it was',
    )
  },
)

t.test('whom a service does not admit goes to the others, and is refused where none is left', async (t) => {
  const it = await proxy(t, [
    { service: 'a', tag: 'urlprefix-/x deny=ip:127.0.0.0/8' },
    { service: 'b', tag: 'urlprefix-/x', dead: true },
    { service: 'c', tag: 'urlprefix-/x' },
    { service: 'd', tag: 'urlprefix-/y deny=ip:127.0.0.0/8' },
    { service: 'e', tag: 'urlprefix-/y allow=ip:10.0.0.0/8' },
  ])
  t.same(await it.bodies(20), ['c /x'], 'not even where the one it would go to is dead')
  t.equal((await it.get('/y')).status, 403)
})

t.test('split: services and versions, with stickiness', async (t) => {
  const it = await proxy(
    t,
    [
      { service: 'shop', version: '1' },
      { service: 'shop', version: '2' },
      { service: 'next', version: '3' },
    ],
    `routes:
  - path: /
    service: shop
  - path: /none
    service: shop
    versions: { 1: 1 }
services:
  shop:
    sticky: { header: x-user }
    split: [{ version: 1, weight: 50 }, { version: 2, weight: 0 }, { service: next, weight: 50 }]
`,
  )
  const seen = new Set<string>()
  for (let user = 0; user < 40; user++) {
    const headers = { 'x-user': `u${String(user)}` }
    const bodies = [(await it.get('/', headers)).body, (await it.get('/', headers)).body]
    t.equal(bodies[0], bodies[1], 'a user stays')
    seen.add(bodies[0] ?? '')
    const { result } = await it.read<Explained>(`/v1/explain?url=/&header=x-user:%20u${String(user)}`)
    t.match(
      result,
      bodies[0] === 'shop1 /' ? 'It goes to shop 1 by header x-user' : 'It goes to next 3 by header x-user',
    )
  }
  t.same([...seen].sort(), ['next3 /', 'shop1 /'])
  t.same(await it.bodies(10, '/none'), ['shop1 /none'], 'a route with weights of its own has no split')
})

t.test('failover: the next that can answer, and a problem where it is not there', async (t) => {
  const it = await proxy(
    t,
    [
      { service: 'shop', dead: true },
      { service: 'spare', version: '1' },
      { service: 'spare', version: '2' },
    ],
    `routes: [{ service: shop }]
services: { shop: { failover: [gone, { service: spare, version: 2 }] } }
`,
  )
  t.same(await it.bodies(10), ['spare2 /x'])
  t.match((await it.read<Explained>('/v1/explain?url=/x')).result, /^It goes to spare 2 by failover, spare-/)
  const { problems } = await it.read<Problems>('/v1/problems')
  t.match(problems, [{ code: 'no-such-service', message: /fail over to service gone, of which no instance/ }])
})

t.test('a rule that leads to the service itself goes by its split, one to a version of it does not', async (t) => {
  const it = await proxy(
    t,
    [
      { service: 'shop', version: '1' },
      { service: 'next', version: '3' },
    ],
    `routes: [{ service: shop }]
services:
  shop:
    split: [{ service: next, weight: 1 }]
    rules:
      - { when: { path: /own }, version: 1 }
      - { when: { path: /split }, service: shop }
`,
  )
  t.same(await it.bodies(5, '/own'), ['shop1 /own'])
  t.same(await it.bodies(5, '/split'), ['next3 /split'])
  t.same(await it.bodies(5, '/else'), ['next3 /else'])
})
