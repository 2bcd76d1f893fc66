/** Balancing by hash, affinity and zones, through a whole proxy in front of real servers. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ask, backend, configOf, type Got, portOf, proxyPort, quiet, rigApp } from '../fixtures/app.ts'
import { fairlead } from '../fixtures/command.ts'
import { Tie } from '../../src/proxy/tie.ts'
import { defaultServicePolicy } from '../../src/policy/policy.ts'
import { boundEndpoint, boundGroup } from '../fixtures/tables.ts'
import { until } from '../fixtures/until.ts'

interface Instance {
  readonly name: string
  readonly service?: string
  readonly version?: string
  readonly zone?: string
}

interface Proxy {
  readonly admin: string
  get(headers?: Record<string, string>, path?: string): Promise<Got>
  explain(query: string): Promise<Record<string, unknown>>
  /** Registers only these, on the ports they had. */
  register(names: readonly string[]): void
  operate(verb: 'drain' | 'eject' | 'restore', name: string): Promise<number | string>
}

async function proxy(t: Test, instances: readonly Instance[], settings: string): Promise<Proxy> {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-affinity-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const services: { readonly id: string; readonly name: string; readonly port: number; readonly meta: object }[] = []
  for (const { name, service = 'shop', version = '1', zone } of instances)
    services.push({
      id: name,
      name: service,
      port: await backend(t, name),
      meta: { version, ...(zone === undefined ? {} : { zone }) },
    })
  const file = join(folder, 'services.json')
  const register = (names: readonly string[]): void => {
    const some = services.filter(({ id }) => names.includes(id)).map((one) => ({ ...one, address: '127.0.0.1' }))
    writeFileSync(file, JSON.stringify({ services: some }))
  }
  register(instances.map(({ name }) => name))
  const { app } = rigApp(t, configOf(`${quiet}catalog: { file: "${file}" }\n${settings}`))
  await app.start()
  const admin = `127.0.0.1:${String(portOf(app.addresses().admin))}`
  const read = async (path: string): Promise<Record<string, unknown>> =>
    JSON.parse((await ask(portOf(admin), path)).body) as Record<string, unknown>
  return {
    admin,
    register,
    get: (headers = {}, path = '/') => ask(proxyPort(app), path, { headers }),
    explain: (query) => read(`/v1/explain?${query}`),
    operate: async (verb, name) => {
      const found = /"handle":"([^"]+)","id":"NAME"/.source.replace('NAME', name)
      const text = (await ask(portOf(admin), '/v1/services/shop')).body.replace(/\s/g, '')
      const handle = new RegExp(found).exec(text)?.[1] ?? ''
      return await fairlead([verb, handle, '--yes', '--admin', admin]).exit
    },
  }
}

const three: readonly Instance[] = [{ name: 'a' }, { name: 'b' }, { name: 'c' }]
const withAffinity = 'routes: [{ service: shop }]\nservices: { shop: { affinity: { cookie: fairlead-i } } }\n'

/** The cookie that an answer sets, as a client sends it. */
function cookieOf({ headers }: Got): string {
  return headers['set-cookie']?.[0]?.split(';')[0] ?? ''
}

t.test('affinity: one instance, by a cookie that tells no address', async (t) => {
  const it = await proxy(t, three, withAffinity)
  const first = await it.get()
  t.match(first.headers['set-cookie'], [/^fairlead-i=[0-9a-f]{24}; Path=\/; HttpOnly; SameSite=Lax$/])
  const cookie = cookieOf(first)
  for (let i = 0; i < 20; i++) {
    const { body, headers } = await it.get({ cookie: `x=y; ${cookie}` })
    t.equal(body, first.body)
    t.equal(headers['set-cookie'], undefined, 'set once')
  }
  const bodies = new Set<string>()
  for (let i = 0; i < 60; i++) bodies.add((await it.get({ cookie: 'fairlead-i=zzz' })).body)
  t.equal(bodies.size, 3, 'what names nobody ties to nobody')
  const said = await it.explain(`url=/&header=${encodeURIComponent(`Cookie: ${cookie}`)}`)
  t.match(said, { result: /by cookie fairlead-i\.$/, instance: { by: 'cookie fairlead-i' } })
  const unsaid = {
    handle: null,
    tie: null,
    why: 'no cookie fairlead-i names one of them; least-request, which goes by chance among 3',
  }
  t.match(await it.explain('url=/'), { instance: null, versions: [{ instance: unsaid }] })
  const again = await proxy(t, [], withAffinity)
  t.equal((await again.get({ cookie })).status, 503)
})

