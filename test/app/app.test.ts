/** The composition: what is open when, what a reload changes and what it leaves alone, and the order of the end. */
import { load } from '../../src/config/load.ts'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createEmbeddedCatalog } from '../../src/catalog/embedded/embedded.ts'
import { systemClock } from '../../src/core/clock.ts'
import { silentLogger } from '../../src/core/log.ts'
import type { Problem } from '../../src/core/problem.ts'
import { seededRandom } from '../../src/core/random.ts'
import { ask, backend, configOf, definitions, freePort, portOf, proxyPort, quiet, rigApp } from '../fixtures/app.ts'
import { FakeConsul } from '../fixtures/fake-consul.ts'
import { settle } from '../fixtures/raw-client.ts'
import { until } from '../fixtures/until.ts'

type T = Pick<Test, 'teardown'>

function folderOf(t: T): string {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-app-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A file catalog with one service `web` at these ports, and a configuration that routes everything to it. */
function fileConfig(t: T, ports: readonly number[], more = ''): { text: string; services: string } {
  const services = join(folderOf(t), 'services.json')
  writeFileSync(services, definitions('web', ports))
  return { services, text: `${quiet}catalog: { file: "${services}" }\nroutes: [{ service: web }]\n${more}` }
}

async function embedded(t: T, port = 0): Promise<number> {
  const catalog = createEmbeddedCatalog({ port }, { clock: systemClock, random: seededRandom(2), log: silentLogger })
  t.teardown(() => catalog.close())
  return (await catalog.listen()).port
}

async function put(port: number, path: string, body: object = {}): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method: 'PUT', body: JSON.stringify(body) })
  if (!answer.ok) throw new Error(await answer.text())
}

const canConnect = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })

t.test('it routes, tells about itself, and stops', async (t) => {
  const { text } = fileConfig(t, [await backend(t, 'hello')])
  const { app, lines } = rigApp(t, configOf(text))
  await app.start()
  const got = await ask(proxyPort(app), '/x')
  t.match(got, { status: 200, body: 'hello' })
  const { status, admin } = app.addresses()
  t.equal((await ask(portOf(status), '/readyz')).status, 200)
  const metrics = (await ask(portOf(status), '/metrics')).body
  t.match(metrics, 'fairlead_requests_total{service="web",version="1",code="200",origin="upstream"} 1')
  t.match(metrics, 'fairlead_build_info{version="0.0.0"')
  const table = JSON.parse((await ask(portOf(admin), '/v1/table')).body) as { services: unknown[] }
  t.match(table.services[0], { name: 'web', versions: [{ version: '1', endpoints: [{ port: Number }] }] })
  const access = lines.filter(({ level }) => level === 'access')
  t.match(access, [{ method: 'GET', target: '/x', status: 200, service: 'web', id: /-1$/ }])
  const ports = [proxyPort(app), portOf(status), portOf(admin)]
  await app.stop()
  for (const port of ports) t.notOk(await canConnect(port), 'closed')
})

t.test(
  'before the catalog has answered: alive, not ready with the reason, and no listener; then it serves',
  async (t) => {
    const web = await backend(t, 'there')
    const catalogPort = await embedded(t)
    const reserved = await embedded(t)
    await put(catalogPort, '/v1/agent/service/register', {
      Name: 'web',
      Port: web,
      Address: '127.0.0.1',
      Tags: ['urlprefix-/'],
    })
    // A catalog that is not there yet: its port is taken by nobody until it comes.
    const gone = createEmbeddedCatalog({ port: 0 }, { clock: systemClock, random: seededRandom(3), log: silentLogger })
    const { port: later } = await gone.listen()
    await gone.close()
    t.not(later, reserved)
    const rig = rigApp(
      t,
      configOf(
        `${quiet}catalog:\n  - consul: { name: a, address: "http://127.0.0.1:${catalogPort}" }\n  - consul: { name: b, address: "http://127.0.0.1:${later}" }`,
      ),
    )
    const started = rig.app.start()
    const status = portOf(await until(() => rig.app.addresses().status))
    t.equal((await ask(status, '/livez')).status, 200)
    await until(() => rig.app.dataPlane().current().table.services.get('web')?.groups[0]?.endpoints.length === 1)
    const unready = await ask(status, '/readyz')
    t.equal(unready.status, 503)
    t.match(JSON.parse(unready.body), { ready: false, reasons: [/^waiting for catalog b: /] })
    t.same(rig.app.addresses().listeners, [], 'one source has answered and the other has not')
    t.ok(rig.messages().some((message) => message.startsWith('waiting for catalog b')))
    await embedded(t, later)
    await started
    t.equal((await ask(status, '/readyz')).status, 200)
    t.equal((await ask(proxyPort(rig.app))).body, 'there')
  },
)

