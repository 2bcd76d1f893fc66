/**
 * Versions under control, as their users meet them: testers by header, users who stay, shares from 1 to 100 % by one call, on
 * two proxies that share nothing but the catalog's KV, and back.
 */
import t, { type Test } from 'tap'
import { ask, backend, configOf, portOf, proxyPort, quiet, rigApp } from '../fixtures/app.ts'
import { entrants, type Speaker } from '../fixtures/catalog-speaker.ts'
import { until } from '../fixtures/until.ts'

interface Json {
  readonly [key: string]: unknown
}

const versions = ['9.7.0', '9.8.0'] as const

/** Registers one instance of each version of `shop`. */
async function shop(t: Test, speaker: Speaker): Promise<void> {
  for (const version of versions) {
    const port = await backend(t, version)
    const instance = { ID: `shop-${version}`, Name: 'shop', Address: '127.0.0.1', Port: port, Meta: { version } }
    const answer = await speaker.ask('PUT', 'agent/service/register', instance)
    if (answer.status !== 200) throw new Error(answer.text)
  }
}

const config = (speaker: Speaker): string => `${quiet}
catalog: { consul: { address: "${speaker.address}" } }
routes: [{ service: shop }]
services:
  shop:
    versions: { 9.7.0: 1, 9.8.0: 0 }
    rules: [{ when: { header: { X-Canary: always } }, version: 9.8.0 }]
    sticky: { cookie: fairlead, maxAge: 30d }
`

async function proxy(t: Test, speaker: Speaker): Promise<{ port: number; admin: number; stop: () => Promise<void> }> {
  const { app } = rigApp(t, configOf(config(speaker)))
  await app.start()
  const port = proxyPort(app)
  await until(async () => (await ask(port)).status === 200)
  return { port, admin: portOf(app.addresses().admin), stop: () => app.stop() }
}

