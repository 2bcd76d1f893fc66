/** The API that tells what changed and what happened to a request, of a whole proxy; also after a restart. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { HistoryView } from '../../src/admin/history-view.ts'
import type { App } from '../../src/app.ts'
import { historyFile } from '../../src/control/history-store.ts'
import { ask, backend, configOf, definitions, freePort, portOf, proxyPort, quiet, rigApp } from '../fixtures/app.ts'
import { until } from '../fixtures/until.ts'

function folderOf(t: Pick<Test, 'teardown'>): string {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-tell-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

async function get(app: App, path: string): Promise<{ readonly status: number; readonly json: unknown }> {
  const { status, body } = await ask(portOf(app.addresses().admin), path)
  return { status, json: JSON.parse(body) as unknown }
}

const historyOf = async (app: App, query = ''): Promise<HistoryView> =>
  (await get(app, `/v1/history${query}`)).json as HistoryView

const causesOf = ({ entries }: HistoryView): readonly string[] =>
  entries.flatMap(({ causes, changes }) => `${causes.map(({ text }) => text).join('; ')} | ${changes[0]?.text ?? ''}`)

t.test('history: what the catalog, the configuration and a restart changed', async (t) => {
  const folder = folderOf(t)
  const services = join(folder, 'services.json')
  const ports = [await backend(t, 'a'), await backend(t, 'b')]
  writeFileSync(services, definitions('web', ports.slice(0, 1)))
  const text = `${quiet}stateDir: "${join(folder, 'state')}"\ncatalog: { file: "${services}" }\nroutes: [{ service: web }]\n`
  const { app } = rigApp(t, configOf(text))
  await app.start()
  writeFileSync(services, definitions('web', ports))
  await until(() => app.dataPlane().current().table.services.get('web')?.groups[0]?.endpoints.length === 2)
  await app.reload(configOf(text.replace('{ service: web }', '{ service: web }, { path: /x, service: web }')))
  const json = await until(async () => {
    const told = await historyOf(app)
    return told.entries[0]?.changes[0]?.text.startsWith('route */x') && told
  })
  // What comes close together is told together, so that each may have others beside it.
  t.match(causesOf(json), [
    /the configuration was read again \| route \*\/x to web added \(config:routes\[1\]\)$/,
    /catalog file: service web \| service web: \+1 endpoint \(1\)$/,
    /catalog file: service web \| service web: \+1 endpoint \(1\)$/,
    /^start: catalog file, not heard yet \| route \*\/ to web added \(config:routes\[0\]\)$/,
  ])
  t.equal(json.kept, json.entries.length)
  t.equal(json.since, json.entries.at(-1)?.at)
  t.equal((await historyOf(app, '?limit=1')).entries.length, 1)
  t.match((await historyOf(app, '?service=web')).entries[0], {
    changes: [{ services: ['web'] }],
  })
  await app.stop()

  const again = rigApp(t, configOf(text))
  await again.app.start()
  const after = await until(async () => {
    const told = await historyOf(again.app)
    return told.entries.length > json.entries.length && told
  })
  t.same(after.entries.slice(-json.entries.length), json.entries)

  for (const [query, status, error] of [
    ['service=wep', 404, 'No route leads to a service of this name, and no change of it is known. Did you mean web?'],
    ['service=nosuch', 404, 'No route leads to a service of this name, and no change of it is known.'],
    ['limit=0', 400, 'The parameter limit is a whole number from 1 to 1000.'],
    ['limit=1001', 400, 'The parameter limit is a whole number from 1 to 1000.'],
    ['limit=ten', 400, 'The parameter limit is a whole number from 1 to 1000.'],
    ['since=now', 400, 'There is no such parameter here; there are service, limit.'],
  ] as const)
    t.same(await get(again.app, `/v1/history?${query}`), { status, json: { error } })
})

t.test('a reload that names another state folder: the history goes there', async (t) => {
  const folder = folderOf(t)
  const services = join(folder, 'services.json')
  writeFileSync(services, definitions('web', [1]))
  const text = `${quiet}catalog: { file: "${services}" }\nroutes: [{ service: web }]\n`
  const { app } = rigApp(t, configOf(text))
  await app.start()
  await app.reload(configOf(`${text}stateDir: "${join(folder, 'state')}"\n`))
  await until(() => readFileSync(join(folder, 'state', historyFile), 'utf8').includes('start: catalog file'))
  t.same((await get(app, '/v1/problems')).json, { problems: [] })
})

