/** The promise of upgrades in place as it is written, on Linux, for `npm run faults`; `test/cli/upgrade.test.ts` has the short form. */
import t from 'tap'
import { rolling } from '../fixtures/upgrade.ts'

t.test(
  'three proxies under 3,000 requests a second with 500 WebSockets, a balancer that looks every 2 s',
  async (t) => {
    const startMs = performance.now()
    const { failures, exits, unready, done } = await rolling(t, {
      checkMs: 2_000,
      lameDuckMs: 2_000,
      clients: 100,
      requestsPerS: 2_900,
      connectionsPerS: 100,
      webSockets: 500,
      socketLifeMs: 10_000,
    })
    const seconds = (performance.now() - startMs) / 1_000
    t.comment(`in ${seconds.toFixed(1)} s, the start of three included: ${JSON.stringify(done)}`)
    t.same(failures, {})
    t.same(exits, [0, 0, 0])
    t.equal(unready, 0)
  },
)
