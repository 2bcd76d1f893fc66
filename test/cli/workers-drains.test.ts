/** A drain that is written to the KV, with several workers: every one of them carries it out, and one that is new, too. */
import t, { type Test } from 'tap'
import { ask, backend } from '../fixtures/app.ts'
import { entrants, type Speaker } from '../fixtures/catalog-speaker.ts'
import { serveWorkers, type Site, slow } from '../fixtures/workers.ts'
import { until } from '../fixtures/until.ts'

/** Who answers on forty connections of their own, which the kernel spreads over the workers. */
async function seen({ port }: Site): Promise<string> {
  const bodies = await Promise.all(Array.from({ length: 40 }, async () => (await ask(port)).body))
  return [...new Set(bodies)].toSorted().join()
}

const isSeen = (site: Site, who: string): Promise<boolean> =>
  until(async () => (await seen(site)) === who, { ...slow, what: `answers of ${who}` })

async function post({ admin }: Site, path: string): Promise<unknown> {
  const answer = await fetch(`http://127.0.0.1:${String(admin)}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{}',
  })
  return { status: answer.status, json: await answer.json() }
}

const proxy = (t: Test, { address }: Speaker): Promise<Site> =>
  serveWorkers(t, [], 'workers: 2\n', undefined, `{ consul: { address: "${address}" } }`)

/** The workers' processes, by their slots. */
const workersOf = (site: Site): readonly (number | undefined)[] =>
  [0, 1].map((slot) => site.find(`worker --slot ${String(slot)}`))

for (const entrant of await entrants())
  await t.test(entrant.kind, { skip: entrant.absent ?? false, timeout: 120_000 }, async (t) => {
    const speaker = await entrant.start()
    t.teardown(() => speaker.stop())
    for (const name of ['web-0', 'web-1']) {
      const instance = { ID: name, Name: 'web', Address: '127.0.0.1', Port: await backend(t, name) }
      t.equal((await speaker.ask('PUT', 'agent/service/register', instance)).status, 200)
    }
    const one = await proxy(t, speaker)
    const other = await proxy(t, speaker)
    for (const site of [one, other]) {
      await site.ready()
      await isSeen(site, 'web-0,web-1')
    }
    const view = JSON.parse((await ask(one.admin, '/v1/services/web')).body) as {
      versions: { endpoints: { handle: string; id: string }[] }[]
    }
    const handle = view.versions[0]?.endpoints.find(({ id }) => id === 'web-0')?.handle ?? ''

    t.match(await post(one, `/v1/endpoints/${handle}/drain`), { status: 200, json: { means: /^At every proxy/ } })
    for (const site of [one, other]) await isSeen(site, 'web-1')

    await t.test('a worker that takes a dead one’s place goes by it', async (t) => {
      const [old] = workersOf(one)
      process.kill(old ?? 0, 'SIGKILL')
      await until(() => workersOf(one).every((pid) => pid !== undefined && pid !== old), slow)
      await isSeen(one, 'web-1')
      for (let i = 0; i < 5; i++) t.equal(await seen(one), 'web-1')
    })

    await t.test('so do all when control has come back', async (t) => {
      const old = one.find('control')
      process.kill(old ?? 0, 'SIGKILL')
      await until(() => (one.find('control') ?? old) !== old, slow)
      for (let i = 0; i < 5; i++) t.equal(await seen(one), 'web-1')
      await one.ready()
      for (let i = 0; i < 5; i++) t.equal(await seen(one), 'web-1')
    })

    t.match(await post(other, `/v1/endpoints/${handle}/restore`), { status: 200 })
    for (const site of [one, other]) await isSeen(site, 'web-0,web-1')
  })
