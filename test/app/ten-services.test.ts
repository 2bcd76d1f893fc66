/**
 * The scenario from practice: a gateway before ten services in three versions each, under constant load. The versions of one
 * service are replaced one after another. Nobody's request fails, and the other nine do not even notice.
 */
import t, { type Test } from 'tap'
import type { App } from '../../src/app.ts'
import type { BoundService } from '../../src/live/runtime.ts'
import { ask, configOf, portOf, proxyPort, quiet, rigApp } from '../fixtures/app.ts'
import { entrants, type Speaker } from '../fixtures/catalog-speaker.ts'
import {
  type Asked,
  Homes,
  openAll,
  registration,
  startInstance,
  SteadyLoad,
  type VersionedInstance,
} from '../fixtures/many-services.ts'
import { until } from '../fixtures/until.ts'

const services = Array.from({ length: 10 }, (_, i) => `s${String(i)}`)
const replaced = 's4'
const others = services.filter((name) => name !== replaced)
const versions = ['1', '2', '3'] as const
const connections = 2

/** Half of the users have version 1, half 2; version 3 and any other one are had by asking for it. */
const config = (speaker: Speaker): string => `${quiet}
catalog: { consul: { address: "${speaker.address}" } }
routes:
${services.map((name) => `  - { path: /${name}, service: ${name} }`).join('\n')}
services:
${services
  .map(
    (name) => `  ${name}:
    versions: { 1: 1, 2: 1, 3: 0 }
    rules: [${versions.map((version) => `{ when: { header: { x-version: "${version}" } }, version: ${version} }`).join(', ')}]
    sticky: { header: x-user }`,
  )
  .join('\n')}
`

async function arrive(t: Test, speaker: Speaker, service: string, version: string): Promise<VersionedInstance> {
  const instance = await startInstance(service, version)
  t.teardown(() => instance.close())
  const answer = await speaker.ask('PUT', 'agent/service/register', registration(instance))
  if (answer.status !== 200) throw new Error(answer.text)
  return instance
}

const versionsOf = (app: App, name: string): readonly string[] =>
  (app.dataPlane().current().services.get(name)?.groups ?? []).map(({ version }) => version)

/** Everything of a service that requests meet, down to the pools. */
function partsOf(app: App, name: string): readonly unknown[] {
  const bound = app.dataPlane().current()
  const service: BoundService | undefined = bound.services.get(name)
  const endpoints = (service?.groups ?? []).flatMap((group) => group.endpoints)
  return [
    bound.match('', `/${name}`),
    service,
    service?.table,
    ...(service?.groups ?? []),
    ...endpoints.flatMap((endpoint) => [endpoint, endpoint.endpoint, endpoint.state, endpoint.state.pool]),
  ]
}

/** Gives the service these weights by the API, and waits until requests meet them. */
async function split(app: App, name: string, weights: Readonly<Record<string, number>>): Promise<void> {
  const admin = portOf(app.addresses().admin)
  const answer = await fetch(`http://127.0.0.1:${String(admin)}/v1/services/${name}/split`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ versions: weights }),
  })
  const text = await answer.text()
  if (answer.status !== 200) throw new Error(text)
  await until(() => {
    const groups = app.dataPlane().current().services.get(name)?.groups ?? []
    return Object.entries(weights).every(([version, weight]) =>
      groups.some((group) => group.version === version && group.weight === weight),
    )
  })
}

