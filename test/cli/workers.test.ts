/** `fairlead serve` with several workers: signals, reloads, and what it cannot start with. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { ask, backend } from '../fixtures/app.ts'
import { allGone, fairlead } from '../fixtures/command.ts'
import { until } from '../fixtures/until.ts'
import { tlsParts } from '../fixtures/tls-parts.ts'
import { serveWorkers, slow } from '../fixtures/workers.ts'

t.test('SIGTERM: not ready, then drained, then 0, also where a service manager signals all of them', async (t) => {
  for (const toAll of [false, true]) {
    const one = await serveWorkers(t, [await backend(t, 'hello')])
    await one.ready()
    const children = one.children()
    for (const pid of [one.pid, ...(toAll ? children : [])]) process.kill(pid, 'SIGTERM')
    t.equal(await one.exit, 0)
    await allGone(children)
    t.equal(one.said('SIGTERM: stopping'), 1)
    t.equal(one.said('stopped'), 1)
    t.equal(one.said('worker 0 has died'), 0)
    t.equal(one.err(), '')
    t.same(readdirSync(one.temporary), [])
  }
})

t.test('a second signal ends all at once', async (t) => {
  const one = await serveWorkers(t, [])
  await one.ready()
  one.write('routes: [{ service: web }]\nshutdown: { lameDuck: 1h }\nworkers: 2\n')
  one.child.kill('SIGHUP')
  await until(() => one.said('the configuration is in force') === 1, slow)
  const children = one.children()
  one.child.kill('SIGTERM')
  await until(() => one.said('shutting down') === 1, slow)
  t.equal((await ask(one.status, '/readyz')).status, 503)
  one.child.kill('SIGTERM')
  t.equal(await one.exit, 143)
  await allGone(children)
})

t.test('SIGHUP reaches workers; their number is a matter of the start', async (t) => {
  const one = await serveWorkers(t, [await backend(t, 'hello')])
  await one.ready()
  one.write('routes: [{ service: web, path: /web }]\nlog: { access: off }\nworkers: 3\n')
  one.child.kill('SIGHUP')
  await until(() => one.said('the configuration is in force') === 1, slow)
  await until(async () => (await ask(one.port)).status === 404)
  const lines = one.out().split('"level":"access"').length
  for (let i = 0; i < 10; i++) t.equal((await ask(one.port, '/web')).status, 200)
  t.equal(one.said('the number of workers changes only with a new start: there are 2, and 3 are asked for'), 1)
  const { problems } = JSON.parse((await ask(one.admin, '/v1/problems')).body) as { problems: unknown }
  t.match(problems, [{ code: 'restart-needed', where: 'configuration workers' }])
  t.equal(one.children().length, 3)
  one.child.kill('SIGTERM')
  t.equal(await one.exit, 0)
  t.ok(one.out().split('"level":"access"').length <= lines + 1)
})

t.test('what it cannot start with ends it, and says why', async (t) => {
  const bad = await serveWorkers(t, [], 'workers: 2\nadmin2: x\n')
  t.equal(await bad.exit, 1)
  t.match(bad.err(), /fairlead\.yaml:\d+:1: admin2/)
  const port = await backend(t, 'somebody else')
  const one = await serveWorkers(t, [], `workers: 2\n`, port)
  t.equal(await one.exit, 1)
  t.match(one.out(), /fairlead cannot run: the listener 127\.0\.0\.1:\d+ cannot be opened: it is in use/)
  t.equal(one.said('worker 0 has died'), 0)
})

t.test('where there is no place for the socket, it says so', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-workers-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'f.yaml')
  writeFileSync(file, 'workers: 2\n')
  const one = fairlead(['serve', '--config', file], { env: { TMPDIR: join(folder, 'none') } })
  t.equal(await one.exit, 1)
  t.match(one.out(), /no place for the socket between its processes.*set TMPDIR/)
})

t.test('workers speak TLS to instances with the certificates that control has read', async (t) => {
  const parts = await tlsParts()
  if (!parts) return t.comment('needs openssl')
  const server = createServer(parts.server, (_request, response) => response.end('secret'))
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const ca = join(t.testdir({}), 'ca.pem')
  writeFileSync(ca, parts.authority.cert)
  const more = `workers: 2\nservices: { web: { tls: { ca: "${ca}" } } }\n`
  const one = await serveWorkers(t, [(server.address() as AddressInfo).port], more)
  await one.ready()
  await until(async () => (await ask(one.port)).body === 'secret', slow)
  for (let i = 0; i < 20; i++) t.equal((await ask(one.port)).body, 'secret')
})