t.test('a stop while it still waits for the catalog ends at once', async (t) => {
  const { app } = rigApp(t, configOf(`${quiet}catalog: { consul: { address: "http://127.0.0.1:1" } }`))
  const started = app.start()
  await until(() => app.addresses().status)
  await app.stop()
  await started
  t.same(app.addresses(), { listeners: [], status: undefined, admin: undefined })
})

t.test('an address in use is an error that names it', async (t) => {
  const taken = await backend(t, '')
  for (const key of ['status', 'admin']) {
    const { app } = rigApp(
      t,
      configOf(
        fileConfig(t, []).text.replace(
          `${key}: { address: "127.0.0.1:0" }`,
          `${key}: { address: "127.0.0.1:${taken}" }`,
        ),
      ),
    )
    await t.rejects(app.start(), { code: 'FL_LISTEN', message: new RegExp(`${key}.*${taken}`) })
  }
  const { app } = rigApp(
    t,
    configOf(
      fileConfig(t, []).text.replace('listen: [{ address: "127.0.0.1:0"', `listen: [{ address: "127.0.0.1:${taken}"`),
    ),
  )
  await t.rejects(app.start(), {
    code: 'FL_LISTEN',
    message: new RegExp(`${taken}.*the setting listen\\[\\]\\.address moves it$`),
  })
  const inner = rigApp(t, configOf(`${quiet}catalog: { embedded: { address: "127.0.0.1:${taken}" } }\n`))
  const message = new RegExp(`${taken}.*the setting catalog\\.embedded\\.address moves it$`)
  await t.rejects(inner.app.start(), { code: 'FL_LISTEN', message })
})

t.test('the admin address is never opened to others', async (t) => {
  const config = configOf(fileConfig(t, []).text)
  for (const host of ['0.0.0.0', '::', '10.0.2.555']) {
    const { app } = rigApp(t, { ...config, admin: { kind: 'tcp', host, port: 0 } })
    await t.rejects(app.start(), {
      code: 'FL_CONFIG',
      message: 'Without tokens, the admin address must be a loopback address or a Unix socket.',
    })
    t.same(app.addresses(), { listeners: [], status: undefined, admin: undefined })
  }
})

t.test('reload: what did not change keeps its socket and its connections; routes and access log follow', async (t) => {
  const { text } = fileConfig(t, [await backend(t, 'hello')])
  const { app, lines } = rigApp(t, configOf(text))
  await app.start()
  const port = proxyPort(app)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  const before = await ask(port, '/', { agent })
  t.equal(before.status, 200)
  const { status } = app.addresses()
  await app.reload(
    configOf(
      text.replace('service: web }', 'path: /only, service: web }').concat('log: { access: off, level: warn }\n'),
    ),
  )
  t.equal(proxyPort(app), port)
  t.equal(app.addresses().status, status)
  lines.length = 0
  await until(async () => (await ask(port, '/', { agent })).status === 404)
  t.equal((await ask(port, '/only', { agent })).status, 200)
  t.equal(Object.values(agent.sockets).flat().length + Object.values(agent.freeSockets).flat().length, 1)
  t.same(lines, [], 'no access lines, and nothing below a warning')
  t.match((await ask(portOf(status), '/metrics')).body, 'fairlead_config_last_reload_success 1')
})

