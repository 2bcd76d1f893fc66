/**
 * Backends that live and do wrong, one of three in each service: what can be saved is saved, what cannot is bounded by the
 * wrongdoer's ejection, and none of it is ever taken for something whole.
 */
import type { Test } from 'tap'
import { mixed, onlyGets } from './lib/client.ts'
import type { BackendOptions } from './lib/fleet.ts'
import { hasFailed, isSafe } from './lib/figures.ts'
import { byForm } from './lib/form.ts'
import { faultTest, type Judged } from './lib/scenario.ts'

const wrongs = ['silent', 'half', 'reset', 'garbage', 'leak', 'error'] as const
type Wrong = (typeof wrongs)[number]

/** What cannot be saved: what it takes to be sure, and later tries. */
const some = byForm(60, 300)

/** Failed safe and failed other requests at most. */
const bounds: Readonly<Record<Wrong, readonly [number, number]>> = {
  // A request that ran and was not answered goes elsewhere; of what begins to come back, nothing may be repeated.
  silent: [0, 0],
  half: [some, some],
  reset: [0, some],
  garbage: [some, some],
  leak: [0, 0],
  error: [some, some],
}

const serviceOf = (path: string): string => path.split('/')[1] ?? ''

faultTest('six services with a wrongdoer each', {
  world: {
    instances: 1,
    routes: [...wrongs.map((wrong) => ({ path: `/${wrong}`, service: wrong })), { path: '/', service: 'web' }],
    before: async (world) => {
      for (const service of wrongs) {
        const good: BackendOptions = { service }
        const all = await Promise.all([
          world.fleet.start(`${service}-1`, good),
          world.fleet.start(`${service}-2`, good),
          world.fleet.start(`${service}-bad`, { service, behaviour: service }),
        ])
        for (const instance of all) await world.fleet.register(instance)
        await world.routed(all, service)
      }
    },
  },
  act: async (world) => {
    for (const wrong of wrongs) {
      // A POST that is never answered can only wait.
      const path = `/${wrong}/work`
      const ask = wrong === 'silent' ? onlyGets(path) : mixed(path)
      world.load({ name: wrong, service: wrong, connections: 6, rate: 100, ask })
    }
    await world.pass(1_000)
    await world.inflict('wrongdoing', () => {
      for (const wrong of wrongs) world.fleet.instances.get(`${wrong}-bad`)?.signal('SIGUSR2')
    })
    await world.pass(byForm(4_000, 30_000))
  },
  limits: { exempt: hasFailed },
  ledger: false,
  alone: true,
  also: (t, judged, world) => {
    if (world.withFault) for (const wrong of wrongs) judge(t, wrong, judged)
  },
})

function judge(t: Test, wrong: Wrong, { facts }: Judged): void {
  const failed = facts.sent.filter((one) => serviceOf(one.path) === wrong && hasFailed(one))
  const all = facts.sent.filter((one) => serviceOf(one.path) === wrong).length
  const safe = failed.filter(isSafe)
  const [safeMax, otherMax] = bounds[wrong]
  const kinds = [...new Set(failed.map(({ outcome, status }) => `${outcome} ${status}`))].join(', ')
  t.comment(`${wrong}: of ${all} failed ${safe.length} safe and ${failed.length - safe.length} others (${kinds})`)
  t.ok(safe.length <= safeMax, `${wrong}: ${safe.length} safe requests failed, at most ${safeMax}`)
  t.ok(
    failed.length - safe.length <= otherMax,
    `${wrong}: ${failed.length - safe.length} others failed, at most ${otherMax}`,
  )
  const reached = facts.executions.filter(({ instance }) => instance === `${wrong}-bad`).length
  t.ok(reached > 5, `${wrong}: ${reached} of ${all} requests reached the wrongdoer`)
}