async function post(port: number, path: string, body: Json): Promise<{ status: number; json: Json }> {
  const answer = await fetch(`http://127.0.0.1:${String(port)}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return { status: answer.status, json: (await answer.json()) as Json }
}

const versionFor = async (port: number, user: string): Promise<string> =>
  (await ask(port, '/', { headers: { cookie: `fairlead=${user}` } })).body

/** The weights that a proxy routes by. */
async function weights(admin: number): Promise<unknown> {
  const answer = JSON.parse((await ask(admin, '/v1/services/shop')).body) as Json
  return (answer['policy'] as Json)['versions']
}

for (const entrant of await entrants())
  await t.test(entrant.kind, { skip: entrant.absent ?? false, timeout: 120_000 }, async (t) => {
    const speaker = await entrant.start()
    t.teardown(() => speaker.stop())
    await shop(t, speaker)
    const one = await proxy(t, speaker)
    const two = await proxy(t, speaker)

    await t.test('nobody but testers gets a version of weight 0', async (t) => {
      for (let i = 0; i < 20; i++) t.equal((await ask(one.port)).body, '9.7.0')
      const headers = { 'x-canary': 'always' }
      t.equal((await ask(one.port, '/', { headers })).body, '9.8.0')
      t.equal((await ask(one.port, '/', { headers: { 'x-canary': 'never' } })).body, '9.7.0')
    })

    await t.test('a new user gets a cookie, and whoever has one gets none', async (t) => {
      const first = await ask(one.port)
      const [cookie = ''] = first.headers['set-cookie'] ?? []
      t.match(cookie, /^fairlead=[A-Za-z0-9_-]{22}; Path=\/; HttpOnly; SameSite=Lax; Max-Age=2592000$/)
      const again = await ask(one.port, '/', { headers: { cookie: cookie.split(';')[0] ?? '' } })
      t.equal(again.headers['set-cookie'], undefined)
    })

    await t.test('from 1 to 100 %: users only ever move to the new one, the same on both proxies', async (t) => {
      const users = Array.from({ length: 300 }, (_, index) => `user-${String(index)}`)
      let moved = new Set<string>()
      for (const share of [1, 5, 25, 50, 100]) {
        const { status, json } = await post(one.admin, '/v1/services/shop/split', {
          versions: { '9.7.0': 100 - share, '9.8.0': share },
          reason: `${String(share)} %`,
        })
        t.match({ status, json }, { status: 200, json: { written: { by: 'local' }, warnings: [] } })
        const wanted = { '9.7.0': 100 - share, '9.8.0': share }
        for (const { admin } of [one, two])
          await until(async () => JSON.stringify(await weights(admin)) === JSON.stringify(wanted))
        const now = new Set<string>()
        for (const user of users) {
          const [here, there] = await Promise.all([versionFor(one.port, user), versionFor(two.port, user)])
          if (here !== there) t.fail(`${user} gets ${here} here and ${there} there`)
          if (here === '9.8.0') now.add(user)
        }
        t.ok(
          [...moved].every((user) => now.has(user)),
          `${String(share)} %: ${String(now.size)} of 300, none of them went back`,
        )
        moved = now
      }
      t.equal(moved.size, users.length)
    })

    await t.test('what was done is known, and undone', async (t) => {
      const { revisions } = JSON.parse((await ask(two.admin, '/v1/services/shop/revisions')).body) as {
        revisions: Json[]
      }
      t.match(revisions[0], { revision: 5, by: 'local', reason: '100 %', settings: { versions: { '9.8.0': 100 } } })
      t.equal(revisions.length, 5)
      const asked = await post(two.admin, '/v1/services/shop/rollback', { revision: 3, dryRun: true })
      t.match(asked.json, {
        after: [
          { version: '9.7.0', share: 0.75 },
          { version: '9.8.0', share: 0.25 },
        ],
      })
      t.equal(asked.json['written'], undefined)
      const done = await post(two.admin, '/v1/services/shop/rollback', { revision: 3 })
      t.match(done.json, { written: { revision: 6 } })
      for (const { admin } of [one, two])
        await until(async () => JSON.stringify(await weights(admin)) === '{"9.7.0":75,"9.8.0":25}')
      const back = await post(one.admin, '/v1/services/shop/rollback', { revision: 0 })
      t.equal(back.status, 200)
      for (const { admin } of [one, two])
        await until(async () => JSON.stringify(await weights(admin)) === '{"9.7.0":1,"9.8.0":0}')
    })

    await t.test('what makes no sense is refused, and changes nothing', async (t) => {
      const split = (body: Json) => post(one.admin, '/v1/services/shop/split', body)
      const cases: readonly (readonly [Json, number, RegExp])[] = [
        [{}, 400, /^versions is an object/],
        [{ versions: {} }, 400, /^versions is an object/],
        [{ versions: { '9.8.0': -1 } }, 400, /a weight is not negative/],
        [{ versions: { '9.8.0': 'much' } }, 400, /expected a weight/],
        [{ versions: { '9.8.0': 0 } }, 400, /very weight is zero/],
        [{ versions: { '9.8.O': 1 } }, 409, /No instance of version 9\.8\.O.*Did you mean 9\.8\.0/],
        [{ versions: { '9.8.0': 1 }, verions: 1 }, 400, /There is no such key here/],
        [{ versions: { '9.8.0': 1 }, cas: 1 }, 409, /changed by somebody else|is not there/],
      ]
      for (const [body, status, error] of cases)
        t.match(await split(body), { status, json: { error } }, JSON.stringify(body))
      t.match(await split(JSON.parse('{"versions":{"__proto__":1}}') as Json), { status: 400 })
      t.match(await post(one.admin, '/v1/services/shpo/split', { versions: { a: 1 } }), {
        status: 404,
        json: { error: /Did you mean shop/ },
      })
      t.same(await weights(one.admin), { '9.7.0': 1, '9.8.0': 0 })
      t.match(await split({ versions: { '9.9.0': 1, '9.7.0': 1 }, force: true }), {
        status: 200,
        json: { warnings: [/No instance of version 9\.9\.0/] },
      })
    })

    await t.test('a bad document keeps the last good one, and is on the list', async (t) => {
      await until(async () => JSON.stringify(await weights(one.admin)) === '{"9.9.0":1,"9.7.0":1}')
      const good = await speaker.ask('GET', 'kv/fairlead/services/shop?raw')
      const bad = JSON.stringify({ ...good.json<Json>(), settings: { versions: { '9.7.0': 'all' } } })
      await speaker.ask('PUT', 'kv/fairlead/services/shop', bad)
      const problem = await until(async () => {
        const { problems } = JSON.parse((await ask(one.admin, '/v1/problems')).body) as { problems: Json[] }
        return problems.find(({ code }) => code === 'bad-policy-document')
      })
      t.match(problem, {
        where: 'kv:fairlead/services/shop',
        message: /versions\["9\.7\.0"\]: expected a weight.*its last good form, revision \d+ by local, stays in force/,
      })
      t.same(await weights(one.admin), { '9.9.0': 1, '9.7.0': 1 })
    })

    await t.test('a proxy that starts again routes users as before', async (t) => {
      await post(two.admin, '/v1/services/shop/split', { versions: { '9.7.0': 50, '9.8.0': 50 } })
      await until(async () => JSON.stringify(await weights(one.admin)) === '{"9.7.0":50,"9.8.0":50}')
      const users = Array.from({ length: 50 }, (_, index) => `again-${String(index)}`)
      const before = await Promise.all(users.map((user) => versionFor(one.port, user)))
      await one.stop()
      const next = await proxy(t, speaker)
      t.same(await Promise.all(users.map((user) => versionFor(next.port, user))), before)
    })
  })