t.test(
  'affinity gives way to an instance that is drained, ejected or gone, and the next one sets its own',
  async (t) => {
    const it = await proxy(t, three, withAffinity)
    let got = await it.get()
    for (const verb of ['drain', 'eject'] as const) {
      const [cookie, before] = [cookieOf(got), got.body]
      t.equal(await it.operate(verb, before), 0, verb)
      got = await it.get({ cookie })
      t.not(got.body, before, verb)
      t.not(cookieOf(got), '', 'a new cookie')
      t.equal((await it.get({ cookie: cookieOf(got) })).body, got.body)
      t.equal(await it.operate('restore', before), 0)
      t.equal((await it.get({ cookie })).body, before, 'and it is the same again afterwards')
    }
    const [cookie, before] = [cookieOf(got), got.body]
    it.register(['a', 'b', 'c'].filter((name) => name !== before))
    await until(async () => (await it.get({ cookie })).body !== before)
    t.not(cookieOf(await it.get({ cookie })), '')
  },
)

t.test('a dead instance: the one that answers instead is the one that the cookie names', async (t) => {
  let kill = ''
  const port = await backend(t, (req, res) => (kill === 'x' ? req.socket.destroy() : res.end('x')))
  const other = await backend(t, 'y')
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-affinity-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'services.json')
  const services = [port, other].map((each, i) => ({ id: String(i), name: 'shop', address: '127.0.0.1', port: each }))
  writeFileSync(file, JSON.stringify({ services }))
  const { app } = rigApp(t, configOf(`${quiet}catalog: { file: "${file}" }\n${withAffinity}`))
  await app.start()
  const get = (headers: Record<string, string> = {}): Promise<Got> => ask(proxyPort(app), '/', { headers })
  let first = await get()
  while (first.body !== 'x') first = await get()
  kill = 'x'
  const second = await get({ cookie: cookieOf(first) })
  t.equal(second.body, 'y')
  kill = ''
  t.equal((await get({ cookie: cookieOf(second) })).body, 'y')
})

t.test('the version comes first, and services that share a cookie keep each its instance', async (t) => {
  const it = await proxy(
    t,
    [...three, { name: 'n', version: '2' }, { name: 'p', service: 'pay' }, { name: 'q', service: 'pay' }],
    `
routes: [{ service: shop }, { path: /pay, service: pay }]
defaults: { affinity: { cookie: fairlead-i, maxAge: 1h } }
services: { shop: { versions: { 1: 1 }, rules: [{ when: { header: { v: "2" } }, version: 2 }] } }
`,
  )
  const shop = await it.get()
  t.match(shop.headers['set-cookie'], [/; Max-Age=3600$/])
  t.equal((await it.get({ cookie: cookieOf(shop), v: '2' })).body, 'n')
  const pay = await it.get({ cookie: cookieOf(shop) }, '/pay')
  t.match(cookieOf(pay), /^fairlead-i=[0-9a-f]{24}\.[0-9a-f]{24}$/)
  for (let i = 0; i < 10; i++) {
    t.equal((await it.get({ cookie: cookieOf(pay) })).body, shop.body)
    t.equal((await it.get({ cookie: cookieOf(pay) }, '/pay')).body, pay.body)
  }
})

