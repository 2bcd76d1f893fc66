/** An upgrade in place that is disturbed: by the end of one side of it at a known moment, by a second one, by a path. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ask, freePort } from '../fixtures/app.ts'
import { adminAnswers, asked, has, openTunnel, serves, times, upgrade } from '../fixtures/held-upgrade.ts'
import { type Command, isGone } from '../fixtures/command.ts'
import { load, placeOf, ready, slow, tookOver, watchReadiness } from '../fixtures/upgrade.ts'
import { until } from '../fixtures/until.ts'

if (process.platform !== 'linux') t.bailout('sockets are handed over on Linux only')
t.jobs = 2

for (const workers of [1, 2]) {
  t.test(`the new one is killed before it takes anything: nothing is lost; workers: ${workers}`, async (t) => {
    const { place, old, held, go } = await upgrade(t, workers)
    const looks = watchReadiness(place)
    const traffic = load({
      port: () => place.port,
      clients: 2,
      requestsPerS: 100,
      connectionsPerS: 50,
      webSockets: 2,
      socketLifeMs: 500,
    })
    // First what was started, then each process of it in turn.
    const first = await held()
    process.kill(first.pid, 'SIGKILL')
    await first.exit
    const second = await held()
    process.kill(asked(second, workers), 'SIGKILL')
    // With workers another one takes its place, and finds nothing that it could take over.
    t.equal(await second.exit, 1)
    const before = traffic.done.connections
    await until(() => traffic.done.connections > before + 20, slow)
    const third = await held()
    go()
    t.equal(await tookOver(old, third), 0)
    await traffic.stop()
    t.same(Object.fromEntries(traffic.failures), {})
    t.same(await looks.stop(), [200])
  })

  t.test(`two at once: the second says so and ends, the first takes over; workers: ${workers}`, async (t) => {
    const { place, old, held, go } = await upgrade(t, workers)
    const first = await held()
    const second = place.start('--replace')
    t.equal(await second.exit, 1)
    t.match(second.err(), /another one is taking over from it/)
    go()
    t.equal(await tookOver(old, first), 0)
    await serves(t, place)
    t.equal(first.child.exitCode, null)
  })

  t.test(`one that is told to stop is taken over from all the same; workers: ${workers}`, async (t) => {
    const { place, old, held, go } = await upgrade(t, workers)
    const next = await held()
    // Holds the old one.
    const tunnel = await openTunnel(place.port)
    old.child.kill('SIGTERM')
    await has(old, 'no new connections; what runs may finish')
    go()
    await tookOverSays(t, next)
    await serves(t, place)
    t.equal(old.child.exitCode, null)
    tunnel.destroy()
    t.equal(await old.exit, 0)
    await serves(t, place)
  })

  t.test(`admin on a Unix socket; workers: ${workers}`, async (t) => {
    const folder = await placeOf(t, 0, '')
    const socket = join(folder.folder, 'admin.sock')
    const { place, old } = await upgrade(t, workers, `admin: { address: "unix:${socket}" }\n`)
    t.equal(await adminAnswers(socket), true)
    const next = place.start('--replace')
    t.equal(await tookOver(old, next), 0)
    await until(() => adminAnswers(socket), slow)
    t.equal(next.out().includes('unix:'), true)
    next.child.kill('SIGTERM')
    t.equal(await next.exit, 0)
    t.equal(existsSync(socket), false)
  })
}

t.test('one that drains already is taken over from', async (t) => {
  const { place, old } = await upgrade(t, 1)
  const tunnel = await openTunnel(place.port)
  old.child.kill('SIGTERM')
  await has(old, 'no new connections; what runs may finish')
  const next = place.start('--replace')
  await tookOverSays(t, next)
  await serves(t, place)
  t.equal(old.child.exitCode, null)
  tunnel.destroy()
  t.equal(await old.exit, 0)
  await serves(t, place)
})

t.test('the running one is killed in the middle: the new one goes on alone', async (t) => {
  const { place, old, held, go } = await upgrade(t, 1)
  const next = await held()
  old.child.kill('SIGKILL')
  await has(next, 'the proxy that ran before has ended')
  go()
  await ready(place, next)
  await serves(t, place)
})

t.test(
  'the control process of the running one is killed in the middle: the new one ends, the old one goes on',
  async (t) => {
    const { place, old, held, go } = await upgrade(t, 2)
    const next = await held()
    const control = asked(old, 2)
    process.kill(control, 'SIGKILL')
    await until(() => isGone(control), slow)
    go()
    t.equal(await next.exit, 1)
    t.match(next.out(), /the running proxy stopped handing its sockets over/)
    await ready(place, old)
    await serves(t, place)
    const good = place.start('--replace')
    t.equal(await tookOver(old, good), 0)
  },
)

t.test('one with an embedded catalog is refused, and why is said', async (t) => {
  const { place, old } = await upgrade(t, 1)
  place.write(`${times}catalog: { embedded: { address: "127.0.0.1:${await freePort()}" } }\n`)
  const next = place.start('--replace')
  t.equal(await next.exit, 1)
  t.match(next.err(), /an embedded catalog cannot be upgraded in place: its catalog lives in the process that ends/)
  t.equal((await ask(place.status, '/livez')).status, 200)
  t.equal(old.child.exitCode, null)
})

async function tookOverSays(t: { equal: (a: unknown, b: unknown) => void }, next: Command): Promise<void> {
  await has(next, 'this proxy has taken over')
  t.equal(next.child.exitCode, null)
}
