/** A GET once a second that kills, or hangs, whichever of six supervised instances runs it: it must not walk the fleet. */
import { type Asked, mixed, onlyGets } from './lib/client.ts'
import type { Instance } from './lib/fleet.ts'
import { byForm } from './lib/form.ts'
import { faultTest, type World } from './lib/scenario.ts'

/** Restarts what ended, on its port, as a supervisor does; kills what hangs when it does not answer for a while. */
class Supervisor {
  readonly #world: World
  readonly #poison: 'kill' | 'hang'
  #stopped = false
  restarts = 0

  constructor(world: World, poison: 'kill' | 'hang') {
    this.#world = world
    this.#poison = poison
  }

  watch(instance: Instance): void {
    if (this.#poison === 'hang') void this.#askAlive(instance)
    void instance.ended.then(async () => {
      if (this.#stopped) return
      const name = `${instance.name.split('.')[0]}.${++this.restarts}`
      const next = this.#world.fleet.start(name, { port: instance.port, latency: 5, poison: this.#poison })
      // When the run is over meanwhile, there is no next.
      await next.then(
        (one) => this.watch(one),
        () => {},
      )
    })
  }

  stop(): void {
    this.#stopped = true
  }

  async #askAlive(instance: Instance): Promise<void> {
    while (!this.#stopped && !instance.isGone()) {
      const headers = { connection: 'close' }
      try {
        await fetch(`http://${instance.host}:${instance.port}/`, { headers, signal: AbortSignal.timeout(700) })
        await this.#world.pass(200)
      } catch {
        await instance.kill()
      }
    }
  }
}

for (const poison of ['kill', 'hang'] as const)
  faultTest(`poison that would ${poison} whoever runs it`, {
    world: { instances: 6, backend: { latency: 5, poison } },
    act: async (world) => {
      const supervisor = new Supervisor(world, poison)
      if (world.withFault) for (const instance of world.instances) supervisor.watch(instance)
      // What waits at a hanging one until that is killed is lost with it, unless it may be repeated.
      world.load({ connections: 16, rate: 400, ask: poison === 'kill' ? mixed() : onlyGets() })
      await world.pass(500)
      const bad = (): Asked => ({ method: 'GET', path: '/poison', bodyBytes: 0 })
      const dose = { name: 'poison', connections: 4, rate: 1, ask: bad, timeoutMs: 8_000 }
      await world.inflict('poison', () => world.load({ ...dose, forMs: byForm(4_000, 60_000) }))
      await world.pass(byForm(4_500, 62_000))
      supervisor.stop()
    },
    limits: {
      exempt: ({ path }) => path === '/poison',
      // Judged below, as a share.
      failedSafeMax: Infinity,
      goodTail: 0,
    },
    // Whoever ran it died, over and over on the same port.
    ledger: { exempt: ({ path }) => path === '/poison', falseAlarmsMax: Infinity },
    alone: true,
    also: (t, { figures }) => {
      const share = figures.good / figures.requests
      // Each death takes the requests with it that had run before elsewhere; the busier the machine, the more there are.
      t.ok(share >= byForm(0.99, 0.999), `${(share * 100).toFixed(3)} % of the other requests are good`)
    },
  })