t.test(
  'hash by header, cookie and address; a retry goes to the next of the key; no key is least-request',
  async (t) => {
    for (const [kind, headers] of [
      ['header: x-user', (key: string) => ({ 'x-user': key })],
      ['cookie: sid', (key: string) => ({ cookie: `sid=${key}` })],
    ] as const) {
      const it = await proxy(
        t,
        three,
        `routes: [{ service: shop }]\nservices: { shop: { balance: hash, hash: { ${kind} } } }\n`,
      )
      const places = new Map<string, string>()
      for (let i = 0; i < 40; i++) places.set(`u${i}`, (await it.get(headers(`u${i}`))).body)
      t.equal(new Set(places.values()).size, 3, kind)
      for (const [key, body] of places) t.equal((await it.get(headers(key))).body, body)
      const none = new Set<string>()
      for (let i = 0; i < 60; i++) none.add((await it.get()).body)
      t.equal(none.size, 3, 'without a key')
      t.equal(await it.operate('eject', 'a'), 0)
      for (const [key, body] of places) {
        const now = (await it.get(headers(key))).body
        t.ok(body === 'a' ? now !== 'a' : now === body, `${key} from ${body} to ${now}`)
      }
    }
    const it = await proxy(t, three, 'routes: [{ service: shop }]\nservices: { shop: { balance: hash } }\n')
    const { body } = await it.get()
    for (let i = 0; i < 10; i++) t.equal((await it.get()).body, body, 'the client address')
    t.match(await it.explain('url=/'), { result: /by client address\.$/, instance: { by: 'client address' } })
    const split: readonly Instance[] = ['1', '1', '2', '2'].map((version, at) => ({ name: `v${String(at)}`, version }))
    const hashed = await proxy(
      t,
      split,
      'routes: [{ service: shop }]\nservices: { shop: { balance: hash, hash: { header: x-user } } }\n',
    )
    const tied = await hashed.explain('url=/&header=X-User:%20u1')
    const each = { handle: /^shop-/, tie: { by: 'header x-user', key: 'u1' }, why: /^the hash of its header x-user/ }
    t.match(tied, {
      result: /by chance to 1 50 %, 2 50 %\.$/,
      instance: null,
      versions: [{ instance: each }, { instance: each }],
    })
    const keyless = {
      handle: null,
      why: 'the request has no header x-user; least-request, which goes by chance among 2',
    }
    t.match(await hashed.explain('url=/'), { versions: [{ instance: keyless }, { instance: keyless }] })
  },
)

t.test('zones: the own one first, until it has nobody', async (t) => {
  const instances: readonly Instance[] = [{ name: 'a', zone: 'east' }, { name: 'b', zone: 'west' }, { name: 'c' }]
  const it = await proxy(t, instances, 'zone: west\nroutes: [{ service: shop }]\n')
  for (let i = 0; i < 20; i++) t.equal((await it.get()).body, 'b')
  t.equal(await it.operate('drain', 'b'), 0)
  const rest = new Set<string>()
  for (let i = 0; i < 40; i++) rest.add((await it.get()).body)
  t.same([...rest].sort(), ['a', 'c'])
})

t.test('a cookie of many tokens costs no more than ours can have', async (t) => {
  const policy = { ...defaultServicePolicy, affinity: { cookie: 'a', maxAgeSeconds: 0 } }
  const token = (i: number): string => i.toString(16).padStart(24, '0')
  const endpoints = [boundEndpoint('x')].map((one) => ({ ...one, token: token(500) }))
  const group = boundGroup('1', 1, endpoints)
  const values = (from: number): string => Array.from({ length: 10 }, (_, i) => token(from + i)).join('.')
  const cookies = (last: string): string =>
    `Cookie: ${Array.from({ length: 100 }, (_, i) => `a=${values(i * 10 + 1_000)}`).join('; ')}; a=${last}\r\n`
  t.equal(new Tie(policy, cookies(token(500)), '').named(group), undefined, 'the 101st cookie of the name is not read')
  t.equal(new Tie(policy, `Cookie: a=${token(7)}; a=${token(500)}\r\n`, '').named(group), endpoints[0])
})
