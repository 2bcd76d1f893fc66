/**
 * No false alarms: processes that are slow, long-polling, streaming or collecting garbage are not dead. Nothing is killed here,
 * and nothing may be ejected: at most one ejection per million requests, at most 1 % of requests executed twice.
 */
import { type Asked, mixed } from './lib/client.ts'
import { byForm } from './lib/form.ts'
import { parseLedger } from './lib/ledger.ts'
import { faultTest } from './lib/scenario.ts'

const holdMs = byForm(4_000, 30_000)

faultTest('heavy tails, long polls, event streams and pauses of 0.1 to 0.4 s', {
  world: { backend: { latency: 'heavy', pause: '100-400', pauseEveryMs: 3_000 } },
  act: async (world) => {
    const only = (path: string) => (): Asked => ({ method: 'GET', path, bodyBytes: 0 })
    world.load({ connections: 32, rate: byForm(300, 500), ask: mixed() })
    world.load({ connections: 8, name: 'poll', ask: only(`/hold?ms=${holdMs}`) })
    const stream = `/stream?ms=${holdMs}&bytes=2000&pieces=${holdMs / 500}&chunked=1`
    world.load({ connections: 8, name: 'stream', ask: only(stream) })
    await world.pass(byForm(10_000, 600_000))
  },
  limits: { failedUnsafeMax: 0, seenTwiceShareMax: 0.01 },
  ledger: false,
  alone: true,
  also: async (t, { figures }, world) => {
    const { kills } = parseLedger(await world.proxy.get('/v1/kills'))
    const ejections = (await world.proxy.metric('fairlead_ejections_total')) ?? 0
    const allowed = Math.max(1, Math.ceil(figures.requests / 1_000_000))
    t.comment(`${ejections} ejections, ${kills.length} deaths told, in ${figures.requests} requests`)
    t.ok(ejections <= allowed, `at most ${allowed} ejections`)
    t.ok(kills.length <= allowed, `at most ${allowed} deaths told`)
  },
})