t.test('a state folder that takes nothing is a problem, and the history goes on', async (t) => {
  const folder = folderOf(t)
  writeFileSync(join(folder, 'state'), 'a file')
  const services = join(folder, 'services.json')
  writeFileSync(services, definitions('web', [1]))
  const { app } = rigApp(
    t,
    configOf(
      `${quiet}stateDir: "${join(folder, 'state')}"\ncatalog: { file: "${services}" }\nroutes: [{ service: web }]\n`,
    ),
  )
  await app.start()
  await until(async () => JSON.stringify((await get(app, '/v1/problems')).json).includes('history-unsaved'))
  t.ok((await historyOf(app)).kept > 0)
})

t.test('why: a request that failed, one that was tried twice, and one that is not kept', async (t) => {
  const folder = folderOf(t)
  const services = join(folder, 'services.json')
  const dead = await freePort()
  writeFileSync(services, definitions('web', [dead]))
  const { app } = rigApp(
    t,
    configOf(
      `${quiet}catalog: { file: "${services}" }\nroutes: [{ path: /shop, service: web }]\nservices: { web: { health: { mode: off } } }\n`,
    ),
  )
  await app.start()
  const headers = { 'x-request-id': 'a/b=c' }
  t.equal((await ask(proxyPort(app), '/shop/x?q=1', { headers })).status, 503)
  t.match(await get(app, `/v1/requests/${encodeURIComponent('a/b=c')}`), {
    status: 200,
    json: {
      id: 'a/b=c',
      at: /^\d{4}-.*Z$/,
      count: 1,
      client: '127.0.0.1',
      method: 'GET',
      host: /^127\.0\.0\.1/,
      target: '/shop/x?q=1',
      route: '*/shop',
      service: 'web',
      version: '1',
      status: 503,
      origin: 'proxy',
      cause: 'refused',
      attemptsTotal: 1,
      attempts: [
        {
          handle: /^web-/,
          address: '127.0.0.1',
          port: dead,
          version: '1',
          outcome: 'lost',
          reason: 'refused',
          reused: false,
          unsent: true,
        },
      ],
    },
  })
  await ask(proxyPort(app), '/shop/y', { headers })
  t.match((await get(app, `/v1/requests/${encodeURIComponent('a/b=c')}`)).json, { count: 2, target: '/shop/y' })

  writeFileSync(services, definitions('web', [dead, await backend(t, 'there')]))
  await until(() => app.dataPlane().current().table.services.get('web')?.groups[0]?.endpoints.length === 2)
  const rescued = await until(async () => {
    await ask(proxyPort(app), '/shop', { headers: { 'x-request-id': 'twice' } })
    const { status, json } = await get(app, '/v1/requests/twice')
    return status === 200 && json
  })
  t.match(rescued, { status: 200, cause: '', attempts: [{ outcome: 'retried' }, { outcome: 'answered', reason: '' }] })

  await ask(proxyPort(app), '/elsewhere', { headers: { 'x-request-id': 'fine' } })
  for (const id of ['fine', 'never'])
    t.match(await get(app, `/v1/requests/${id}`), {
      status: 404,
      json: { error: /^No request of this id is kept\. .* 2 requests now, the oldest of \d{4}-.*Z\. Of all others/ },
    })
  t.equal((await ask(portOf(app.addresses().admin), '/v1/requests/')).status, 404)
})

t.test('a service and the routes that lead to it', async (t) => {
  const services = join(folderOf(t), 'services.json')
  writeFileSync(services, definitions('web', [1]))
  const routes = '[{ host: a.test, path: /x, service: web }, { service: web }, { path: /other, service: other }]'
  const { app } = rigApp(t, configOf(`${quiet}catalog: { file: "${services}" }\nroutes: ${routes}\n`))
  await app.start()
  t.match((await get(app, '/v1/services/web')).json, { name: 'web', routes: ['a.test/x', '/'] })
})
