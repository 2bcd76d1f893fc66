/** What is changed at a proxy that has taken over from another. */
import t from 'tap'
import { ask, freePort } from '../fixtures/app.ts'
import { echoBackend, placeOf, ready, slow, tookOver } from '../fixtures/upgrade.ts'
import { until } from '../fixtures/until.ts'

if (process.platform !== 'linux') t.bailout('sockets are handed over on Linux only')

const times = 'shutdown: { lameDuck: 100ms, deadline: 20s }\n'

for (const workers of [1, 2])
  t.test(`one that has taken over opens listeners that a reload names; workers: ${workers}`, async (t) => {
    const place = await placeOf(t, await echoBackend(t), `workers: ${workers}\n${times}`)
    const first = place.start()
    await ready(place, first)
    const next = place.start('--replace')
    t.equal(await tookOver(first, next), 0)
    const more = await freePort()
    const listen = `listen: [{ address: "127.0.0.1:${place.port}" }, { address: "127.0.0.1:${more}" }]`
    place.write(`workers: ${workers}\n${times}${listen}`)
    await until(() => /the configuration is in force|cannot be applied/.test(next.out()), slow)
    t.notMatch(next.out(), /cannot be applied/)
    t.equal((await ask(more, '/')).status, 200)
  })
