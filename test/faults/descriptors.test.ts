/** The proxy runs out of file descriptors: that is its own trouble, shed and over when it is over, and no instance's death. */
import { onlyGets } from './lib/client.ts'
import { hasFailed } from './lib/figures.ts'
import { byForm } from './lib/form.ts'
import { parseLedger } from './lib/ledger.ts'
import { faultTest } from './lib/scenario.ts'

faultTest('more clients than descriptors', {
  world: { descriptorsMax: 128, backend: { latency: 20 } },
  act: async (world) => {
    world.load({ connections: 8, rate: 200, ask: onlyGets() })
    await world.pass(500)
    await world.inflict('too many clients', async () => {
      const crowd = world.load({ name: 'crowd', connections: 200, rate: 400, ask: onlyGets(), timeoutMs: 5_000 })
      await world.pass(byForm(2_000, 20_000))
      await crowd.stop(6_000)
    })
    await world.pass(byForm(1_500, 5_000))
  },
  // What there is no descriptor for is refused, at the door or behind it; afterwards all is as before.
  limits: { exempt: (sent) => sent.id.startsWith('crowd') || hasFailed(sent), seenMax: 1 },
  ledger: false,
  alone: true,
  also: async (t, { facts }, world) => {
    const crowd = facts.sent.filter(({ id }) => id.startsWith('crowd'))
    const failed = facts.sent.filter(hasFailed)
    t.comment(`${failed.length} of ${facts.sent.length} failed, in a crowd of ${crowd.length}`)
    const tail = facts.sent.filter(({ id }) => !id.startsWith('crowd')).slice(-100)
    t.strictSame(tail.filter(hasFailed), [], 'the last 100 of the others are good')
    const { kills } = parseLedger(await world.proxy.get('/v1/kills'))
    t.strictSame(kills, [], 'nobody is told dead')
  },
})
