/** An upgrade in place that does not come about: what ends says why, and what ran goes on. */
import t from 'tap'
import { ask, freePort } from '../fixtures/app.ts'
import { fairlead } from '../fixtures/command.ts'
import { echoBackend, load, placeOf, ready, slow, tookOver, watchReadiness } from '../fixtures/upgrade.ts'
import { until } from '../fixtures/until.ts'

if (process.platform !== 'linux') t.bailout('sockets are handed over on Linux only')

const times = 'shutdown: { lameDuck: 500ms, deadline: 20s }\n'

/** Every kind of traffic, and little of it. */
const light = { clients: 4, requestsPerS: 200, connectionsPerS: 100, webSockets: 4, socketLifeMs: 500 }

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
