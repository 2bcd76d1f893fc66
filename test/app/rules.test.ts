/** Rules, route weights, fallbacks, redirects and explanations, through a whole proxy that reads them from its file. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ask, backend, configOf, type Got, portOf, proxyPort, quiet, rigApp } from '../fixtures/app.ts'
import { fairlead } from '../fixtures/command.ts'

interface Instance {
  readonly service: string
  readonly version: string
  readonly status?: 'critical'
}

interface Proxy {
  readonly port: number
  readonly admin: string
  get(path: string, headers?: Record<string, string>, method?: string): Promise<Got>
  explain(query: string): Promise<Record<string, unknown>>
  problems(): Promise<readonly { readonly code: string; readonly where: string; readonly message: string }[]>
}

/** Each instance answers with `SERVICE VERSION`. */
async function proxy(t: Test, instances: readonly Instance[], settings: string): Promise<Proxy> {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-rules-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const services = []
  for (const [index, { service, version, status }] of instances.entries())
    services.push({
      id: `${service}-${String(index)}`,
      name: service,
      address: '127.0.0.1',
      port: await backend(t, `${service} ${version}`),
      meta: { version },
      ...(status ? { checks: [{ status }] } : {}),
    })
  const file = join(folder, 'services.json')
  writeFileSync(file, JSON.stringify({ services }))
  const { app } = rigApp(t, configOf(`${quiet}catalog: { file: "${file}" }\n${settings}`))
  await app.start()
  const port = proxyPort(app)
  const admin = portOf(app.addresses().admin)
  const read = async (path: string): Promise<Record<string, unknown>> =>
    JSON.parse((await ask(admin, path)).body) as Record<string, unknown>
  return {
    port,
    admin: `127.0.0.1:${String(admin)}`,
    get: (path, headers = {}, method = 'GET') => ask(port, path, { headers, method }),
    explain: (query) => read(`/v1/explain?${query}`),
    problems: async () => (await read('/v1/problems'))['problems'] as Awaited<ReturnType<Proxy['problems']>>,
  }
}

const two: readonly Instance[] = [
  { service: 'shop', version: '1' },
  { service: 'shop', version: '2' },
]

t.test('the first rule that matches decides, before weights', async (t) => {
  const it = await proxy(
    t,
    [...two, { service: 'beta', version: '9' }],
    `
routes: [{ service: shop }]
services:
  shop:
    versions: { 1: 1, 2: 0 }
    rules:
      - { when: { header: { x-canary: always } }, version: 2 }
      - { when: { query: { beta: { present: true } }, method: GET }, service: beta }
      - { when: { cookie: { gone: "1" } }, answer: { status: 410, body: "gone\\n" } }
      - { when: { header: { x-old: { glob: "v*" } } }, redirect: { to: "/new$path", status: 302 } }
      - { when: { client: 127.0.0.0/8, header: { x-canary: { not: never } } }, version: 1 }
      - { when: { method: { not: GET } }, version: 2 }
`,
  )
  const body = async (path: string, headers?: Record<string, string>, method?: string): Promise<string> =>
    (await it.get(path, headers, method)).body
  t.equal(await body('/'), 'shop 1')
  t.equal(await body('/', { 'X-Canary': 'always' }), 'shop 2')
  t.equal(await body('/?beta', { 'X-Canary': 'always' }), 'shop 2', 'the first one')
  t.equal(await body('/?a=1&beta=0'), 'beta 9')
  t.equal(await body('/?beta', {}, 'DELETE'), 'shop 1', 'all of a rule must hold')
  t.equal(await body('/', { 'X-Canary': 'never' }, 'DELETE'), 'shop 2')
  t.match(await it.get('/', { cookie: 'a=b; gone=1' }), {
    status: 410,
    body: 'gone\n',
    headers: { 'content-type': 'text/plain; charset=utf-8', 'x-request-id': String, 'cache-control': 'no-store' },
  })
  t.match(await it.get('/a?b', { 'x-old': 'v1' }), { status: 302, headers: { location: '/new/a?b' }, body: '' })
})

