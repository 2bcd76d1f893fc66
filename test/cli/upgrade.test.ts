/** An upgrade in place: another `fairlead serve --replace` beside the running one, under load that never tries again. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ask, freePort } from '../fixtures/app.ts'
import { fairlead } from '../fixtures/command.ts'
import { workersOf } from '../fixtures/held-upgrade.ts'
import { echoBackend, load, placeOf, ready, rolling, slow, tookOver, watchReadiness } from '../fixtures/upgrade.ts'
import { until } from '../fixtures/until.ts'

if (process.platform !== 'linux') t.bailout('sockets are handed over on Linux only')

const times = 'shutdown: { lameDuck: 500ms, deadline: 20s }\n'

/** Every kind of traffic, and little of it. */
const light = { clients: 4, requestsPerS: 200, connectionsPerS: 100, webSockets: 4, socketLifeMs: 500 }

for (const workers of [1, 2])
  t.test(`under load, twice in a row, with workers: ${workers}`, async (t) => {
    const place = await placeOf(t, await echoBackend(t), `workers: ${workers}\n${times}`)
    let running = place.start()
    await ready(place, running)
    // More of them, and of some length, so that there are some at every moment.
    const traffic = load({ port: () => place.port, ...light, clients: 8, webSockets: 10, socketLifeMs: 2_000 })
    const looks = watchReadiness(place)
    for (let i = 0; i < 2; i++) {
      const next = place.start('--replace')
      t.equal(await tookOver(running, next), 0)
      running = next
    }
    const before = traffic.done.connections
    await until(() => traffic.done.connections > before + 20 && traffic.done.sockets >= 10, slow)
    await traffic.stop()
    t.same(Object.fromEntries(traffic.failures), {})
    t.same(await looks.stop(), [200], 'ready at every moment')
    t.ok(traffic.done.requests > 200 && traffic.done.echoes > 50, JSON.stringify(traffic.done))
    for (const line of readFileSync(join(place.folder, 'state', 'history.jsonl'), 'utf8')
      .trim()
      .split('\n'))
      t.type(JSON.parse(line), 'object')
    running.child.kill('SIGTERM')
    t.equal(await running.exit, 0)
  })

t.test('another number of workers: more open sockets of their own, none of those that ran is left', async (t) => {
  const backend = await echoBackend(t)
  const place = await placeOf(t, backend, `workers: 2\n${times}`)
  let running = place.start()
  await ready(place, running)
  const traffic = load({ port: () => place.port, ...light })
  for (const [wanted, workers] of [
    [3, 3],
    [2, 3],
    [1, 3],
  ]) {
    place.write(`workers: ${wanted}\n${times}`)
    const next = place.start('--replace')
    t.equal(await tookOver(running, next), 0)
    running = next
    t.equal(workersOf(next), workers)
    t.equal(next.out().includes(`${workers} workers and not ${wanted}`), workers !== wanted)
  }
  const before = traffic.done.connections
  await until(() => traffic.done.connections > before + 20, slow)
  await traffic.stop()
  t.same(Object.fromEntries(traffic.failures), {})
})

t.test('without --replace a second start ends, says what would help, and the first goes on', async (t) => {
  for (const workers of [1, 2]) {
    const place = await placeOf(t, await echoBackend(t), `workers: ${workers}\n${times}`)
    const first = place.start()
    await ready(place, first)
    const second = place.start()
    t.equal(await second.exit, 1)
    t.match(second.out(), /in use \(EADDRINUSE\).*`fairlead serve --replace` takes over from it/)
    t.equal((await ask(place.port)).body, 'ok')
    t.equal(first.child.exitCode, null)
  }
})

t.test('one that cannot start leaves the running one as it is, whatever stops it', async (t) => {
  const place = await placeOf(t, await echoBackend(t), `workers: 1\n${times}`)
  const first = place.start()
  await ready(place, first)
  const looks = watchReadiness(place)
  const traffic = load({ port: () => place.port, ...light })
  const taken = await echoBackend(t)
  const bad: readonly (readonly [string, RegExp])[] = [
    [`routes2: x\n${times}`, /routes2/],
    [`workers: 2\n${times}`, /has no workers, or they are ending, and this one is to have 2/],
    // Found only when its listeners are open and share the first one's connections.
    [`workers: 1\nstatus: { address: "127.0.0.1:${taken}" }\n${times}`, /status address.*in use/],
  ]
  for (const [more, why] of bad) {
    place.write(more)
    const second = place.start('--replace')
    t.equal(await second.exit, 1)
    t.match(second.out() + second.err(), why)
    t.equal(first.child.exitCode, null)
  }
  // One that waits for its catalog, and is given up.
  place.write(`workers: 1\ncatalog: { consul: { address: "http://127.0.0.1:${await freePort()}" } }\n${times}`)
  const waiting = place.start('--replace')
  await until(() => waiting.out().includes('consul'), slow)
  t.equal((await ask(place.port)).body, 'ok')
  waiting.child.kill('SIGKILL')
  await waiting.exit
  const before = traffic.done.connections
  await until(() => traffic.done.connections > before + 20, slow)
  // What was tried in vain stands in nobody's way.
  place.write(`workers: 1\n${times}`)
  const good = place.start('--replace')
  t.equal(await tookOver(first, good), 0)
  await traffic.stop()
  t.same(Object.fromEntries(traffic.failures), {})
  t.same(await looks.stop(), [200])
})

t.test('where none runs, --replace just starts; without a place to look for one, it says so', async (t) => {
  const place = await placeOf(t, await echoBackend(t), times)
  const first = place.start('--replace')
  await ready(place, first)
  // What a kill leaves behind is nobody.
  first.child.kill('SIGKILL')
  await first.exit
  const second = place.start('--replace')
  await ready(place, second)
  t.equal((await ask(place.port)).body, 'ok')
  const nowhere = fairlead(['serve', '--replace'])
  t.equal(await nowhere.exit, 1)
  t.match(nowhere.err(), /--replace needs the setting stateDir/)
})

t.test('three behind a balancer, one after the other: nothing refused, nothing failed', async (t) => {
  const outcome = await rolling(t, {
    checkMs: 200,
    lameDuckMs: 500,
    clients: 12,
    requestsPerS: 600,
    connectionsPerS: 60,
    webSockets: 30,
    socketLifeMs: 2_000,
  })
  t.same(outcome.failures, {})
  t.same(outcome.exits, [0, 0, 0])
  t.equal(outcome.unready, 0, 'every check found every proxy ready')
})
