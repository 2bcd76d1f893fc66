/**
 * 5,000 users with a cookie, while a new version is raised from 1 to 100 %: none of them ever goes back, each is asked for at
 * two proxies that know nothing of each other, and one of these starts again on the way: from the KV, and from its own file
 * while the catalog is away.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { Agent } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { App } from '../../src/app.ts'
import { ask, backend, configOf, portOf, proxyPort, quiet, rigApp } from '../fixtures/app.ts'
import { startEmbedded, type Speaker } from '../fixtures/catalog-speaker.ts'
import { until } from '../fixtures/until.ts'

const older = '9.7.0'
const newer = '9.8.0'
const users = Array.from({ length: 5_000 }, (_, i) => `user-${String(i)}`)
/** Requests under way at once at each proxy. */
const connections = 16

interface Proxy {
  readonly app: App
  readonly port: number
  readonly admin: number
}

const config = (speaker: Speaker, more: string): string => `${quiet}${more}
catalog: { consul: { address: "${speaker.address}" } }
routes: [{ service: shop }]
services:
  shop:
    versions: { ${older}: 1, ${newer}: 0 }
    sticky: { cookie: fairlead, maxAge: 30d }
`

async function proxy(t: Test, speaker: Speaker, more = ''): Promise<Proxy> {
  const { app } = rigApp(t, configOf(config(speaker, more)))
  await app.start()
  const port = proxyPort(app)
  await until(async () => (await ask(port)).status === 200)
  return { app, port, admin: portOf(app.addresses().admin) }
}

/** The version that each of the users gets, in their order. */
async function versionsAt({ port }: Proxy): Promise<readonly string[]> {
  const agent = new Agent({ keepAlive: true })
  const got: string[] = []
  let next = 0
  const some = async (): Promise<void> => {
    for (let i = next++; i < users.length; i = next++) {
      const answer = await ask(port, '/', { agent, headers: { cookie: `a=b; fairlead=${users[i] ?? ''}` } })
      got[i] = answer.status === 200 ? answer.body : `${String(answer.status)}: ${answer.body}`
    }
  }
  await Promise.all(Array.from({ length: connections }, some))
  agent.destroy()
  return got
}

/** Users of whom it holds. */
const those = (holds: (i: number) => boolean): readonly string[] => users.filter((_, i) => holds(i))

const shareOf = ({ app }: Proxy): number | undefined =>
  app
    .dataPlane()
    .current()
    .services.get('shop')
    ?.groups.find(({ version }) => version === newer)?.weight

/** Raises the new version at `by`, and waits until all of them route by it. */
async function raise(share: number, by: Proxy, all: readonly Proxy[]): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${String(by.admin)}/v1/services/shop/split`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ versions: { [older]: 100 - share, [newer]: share } }),
  })
  const text = await answer.text()
  if (answer.status !== 200) throw new Error(text)
  // The catalog may have been away, and is asked again less and less often.
  await until(() => all.every((each) => shareOf(each) === share), { timeoutMs: 30_000 })
}

t.test('1, 5, 25, 50, 100 %: nobody goes back', { timeout: 120_000 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-users-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const catalogDir = join(folder, 'catalog')
  const stateDir = join(folder, 'state')
  let speaker = await startEmbedded({ stateDir: catalogDir })
  t.teardown(() => speaker.stop())
  for (const version of [older, newer]) {
    const port = await backend(t, version)
    const instance = { ID: `shop-${version}`, Name: 'shop', Address: '127.0.0.1', Port: port, Meta: { version } }
    t.equal((await speaker.ask('PUT', 'agent/service/register', instance)).status, 200, `${version} is there`)
  }
  const kept = `stateDir: "${stateDir}"`
  const one = await proxy(t, speaker)
  let two = await proxy(t, speaker, kept)

  let before = await versionsAt(one)
  t.same(
    those((i) => before[i] !== older),
    [],
    'at 0 % nobody has the new version',
  )
  const step = async (share: number, by: Proxy): Promise<void> => {
    await raise(share, by, [one, two])
    const [here, there] = await Promise.all([versionsAt(one), versionsAt(two)])
    const at = `${String(share)} %`
    t.same(
      those((i) => here[i] !== older && here[i] !== newer),
      [],
      `${at}: all are answered`,
    )
    t.same(
      those((i) => here[i] !== there[i]),
      [],
      `${at}: both proxies agree on every user`,
    )
    t.same(
      those((i) => before[i] === newer && here[i] !== newer),
      [],
      `${at}: nobody goes back`,
    )
    const moved = those((i) => here[i] === newer).length
    const [n, p] = [users.length, share / 100]
    t.ok(Math.abs(moved - n * p) <= 3 * Math.sqrt(n * p * (1 - p)), `${at}: ${String(moved)} have the new version`)
    before = here
  }

  await step(1, one)
  await two.app.stop()
  two = await proxy(t, speaker, kept)
  t.same(await versionsAt(two), before, 'one that starts again has it from the KV')
  await step(5, two)
  await step(25, one)

  const [{ ModifyIndex: index }] = (await speaker.ask('GET', 'kv/fairlead/services/shop')).json<
    [{ ModifyIndex: number }]
  >()
  const written = `"modifyIndex":${String(index)}`
  await until(() => readFileSync(join(stateDir, 'snapshot.json'), 'utf8').includes(written))
  await two.app.stop()
  await speaker.stop()
  two = await proxy(t, speaker, kept)
  t.same(await versionsAt(two), before, 'while the catalog is away it has it from its own file')
  speaker = await startEmbedded({ stateDir: catalogDir, port: speaker.port })

  await step(50, two)
  await step(100, one)
  t.same(
    those((i) => before[i] !== newer),
    [],
    'and in the end all have moved',
  )
})