t.test('a rule for a version that cannot answer: the weights, or nobody', async (t) => {
  const settings = (fallback: string): string => `
routes: [{ service: shop }]
services:
  shop:
    versions: { 1: 1 }
    fallback: ${fallback}
    rules: [{ when: { header: { v: "2" } }, version: 2 }, { when: { header: { v: "3" } }, version: 3 }]
`
  const instances: readonly Instance[] = [
    { service: 'shop', version: '1' },
    { service: 'shop', version: '2', status: 'critical' },
  ]
  const lenient = await proxy(t, instances, settings('others'))
  t.equal((await lenient.get('/', { v: '2' })).body, 'shop 1')
  t.equal((await lenient.get('/', { v: '3' })).body, 'shop 1')
  t.match(await lenient.problems(), [
    { code: 'no-such-version', where: 'service shop', message: /a rule sends requests to version 3/ },
  ])
  const strict = await proxy(t, instances, settings('none'))
  t.equal((await strict.get('/', { v: '2' })).status, 503)
  t.equal((await strict.get('/', { v: '3' })).status, 503)
  t.equal((await strict.get('/')).body, 'shop 1')
})

t.test('fallback none: the share of a version that is down is 503, and only its share', async (t) => {
  const settings = (fallback: string): string =>
    `routes: [{ service: shop }]\nservices: { shop: { versions: { 1: 50, 2: 50 }, fallback: ${fallback}, sticky: { header: x-user } } }\n`
  const instances: readonly Instance[] = [
    { service: 'shop', version: '1' },
    { service: 'shop', version: '2', status: 'critical' },
  ]
  const count = async (it: Proxy): Promise<number> => {
    let failed = 0
    for (let i = 0; i < 60; i++) if ((await it.get('/', { 'x-user': `u${String(i)}` })).status === 503) failed++
    return failed
  }
  t.equal(await count(await proxy(t, instances, settings('others'))), 0)
  const failed = await count(await proxy(t, instances, settings('none')))
  t.ok(failed > 15 && failed < 45, `${String(failed)} of 60`)
})

t.test('a route may have weights, rules and stickiness of its own', async (t) => {
  const it = await proxy(
    t,
    two,
    `
routes:
  - { path: /two, service: shop, versions: { 2: 1 }, rules: [] }
  - { path: /ruled, service: shop, rules: [{ when: { header: { a: b } }, version: 1 }] }
  - { service: shop }
services:
  shop:
    versions: { 1: 1, 2: 0 }
    sticky: { cookie: sid }
    rules: [{ when: { header: { c: d } }, version: 2 }]
`,
  )
  t.equal((await it.get('/two')).body, 'shop 2')
  t.equal((await it.get('/two', { c: 'e' })).body, 'shop 2')
  t.equal((await it.get('/ruled', { c: 'd' })).body, 'shop 1', "the service's rules are not the route's")
  t.equal((await it.get('/', { c: 'd' })).body, 'shop 2')
  t.match((await it.get('/')).headers['set-cookie'], [/^sid=[\w-]{22}; Path=\/; HttpOnly; SameSite=Lax$/])
  t.equal((await it.get('/', { c: 'd' })).headers['set-cookie'], undefined, 'a rule needs no cookie')
})

t.test('10 % of 20,000 requests is 10 %, by chance and by user', { timeout: 120_000 }, async (t) => {
  const n = 20_000
  const sigma = Math.sqrt(n * 0.1 * 0.9)
  for (const sticky of ['', ', sticky: { header: x-user }']) {
    const it = await proxy(
      t,
      two,
      `routes: [{ service: shop }]\nservices: { shop: { versions: { 1: 90, 2: 10 }${sticky} } }\n`,
    )
    const { Agent, request } = await import('node:http')
    const agent = new Agent({ keepAlive: true, maxSockets: 32 })
    let got = 0
    const one = (i: number): Promise<void> =>
      new Promise((resolve, reject) => {
        const req = request(
          { port: it.port, host: '127.0.0.1', agent, headers: { 'x-user': `u${String(i)}` } },
          (res) => {
            res.setEncoding('utf8')
            res.on('data', (text: string) => void (got += text.endsWith('2') ? 1 : 0))
            res.on('end', resolve)
          },
        )
        req.on('error', reject)
        req.end()
      })
    for (let i = 0; i < n; i += 500) await Promise.all(Array.from({ length: 500 }, (_, k) => one(i + k)))
    agent.destroy()
    t.ok(Math.abs(got - n * 0.1) <= 3 * sigma, `${String(got)} of ${String(n)}${sticky}`)
  }
})