t.test('reload: listeners, status and admin addresses come and go', async (t) => {
  const { text } = fileConfig(t, [await backend(t, 'hello')])
  const { app } = rigApp(t, configOf(text))
  await app.start()
  const old = { proxy: proxyPort(app), ...app.addresses() }
  await app.reload(
    configOf(
      text
        .replace('listen: [', 'listen: [{ name: second, address: "127.0.0.1:0" }, ')
        .replace('status: { address: "127.0.0.1:0" }', 'status: { address: "0.0.0.0:0" }')
        .replace('admin: { address: "127.0.0.1:0" }', 'admin: { address: off }'),
    ),
  )
  t.equal(app.addresses().listeners.length, 2)
  for (const { port } of app.addresses().listeners) t.equal((await ask(port)).body, 'hello')
  t.match(app.addresses(), { status: /^0\.0\.0\.0:\d+$/, admin: undefined })
  t.ok(await canConnect(old.proxy))
  t.notOk(await canConnect(portOf(old.status)))
  t.notOk(await canConnect(portOf(old.admin)))
  await app.reload(configOf(text))
  t.equal(app.addresses().listeners.length, 1)
  t.equal(proxyPort(app), old.proxy)
})

t.test('reload: listeners that come while the first ones still open', async (t) => {
  const { text: all } = fileConfig(t, [await backend(t, 'hello')])
  const text = all.replace(/^(status|admin): .*$/gm, '$1: { address: off }')
  const opening = Promise.withResolvers<undefined>()
  let isAsked = false
  const running = {
    ready: () => Promise.resolve({ unseen: [] }),
    isThere: () => true,
    take: () => {
      isAsked = true
      return opening.promise
    },
    retire: () => Promise.resolve(true),
  }
  const { app } = rigApp(t, configOf(text), { running })
  const started = app.start()
  await until(() => isAsked)
  const reloaded = app.reload(
    configOf(text.replace('listen: [', 'listen: [{ name: second, address: "127.0.0.1:0" }, ')),
  )
  await settle()
  opening.resolve(undefined)
  await Promise.all([started, reloaded])
  t.equal(app.addresses().listeners.length, 2)
  for (const { port } of app.addresses().listeners) t.equal((await ask(port)).body, 'hello')
})

t.test('reload: several that come before the first listeners open', async (t) => {
  const { text } = fileConfig(t, [await backend(t, 'hello')])
  const { app } = rigApp(t, configOf(text))
  const named = (name: string) => configOf(text.replace('listen: [{', `listen: [{ name: ${name},`))
  // Each begins when the one before has ended, and so not yet when the listeners are about to open.
  await Promise.all([app.start(), ...Array.from({ length: 50 }, (_, i) => app.reload(named(`n${i}`)))])
  t.match(app.addresses().listeners, [{ name: 'n49' }])
  t.equal((await ask(proxyPort(app))).body, 'hello')
})

t.test('reload: the status address may move to another host on the same port, and back if that fails', async (t) => {
  const taken = await backend(t, '')
  const port = await freePort()
  const { text } = fileConfig(t, [])
  const on = (host: string): string =>
    text.replace('status: { address: "127.0.0.1:0" }', `status: { address: "${host}:${port}" }`)
  const { app } = rigApp(t, configOf(on('127.0.0.1')))
  await app.start()
  t.equal((await ask(port, '/livez', { headers: { host: 'elsewhere' } })).status, 421)
  const bad = on('0.0.0.0').replace('admin: { address: "127.0.0.1:0"', `admin: { address: "127.0.0.1:${taken}"`)
  await t.rejects(app.reload(configOf(bad)), { code: 'FL_LISTEN' })
  t.equal(app.addresses().status, `127.0.0.1:${port}`)
  t.equal((await ask(port, '/livez', { headers: { host: 'elsewhere' } })).status, 421, 'open again as it was')
  await app.reload(configOf(on('0.0.0.0')))
  t.equal(app.addresses().status, `0.0.0.0:${port}`)
  t.equal((await ask(port, '/livez', { headers: { host: 'elsewhere' } })).status, 200)
})

