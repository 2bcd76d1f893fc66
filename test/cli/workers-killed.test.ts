/** The processes of a proxy with several workers, really killed: what goes on, what is lost, what comes back. */
import { readdirSync } from 'node:fs'
import { Agent, createServer } from 'node:http'
import { type AddressInfo } from 'node:net'
import t from 'tap'
import { ask, backend } from '../fixtures/app.ts'
import { allGone, isGone } from '../fixtures/command.ts'
import { kept, killNow } from '../fixtures/kept.ts'
import { until } from '../fixtures/until.ts'
import { serveWorkers, slow } from '../fixtures/workers.ts'

t.test('connections are spread over workers, and the port is one', async (t) => {
  const one = await serveWorkers(t, [await backend(t, 'hello')])
  await one.ready()
  const all = await kept(t, one.port, 400)
  t.same(new Set(await Promise.all(all.map((each) => each.ask()))), new Set([200]))
  const shares = await until(async () => {
    const of = await Promise.all([0, 1].map((slot) => one.metric(`fairlead_worker_connections{worker="${slot}"}`)))
    return of[0] !== undefined && of[1] !== undefined && of[0] + of[1] === 400 && of
  }, slow)
  // By chance, each with a half: 400 tosses of a coin never come so far from 200.
  for (const share of shares) t.ok(share !== undefined && share > 120, String(share))
  t.equal(one.children().length, 3)
})

t.test(
  'a worker that is killed is replaced, its siblings never notice, and its own connections are what is lost',
  async (t) => {
    const one = await serveWorkers(t, [await backend(t, 'hello')])
    await one.ready()
    const all = await kept(t, one.port, 40)
    for (const each of all) t.equal(await each.ask(), 200)
    const before = await one.metric('fairlead_requests_total{service="web"')
    const lost = await one.metric('fairlead_worker_connections{worker="0"}')
    const pid = killNow(one.find('worker --slot 0'))
    await until(() => isGone(pid), slow)
    const answers = await Promise.all(all.map((each) => each.ask()))
    t.equal(answers.filter((answer) => answer === 'over').length, lost, 'its connections, and no others')
    t.equal(answers.filter((answer) => answer === 200).length, 40 - (lost ?? 0))
    for (let i = 0; i < 20; i++) t.equal((await ask(one.port)).status, 200, 'the other takes new ones')
    await until(() => one.find('worker --slot 0'), slow)
    await until(async () => (await one.metric('fairlead_worker_connections{worker="0"}')) !== undefined, slow)
    t.not(one.find('worker --slot 0'), pid)
    const after = (await one.metric('fairlead_requests_total{service="web"')) ?? 0
    t.ok(after >= (before ?? 0) + 20, `what it counted is still there: ${after}`)
    t.equal(one.said('worker 0 has died (SIGKILL)'), 1)
  },
)

t.test('control that is killed: requests go on, deaths are noticed, nothing fails; it returns and knows', async (t) => {
  const server = createServer((_req, res) => res.end('hello'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const weak = (server.address() as AddressInfo).port
  const one = await serveWorkers(t, [weak, await backend(t, 'hello')])
  await one.ready()
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  t.teardown(() => agent.destroy())
  const statuses = new Map<unknown, number>()
  const going = { on: true }
  const load = Array.from({ length: 8 }, async () => {
    while (going.on) {
      const { status } = await ask(one.port, '/', { agent }).catch(({ code }: NodeJS.ErrnoException) => ({
        status: code,
      }))
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
  })
  const count = (): number => statuses.get(200) ?? 0
  const goOn = async (): Promise<void> => {
    const goal = count() + 200
    await until(() => count() >= goal, slow)
  }
  await goOn()
  // Frozen first, so that it is surely away when the backend dies, and nobody has started another.
  const pid = one.find('control') ?? 0
  process.kill(pid, 'SIGSTOP')
  await goOn()
  server.close()
  server.closeAllConnections()
  await until(() => one.said('endpoint ejected') >= 1, slow)
  await goOn()
  killNow(pid)
  await goOn()
  await until(() => one.find('control') !== pid && one.find('control'), slow)
  await one.ready()
  await goOn()
  const view = async (): Promise<string> => (await ask(one.admin, '/v1/services/web')).body
  await until(async () => (await view()).includes('"state":"ejected"'), slow)
  going.on = false
  await Promise.all(load)
  t.same([...statuses.keys()], [200], 'no request has failed')
  t.equal(one.said('the control process has died (SIGKILL)'), 1)
  t.equal(one.said('worker 0 has died') + one.said('worker 1 has died'), 0)
})

t.test('a supervisor that is killed: its children notice, finish what runs, and end', async (t) => {
  const asked = Promise.withResolvers<void>()
  const release = Promise.withResolvers<void>()
  const one = await serveWorkers(t, [
    await backend(t, (_req, res) => {
      asked.resolve()
      void release.promise.then(() => res.end('hello'))
    }),
  ])
  await one.ready()
  const children = one.children()
  t.equal(children.length, 3)
  const got = ask(one.port)
  await asked.promise
  one.child.kill('SIGKILL')
  await until(() => one.said('no new connections; what runs may finish') >= 3, slow)
  release.resolve()
  t.equal((await got).body, 'hello')
  await allGone(children)
  t.same(readdirSync(one.temporary), [], 'nothing is left behind')
})
