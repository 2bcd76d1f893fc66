/**
 * The short form of the soak (`npm run soak`): under a catalog that never rests, nobody reads the log, then Consul shows nothing,
 * then it knows no token. No request fails, and each has its line or is counted as lost.
 */
import t from 'tap'
import { judgeSoak } from '../../bench/soak/judge.ts'
import { runSoak } from '../../bench/soak/run.ts'
import { findConsul } from '../fixtures/install.ts'

t.setTimeout(240_000)

const { path, reason } = await findConsul()

await t.test(
  'churn, a log that nobody reads, and rights lost',
  { skip: path === undefined ? reason : false },
  async (t) => {
    const result = await runSoak({
      plan: { totalMs: 22_000, blocked: { fromMs: 3_000, forMs: 1_000 }, blind: { fromMs: 10_000, forMs: 6_000 } },
      connections: 200,
      requestsPerS: 300,
      webSockets: 20,
      changesPerS: 10,
      services: 5,
      instances: 4,
      graceMs: 2_500,
      slowMs: 800,
      queryChars: 900,
      sampleMs: 1_000,
      seed: 1,
      say: (line) => t.comment(line),
    })
    for (const failure of result.failures) t.comment(failure)
    for (const { text, met } of judgeSoak(result)) t.ok(met, text)
    t.ok(Object.keys(result.changes).length === 5, `changes of all kinds: ${JSON.stringify(result.changes)}`)
  },
)
