/** A drain ordered at one proxy reaches all that read the same KV, outlives them, and ends when it is lifted or over. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ask, backend, configOf, portOf, proxyPort, quiet, rigApp } from '../fixtures/app.ts'
import { entrants, type Speaker } from '../fixtures/catalog-speaker.ts'
import { fairlead } from '../fixtures/command.ts'
import { until } from '../fixtures/until.ts'

interface Json {
  readonly [key: string]: unknown
}

interface Proxy {
  readonly port: number
  readonly admin: number
  stop(): Promise<void>
}

interface Instance {
  readonly handle: string
  readonly name: string
}

async function proxy(t: Test, speaker: Speaker, more = ''): Promise<Proxy> {
  const text = `${quiet}catalog: { consul: { address: "${speaker.address}" } }\nroutes: [{ service: shop }]\n${more}`
  const { app } = rigApp(t, configOf(text))
  await app.start()
  return { port: proxyPort(app), admin: portOf(app.addresses().admin), stop: () => app.stop() }
}

async function post(admin: number, path: string, body: Json = {}): Promise<{ status: number; json: Json }> {
  const answer = await fetch(`http://127.0.0.1:${String(admin)}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return { status: answer.status, json: (await answer.json()) as Json }
}

const get = async (admin: number, path: string): Promise<Json> => JSON.parse((await ask(admin, path)).body) as Json

/** The order that stands at an endpoint; null: none. */
async function orderAt({ admin }: Proxy, { handle }: Instance): Promise<Json | null> {
  const { endpoint } = await get(admin, `/v1/endpoints/${handle}`)
  return (endpoint as { order: Json | null }).order
}

const ordered = (at: Proxy, instance: Instance): Promise<Json> =>
  until(() => orderAt(at, instance), { what: `an order at ${instance.name}` })

const free = (at: Proxy, instance: Instance): Promise<boolean> =>
  until(async () => (await orderAt(at, instance)) === null, { what: `no order at ${instance.name}` })

/** Who answers. */
async function seen({ port }: Proxy): Promise<readonly string[]> {
  const bodies = new Set<string>()
  for (let i = 0; i < 12; i++) bodies.add((await ask(port)).body)
  return [...bodies].toSorted()
}

/** Two instances of `shop`, in the order of their names. */
async function shop(t: Test, speaker: Speaker): Promise<void> {
  for (const name of ['shop-0', 'shop-1']) {
    const instance = { ID: name, Name: 'shop', Address: '127.0.0.1', Port: await backend(t, name) }
    const answer = await speaker.ask('PUT', 'agent/service/register', instance)
    if (answer.status !== 200) throw new Error(answer.text)
  }
}

