/** All endpoints dead: told so at once, each time, with Retry-After; and back as soon as the first of them is. */
import { until } from '../fixtures/until.ts'
import { askOnce, onlyGets, type Sent } from './lib/client.ts'
import { hasFailed } from './lib/figures.ts'
import { byForm, long } from './lib/form.ts'
import { faultTest } from './lib/scenario.ts'

let deadFromMs = 0
let returnedMs = 0
let servedMs = 0

faultTest('all four die, and one comes back', {
  world: { backend: { latency: 5 } },
  act: async (world) => {
    const load = world.load({ connections: 8, rate: 200, ask: onlyGets() })
    await world.requests(100)
    await Promise.all(world.instances.map((instance) => world.kill(instance)))
    // What was under way at the deaths is another matter: tries, one after the other, that end as they may.
    await until(() => load.sent.at(-1)?.status === 503, { what: 'a 503' })
    deadFromMs = performance.now()
    await world.pass(byForm(1_500, 10_000))
    returnedMs = performance.now()
    await world.fleet.start('web-1b', { port: world.instance(0).port, latency: 5 })
    await until(async () => (await askOnce(world.proxy.port)).outcome === 'good', { what: 'a good answer' })
    servedMs = performance.now()
    await world.requests(100)
  },
  limits: { exempt: hasFailed },
  ledger: { exempt: hasFailed },
  alone: true,
  also: (t, { facts }, world) => {
    if (!world.withFault) return
    const dead = facts.sent.filter(({ startMs, endMs }) => startMs > deadFromMs && endMs < returnedMs)
    const took = dead.map(({ startMs, endMs }) => endMs - startMs)
    t.comment(`${dead.length} requests while all were dead, the slowest took ${Math.round(Math.max(...took))} ms`)
    t.comment(`a good answer ${Math.round(servedMs - returnedMs)} ms after the start of a process`)
    const odd = dead.filter((one: Sent) => one.status !== 503 || one.retryAfter === undefined)
    t.ok(dead.length > 50, 'it was asked')
    t.strictSame(odd.slice(0, 3), [], 'each is a 503 with Retry-After')
    if (!long) return
    t.ok(Math.max(...took) < 200, 'each soon')
    t.ok(servedMs - returnedMs < 2_500, 'and back soon')
  },
})