t.test('redirects lead where they say, and nowhere else', async (t) => {
  const it = await proxy(
    t,
    two,
    `
routes:
  - { host: old.test, redirect: "https://new.test$path" }
  - { path: /a, redirect: { to: /b$path, status: 301 } }
  - { path: /evil, redirect: $path }
  - { path: /host, redirect: "https://$host/x" }
`,
  )
  const location = async (path: string, host: string): Promise<unknown> =>
    (await it.get(path, { host })).headers.location
  t.match(await it.get('/x/y?z=1', { host: 'old.test' }), {
    status: 308,
    headers: { location: 'https://new.test/x/y?z=1', 'content-length': '0' },
  })
  t.equal((await it.get('/a/c', { host: 'x' })).status, 301)
  t.equal(await location('/a/c?d', 'x'), '/b/c?d')
  t.equal(await location('/a', 'x'), '/b')
  for (const path of ['/evil//evil.test', '/evil/%2F/evil.test', '/evil', '/evil///'])
    t.notMatch(String(await location(path, 'x')), /^\/\/|^[^/]/, path)
  t.equal(await location('/host', 'h.test:8080'), 'https://h.test/x')
  t.equal((await it.get('/nothing', { host: 'x' })).status, 404)
})

t.test('explain runs what routes: the same version for the same user, with the reason', async (t) => {
  const it = await proxy(
    t,
    [...two, { service: 'shop', version: '2', status: 'critical' }],
    `
routes: [{ host: shop.test, path: /cart, service: shop }, { service: shop }]
services:
  shop:
    versions: { 1: 50, 2: 50 }
    sticky: { cookie: sid }
    rules: [{ when: { header: { x-canary: always } }, version: 2 }]
`,
  )
  for (let i = 0; i < 20; i++) {
    const cookie = `sid=user${String(i)}`
    const { body } = await it.get('/cart/1', { host: 'shop.test', cookie })
    const query = new URLSearchParams({ url: 'http://shop.test/cart/1', header: `Cookie: ${cookie}` })
    const said = await it.explain(query.toString())
    t.match(said['result'], new RegExp(`^It goes to ${body} by cookie sid, shop-`))
    t.match(said, { sticky: { by: 'cookie sid', key: `user${String(i)}`, isNew: false } })
  }
  const fresh = await it.explain('url=/cart')
  t.match(fresh, {
    result:
      /^It goes to shop, by the cookie sid that would be set: 1 50 %, 2 50 %\. For example, [\w-]{22} would lead to [12]\.$/,
    sticky: { isNew: true },
    versions: [
      { chosen: false, instance: { handle: /^shop-/, tie: null, why: 'no other is available' } },
      { chosen: false, instance: { handle: /^shop-/ } },
    ],
  })
  const shown = fairlead(['explain', '/cart', '--admin', it.admin])
  t.equal(await shown.exit, 0)
  t.match(shown.out(), /^Versions, tied to cookie sid \(it has none; one would be set\)\n {4}1: weight 50, 50 %\n/m)
  t.match(shown.out(), /^ {7}instance shop-[0-9a-f]+: no other is available$/m)
  const canary = await it.explain('url=/cart&header=X-Canary:%20always')
  t.match(canary, {
    result: /^It goes to shop 2 by rule 1, shop-/,
    rules: [{ matches: true, conditions: [{ text: "header x-canary is 'always'", holds: true }] }],
    origins: ['config:services.shop'],
    otherRoutes: 0,
  })
  t.match(canary['routes'], [
    { route: 'shop.test/cart', taken: false, why: 'its host is not that of a request without one' },
    { route: '/', taken: true },
  ])
  t.match(canary['versions'], [
    { version: '1', chosen: false, share: 0.5 },
    { version: '2', chosen: true, endpoints: [{ usable: Boolean }, { usable: Boolean }] },
  ])
  t.match(JSON.stringify(canary['versions']), 'the catalog says critical')
  t.match(await it.explain('url=/%2e%2e/x'), { result: /^It goes to|^No route|refused/ })
  t.match(await it.explain(`url=/&header=${encodeURIComponent('Content-Length: 1, 2')}`), {
    result: 'It is refused before it is routed: 400 (content-length).',
  })
  for (const [query, error] of [
    ['', /url is a URL/],
    ['url=/&url=/', /given twice/],
    ['url=/&methd=GET', /no such parameter/],
    ['url=/&client=x', /client is an IP address/],
    ['url=/&header=x', /header is a line/],
  ] as const)
    t.match(await it.explain(query), { error }, query)
  const command = fairlead(['explain', 'shop.test/cart', '-H', 'X-Canary: always', '--admin', it.admin])
  t.equal(await command.exit, 0)
  t.match(command.out(), /It goes to shop 2 by rule 1, shop-[0-9a-f]+\./)
  t.match(command.out(), /\* shop\.test\/cart to shop \(config:routes\[0\]\): it matches/)
})