for (const entrant of await entrants())
  await t.test(entrant.kind, { skip: entrant.absent ?? false, timeout: 120_000 }, async (t) => {
    const speaker = await entrant.start()
    t.teardown(() => speaker.stop())
    const instances = new Map<string, VersionedInstance>()
    for (const name of services)
      for (const version of versions) instances.set(`${name} ${version}`, await arrive(t, speaker, name, version))
    const { app } = rigApp(t, configOf(config(speaker)))
    await app.start()
    const port = proxyPort(app)
    await until(() => services.every((name) => versionsOf(app, name).length === versions.length))
    await openAll({ port, services, connections, versions })

    const failed: Asked[] = []
    const strayed: Asked[] = []
    const homes = new Homes()
    const load = new SteadyLoad({
      port,
      services,
      connections,
      restMs: 8,
      users: 10,
      versions,
      onAsked(asked) {
        if (!asked.good) failed.push(asked)
        else if (asked.service !== replaced && !homes.isHome(asked)) strayed.push(asked)
      },
    })
    t.teardown(() => load.stop())
    /** Goes on when every service has been asked so much more. */
    const more = async (count: number): Promise<void> => {
      const before = new Map(load.answered)
      await until(() => services.every((name) => (load.answered.get(name) ?? 0) - (before.get(name) ?? 0) >= count))
    }
    await more(60)
    t.equal(homes.known.length, others.length * 10, 'every user of the nine has been seen')
    const settled = others.flatMap((name) => [`${name} 1`, `${name} 2`])
    t.same([...new Set(homes.known)].sort(), settled, 'and versions 1 and 2 have some of each')

    const partsBefore = new Map(services.map((name) => [name, partsOf(app, name)]))
    const connectionsOf = (): ReadonlyMap<string, number> =>
      new Map(
        [...instances].flatMap(([name, it]) => (it.service === replaced ? [] : [[name, it.connections()] as const])),
      )
    const connectionsBefore = connectionsOf()
    const tableBefore = app.dataPlane().current().table.version
    t.equal(load.opened, services.length * connections, 'a client connection each')
    const untouched = (when: string): void => {
      for (const name of others) {
        const now = partsOf(app, name)
        const was = partsBefore.get(name) ?? []
        if (now.length !== was.length || now.some((part, i) => part !== was[i])) t.fail(`${when}: ${name} was rebuilt`)
      }
    }

    let weights: Record<string, number> = { '1': 1, '2': 1, '3': 0 }
    for (const [old, next] of [
      ['1', '4'],
      ['2', '5'],
      ['3', '6'],
    ] as const) {
      await arrive(t, speaker, replaced, next)
      await until(() => versionsOf(app, replaced).includes(next))
      untouched(`${next} is there`)
      await more(10)
      const share = weights[old] ?? 0
      await split(app, replaced, (weights = { ...weights, [next]: share }))
      untouched(`${next} has its share`)
      await more(10)
      await split(app, replaced, (weights = { ...weights, [old]: 0 }))
      await more(10)
      const gone = await speaker.ask('PUT', `agent/service/deregister/${replaced}-${old}`)
      t.equal(gone.status, 200)
      // It ends at once, as a process does that is told to: whether the proxy has heard of it or not.
      const ended = instances.get(`${replaced} ${old}`)?.close()
      await until(() => !versionsOf(app, replaced).includes(old))
      await ended
      untouched(`${old} is gone`)
      weights = Object.fromEntries(Object.entries(weights).filter(([version]) => version !== old))
      await split(app, replaced, weights)
      untouched(`${old} has no share any more`)
      await more(10)
    }
    await more(20)
    await load.stop()

    t.same(failed, [], 'no request failed, of any service')
    t.same(strayed, [], 'every request to the nine was answered by the version that it is for')
    t.ok(app.dataPlane().current().table.version >= tableBefore + 9, 'there were as many tables as changes')
    t.not(app.dataPlane().current().services.get(replaced), partsBefore.get(replaced)?.[1])
    t.same([...versionsOf(app, replaced)].sort(), ['4', '5', '6'])
    t.same(connectionsOf(), connectionsBefore, 'the instances of the nine have the connections they had')
    t.equal(load.opened, services.length * connections, 'and clients have theirs')
    const now = await ask(port, `/${replaced}`, { headers: { 'x-user': 'somebody' } })
    t.match(now, { status: 200, body: /^s4 [45]$/ }, 'version 6 has the weight of 3, which is none')
  })