t.test('reload: one that cannot be applied changes nothing and is seen', async (t) => {
  const taken = await backend(t, '')
  const { text } = fileConfig(t, [await backend(t, 'hello')])
  const { app } = rigApp(t, configOf(text))
  await app.start()
  const before = app.addresses()
  const problems = async (): Promise<unknown> =>
    (JSON.parse((await ask(portOf(before.admin), '/v1/problems')).body) as { problems: unknown }).problems
  const busy = `"127.0.0.1:${taken}"`
  const changed = text.replace('service: web }', 'path: /gone, service: web }')
  for (const bad of [
    changed
      .replace('listen: [', `listen: [{ name: x, address: ${busy} }, `)
      .replace('admin: { address: "127.0.0.1:0" }', 'admin: { address: "127.0.0.2:0" }'),
    changed.replace('status: { address: "127.0.0.1:0"', `status: { address: ${busy}`),
    changed.replace('admin: { address: "127.0.0.1:0"', `admin: { address: ${busy}`),
    `${changed}errorPages: { 503: /nowhere/at-all.html }\n`,
  ]) {
    await t.rejects(app.reload(configOf(bad)), { code: /^FL_/ })
    t.same(app.addresses(), before)
    t.equal((await ask(proxyPort(app))).body, 'hello', 'the old routes hold')
    t.match((await ask(portOf(before.status), '/metrics')).body, 'fairlead_config_last_reload_success 0')
    t.match(await problems(), [
      { code: 'config-refused', where: 'configuration', message: /cannot be applied: .*stays in force/ },
    ])
  }
  const { errors } = load(`${text}timouts: 3\n`, {}, 'fairlead.yaml')
  app.standing.refused(errors ?? [])
  t.match(await problems(), [
    { code: 'config-refused', where: 'fairlead.yaml', message: /is refused: fairlead\.yaml:\d+:1: timouts: / },
  ])
  t.match((await ask(portOf(before.status), '/metrics')).body, 'fairlead_config_last_reload_success 0')
  await app.reload(configOf(text))
  t.match((await ask(portOf(before.status), '/metrics')).body, 'fairlead_config_last_reload_success 1')
  t.same(await problems(), [])
  app.standing.restartFor([{ setting: 'workers', message: 'there are 2' }])
  t.match(await problems(), [{ code: 'restart-needed', where: 'configuration workers', message: 'there are 2' }])
  app.standing.restartFor([])
  t.same(await problems(), [])
})

t.test(
  'reload: new catalog sources take over only once they have answered, and no request is lost on the way',
  async (t) => {
    const { text } = fileConfig(t, [await backend(t, 'old')])
    const { app, messages } = rigApp(t, configOf(text))
    await app.start()
    const port = proxyPort(app)
    const version = app.dataPlane().current().table.version
    const gone = createEmbeddedCatalog({ port: 0 }, { clock: systemClock, random: seededRandom(3), log: silentLogger })
    const { port: later } = await gone.listen()
    await gone.close()
    const next = text.replace(/catalog: .*\n/, `catalog: { consul: { address: "http://127.0.0.1:${later}" } }\n`)
    await app.reload(configOf(next))
    t.equal((await ask(port)).body, 'old', 'the new source is not there yet')
    t.same(app.notReady(), [], 'and the old one is no worse than before')
    const web = await backend(t, 'new')
    await embedded(t, later)
    await put(later, '/v1/agent/service/register', { Name: 'web', Port: web, Address: '127.0.0.1' })
    const bodies = new Set<string>()
    await until(async () => {
      const got = await ask(port)
      if (got.status !== 200) throw new Error(`a request was lost: ${got.status}`)
      bodies.add(got.body)
      return got.body === 'new'
    })
    t.same([...bodies], ['old', 'new'])
    t.ok(app.dataPlane().current().table.version > version, 'the version of the table never falls')
    t.ok(messages().includes('the new catalog sources have taken over'))
  },
)