async function instances({ admin }: Proxy): Promise<readonly Instance[]> {
  const { versions } = await until(async () => {
    const view = (await get(admin, '/v1/services/shop')) as {
      versions?: { endpoints: { handle: string; id: string }[] }[]
    }
    return view.versions?.[0]?.endpoints.length === 2 && { versions: view.versions }
  })
  return versions
    .flatMap(({ endpoints }) => endpoints.map(({ handle, id: name }) => ({ handle, name })))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

for (const entrant of await entrants())
  await t.test(entrant.kind, { skip: entrant.absent ?? false, timeout: 120_000 }, async (t) => {
    const speaker = await entrant.start()
    t.teardown(() => speaker.stop())
    await shop(t, speaker)
    const stateDir = mkdtempSync(join(tmpdir(), 'fairlead-drains-'))
    t.teardown(() => rmSync(stateDir, { recursive: true, force: true }))
    const kept = `stateDir: "${stateDir}"\n`
    const one = await proxy(t, speaker)
    let two = await proxy(t, speaker, kept)
    const [first, second] = await instances(one)
    if (!first || !second) throw new Error('there are two')
    t.same(await instances(two), [first, second], 'both know them by the same handles')
    const key = `kv/fairlead/drains/${first.handle}`
    const drain = (body: Json = {}) => post(one.admin, `/v1/endpoints/${first.handle}/drain`, body)

    await t.test('a drain at one reaches the other', async (t) => {
      t.match(await get(one.admin, `/v1/endpoints/${first.handle}`), { everywhere: 'kv:fairlead' })
      const done = await drain({ for: '30m', reason: 'new disk' })
      const document = `kv:fairlead/drains/${first.handle}`
      t.match(done, {
        status: 200,
        json: { means: /^At every proxy that reads kv:fairlead: .* for 30m; .*1 endpoint of shop left/, warnings: [] },
      })
      t.match(await orderAt(one, first), { document }, 'it is in force here when the answer is there')
      const order = await ordered(two, first)
      t.match(order, { kind: 'drain', by: 'local', reason: 'new disk', document })
      const stored = (await speaker.ask('GET', `${key}?raw`)).json<{ settings: Json }>()
      t.match(stored.settings, { instance: { service: 'shop', id: 'shop-0', address: '127.0.0.1' } })
      const ends = Date.parse(String(order['until'])) - Date.parse(String(stored.settings['until']))
      t.ok(Math.abs(ends) < 5_000, `both end it at the same time, ${String(ends)} ms apart`)
      for (const each of [one, two]) t.same(await seen(each), ['shop-1'])
    })

    await two.stop()
    two = await proxy(t, speaker, kept)
    await instances(two)
    await t.test('it outlives a proxy', async (t) => {
      await ordered(two, first)
      t.same(await seen(two), ['shop-1'])
    })

    await t.test('it is not undone at one proxy alone', async (t) => {
      const path = `/v1/endpoints/${first.handle}/restore`
      t.match(await post(two.admin, path, { local: true }), {
        status: 409,
        json: { error: /at every proxy; restore it/ },
      })
      t.match(await orderAt(two, first), { kind: 'drain' })
    })

    await t.test('a restore at the other undoes it at both, and the document is gone', async (t) => {
      await ordered(two, first)
      t.match(await post(two.admin, `/v1/endpoints/${first.handle}/restore`), {
        status: 200,
        json: { means: /^At every proxy/, endpoint: { order: null } },
      })
      await free(one, first)
      t.equal((await speaker.ask('GET', key)).status, 404)
      await until(async () => (await seen(one)).length === 2)
      t.match(await post(two.admin, `/v1/endpoints/${first.handle}/restore`), {
        status: 409,
        json: { error: /nothing to restore/ },
      })
    })

    await t.test('local drains and ejections stay with one proxy', async (t) => {
      const command = fairlead(['drain', first.handle, '--local', '--yes', '-a', `127.0.0.1:${String(one.admin)}`])
      t.equal(await command.exit, 0, command.err())
      t.match(command.out(), /^Drained \S+ \S+\. At this proxy alone: It gets nothing new until it is restored/)
      t.match(await post(one.admin, `/v1/endpoints/${second.handle}/eject`), {
        status: 200,
        json: { means: /^At this proxy alone/ },
      })
      t.match(await post(one.admin, `/v1/endpoints/${second.handle}/eject`, { local: true }), { status: 400 })
      t.match(await drain({ local: 'yes' }), { status: 400, json: { error: /local is true or false/ } })
      t.same((await speaker.ask('GET', 'kv/fairlead/drains/?keys')).status, 404)
      t.match(await orderAt(one, first), { kind: 'drain', document: null })
      for (const { handle } of [first, second])
        t.match(await post(one.admin, `/v1/endpoints/${handle}/restore`), { status: 200 })
      // Whatever has reached it, a document written later has come after it.
      await post(one.admin, `/v1/endpoints/${second.handle}/drain`)
      await ordered(two, second)
      t.equal(await orderAt(two, first), null)
      await post(one.admin, `/v1/endpoints/${second.handle}/restore`)
      await free(two, second)
    })

    await t.test('a document that makes no sense is a problem, and costs only itself', async (t) => {
      await post(one.admin, `/v1/endpoints/${second.handle}/drain`)
      await ordered(two, second)
      const document = { revision: 1, by: 'bob', at: '2026-11-26T07:00:00Z', reason: '', settings: { life: -1 } }
      await speaker.ask('PUT', key, JSON.stringify(document))
      for (const { admin } of [one, two]) {
        const problem = await until(async () => {
          const { problems } = (await get(admin, '/v1/problems')) as { problems: Json[] }
          return problems.find(({ code }) => code === 'bad-policy-document')
        })
        t.match(problem, { where: `kv:fairlead/drains/${first.handle}`, message: /the document is not used: / })
      }
      t.match([await orderAt(two, first), await orderAt(two, second)], [null, { kind: 'drain' }])
      await speaker.ask('DELETE', key)
      await until(async () => ((await get(two.admin, '/v1/problems'))['problems'] as Json[]).length === 0)
    })

    await t.test('it ends by itself, and one whose end is past is none', async (t) => {
      t.match(await drain({ for: '1s' }), { status: 200 })
      await ordered(two, first)
      const document = (await speaker.ask('GET', `${key}?raw`)).text
      for (const each of [one, two]) await free(each, first)
      // Written again when it is over: seen, since what is written after it is seen, and not carried out.
      await speaker.ask('PUT', key, document)
      await post(one.admin, `/v1/endpoints/${second.handle}/restore`)
      await free(two, second)
      for (const each of [one, two]) t.equal(await orderAt(each, first), null)
    })

    await t.test('an instance that registers anew is not drained', async (t) => {
      await drain()
      await ordered(two, first)
      const { endpoint } = await get(one.admin, `/v1/endpoints/${first.handle}`)
      const { port } = endpoint as { port: number }
      await speaker.ask('PUT', 'agent/service/deregister/shop-0')
      await until(async () => (await ask(two.admin, `/v1/endpoints/${first.handle}`)).status === 404)
      const instance = { ID: 'shop-0', Name: 'shop', Address: '127.0.0.1', Port: port }
      await speaker.ask('PUT', 'agent/service/register', instance)
      for (const each of [one, two]) {
        await until(async () => (await seen(each)).length === 2)
        for (const again of await instances(each)) t.equal(await orderAt(each, again), null)
      }
    })

    await t.test('a proxy that starts while Consul is away goes by what it saved', async (t) => {
      const [, last = second] = await instances(two)
      await post(one.admin, `/v1/endpoints/${last.handle}/drain`)
      await ordered(two, last)
      // What is saved is written once a second, and not at the end.
      const [{ ModifyIndex: index }] = (await speaker.ask('GET', `kv/fairlead/drains/${last.handle}`)).json<
        [{ ModifyIndex: number }]
      >()
      await until(() =>
        readFileSync(join(stateDir, 'snapshot.json'), 'utf8').includes(`"modifyIndex":${String(index)}`),
      )
      await two.stop()
      await speaker.stop()
      two = await proxy(t, speaker, kept)
      await ordered(two, last)
      t.same(await seen(two), ['shop-0'])
      t.match(await post(two.admin, `/v1/endpoints/${last.handle}/restore`), {
        status: 502,
        json: { error: /With --local/ },
      })
    })
  })