t.test('the embedded catalog of a configuration is kept through reloads that still name it', async (t) => {
  const config = `${quiet}catalog:\n  - embedded: { address: "127.0.0.1:0" }\n`
  const { services } = fileConfig(t, [])
  const rig = rigApp(t, configOf(config))
  await rig.app.start()
  const line = await until(() =>
    rig.messages().find((message) => message.startsWith('the embedded catalog listens on')),
  )
  const port = portOf(line)
  await put(port, '/v1/agent/service/register', {
    Name: 'web',
    Port: await backend(t, 'emb'),
    Address: '127.0.0.1',
    Tags: ['urlprefix-/'],
  })
  await until(async () => (await ask(proxyPort(rig.app))).body === 'emb')
  await rig.app.reload(configOf(`${config}  - file: "${services}"\n`))
  await until(() => rig.messages().includes('the new catalog sources have taken over'))
  t.equal((await ask(proxyPort(rig.app))).body, 'emb', 'what was registered is still there')
  t.equal((await fetch(`http://127.0.0.1:${port}/v1/status/leader`)).status, 200)
  await rig.app.stop()
  t.notOk(await canConnect(port))
})

t.test(
  'stop: not ready and deregistered first, serving meanwhile; then what runs finishes; then all is closed',
  async (t) => {
    const held: ServerResponse[] = []
    const web = await backend(t, (req, res) => {
      if (req.url === '/slow') held.push(res)
      else res.end('quick')
    })
    const catalogPort = await embedded(t)
    const catalog = `http://127.0.0.1:${catalogPort}`
    await put(catalogPort, '/v1/agent/service/register', { Name: 'web', Port: web, Address: '127.0.0.1' })
    const text = quiet.replace(/shutdown: .*/, 'shutdown: { lameDuck: 400ms, deadline: 5s }')
    const { app } = rigApp(
      t,
      configOf(
        `${text}catalog: { consul: { address: "${catalog}" } }\nroutes: [{ service: web }]\nregister: { service: edge, port: 4242, tags: [a] }\n`,
      ),
    )
    await app.start()
    const port = proxyPort(app)
    const registered = async (): Promise<
      { Service: { Port: number; Tags: string[] }; Checks: { Status: string }[] }[]
    > => (await (await fetch(`${catalog}/v1/health/service/edge`)).json()) as never
    const [entry] = await until(async () => {
      const entries = await registered()
      return entries[0]?.Checks.every(({ Status }) => Status === 'passing') ? entries : undefined
    })
    t.match(entry, { Service: { Port: 4242, Tags: ['a'] } })
    const slow = ask(port, '/slow')
    await until(() => held.length === 1)
    const status = portOf(app.addresses().status)
    const stopped = app.stop()
    const unready = await ask(status, '/readyz')
    t.match({ ...unready, body: JSON.parse(unready.body) }, { status: 503, body: { reasons: ['shutting down'] } })
    t.equal((await ask(status, '/livez')).status, 200)
    t.equal((await ask(port)).body, 'quick', 'in the lame duck time it serves')
    await until(async () => (await registered()).length === 0)
    t.ok(await canConnect(port), 'deregistered before it stops accepting')
    await until(async () => !(await canConnect(port)))
    held[0]?.end('whole')
    t.match(await slow, { status: 200, body: 'whole' })
    await stopped
    t.notOk(await canConnect(status))
  },
)

t.test('reload: its own registration follows the settings, and is left alone where they did not change', async (t) => {
  const catalogPort = await embedded(t)
  const catalog = `http://127.0.0.1:${catalogPort}`
  const text = (register: string): string => `${quiet}catalog: { consul: { address: "${catalog}" } }\n${register}`
  const { app, messages } = rigApp(t, configOf(text('register: { service: edge, port: 4242, tags: [a] }\n')))
  await app.start()
  const tags = async (): Promise<string[] | undefined> => {
    const entries = (await (await fetch(`${catalog}/v1/catalog/service/edge`)).json()) as { ServiceTags: string[] }[]
    return entries[0]?.ServiceTags
  }
  const times = (): number => messages().filter((message) => message.startsWith('registered at Consul as edge')).length
  await until(() => times() === 1)
  await app.reload(configOf(text('register: { service: edge, port: 4242, tags: [a] }\nlog: { access: off }\n')))
  t.equal(times(), 1)
  t.same(await tags(), ['a'])
  await app.reload(configOf(text('register: { service: edge, port: 4242, tags: [b] }\n')))
  await until(() => times() === 2)
  t.same(await tags(), ['b'])
  await app.reload(configOf(text('')))
  t.equal(await tags(), undefined)
})

t.test('stop: what was sent and has no answer at the deadline is answered 504', async (t) => {
  const web = await backend(t, () => {})
  const { text } = fileConfig(t, [web])
  const { app } = rigApp(t, configOf(text.replace('deadline: 1s', 'deadline: 100ms')))
  await app.start()
  const hanging = ask(proxyPort(app))
  await until(() => [...app.dataPlane().figures().services].some(({ inFlight }) => inFlight === 1))
  await app.stop()
  t.equal((await hanging).status, 504)
})

t.test('error pages stand in for our own answers', async (t) => {
  const page = join(folderOf(t), '503.html')
  writeFileSync(page, '<p>soon</p>')
  const { text } = fileConfig(t, [], `errorPages: { 503: "${page}" }\n`)
  const { app } = rigApp(t, configOf(text))
  await app.start()
  const got = await ask(proxyPort(app))
  t.match(got, { status: 503, body: '<p>soon</p>', headers: { 'content-type': 'text/html; charset=utf-8' } })
})

t.test('a catalog that does not answer is a problem, before the first answer and after', async (t) => {
  const fake = await FakeConsul.start()
  t.teardown(() => fake.stop())
  fake.script = () => ({ status: 500, body: 'rpc error' })
  const { app } = rigApp(t, configOf(`${quiet}catalog: { consul: { address: "${fake.address}" } }\n`))
  const started = app.start()
  await until(() => app.addresses().admin)
  const { admin, status } = app.addresses()
  const problems = async (): Promise<readonly Problem[]> =>
    (JSON.parse((await ask(portOf(admin), '/v1/problems')).body) as { problems: Problem[] }).problems
  const standing = (code: string): Promise<boolean> =>
    until(async () => {
      const [first] = await problems()
      return first?.code === code && first.where === 'catalog consul' && /500 rpc error/.test(first.message)
    })
  await standing('catalog-waiting')
  await until(async () => /^fairlead_problems 3$/m.test((await ask(portOf(status), '/metrics')).body))
  t.match((await ask(portOf(status), '/metrics')).body, /^fairlead_catalog_last_success_\w+\{source="consul"\} 0$/m)
  fake.script = undefined
  await started
  await until(async () => (await problems()).length === 0)
  fake.script = () => ({ status: 500, body: 'rpc error' })
  fake.set('other', [])
  await standing('catalog-stale')
})

t.test('problems are listed and counted', async (t) => {
  const catalogPort = await embedded(t)
  const tags = ['urlprefix-/ok', 'urlprefix-/x redirect=nonsense,']
  await put(catalogPort, '/v1/agent/service/register', { Name: 'web', Port: 1, Address: '127.0.0.1', Tags: tags })
  const { app } = rigApp(t, configOf(`${quiet}catalog: { consul: { address: "http://127.0.0.1:${catalogPort}" } }\n`))
  await app.start()
  const { admin, status } = app.addresses()
  const { problems } = JSON.parse((await ask(portOf(admin), '/v1/problems')).body) as { problems: { code: string }[] }
  t.ok(problems.length > 0)
  t.match((await ask(portOf(status), '/metrics')).body, `fairlead_problems ${problems.length}`)
})
