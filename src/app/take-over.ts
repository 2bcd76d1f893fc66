/**
 * Taking over from a proxy that runs: its sockets are asked for first, status and admin open once requests are taken, and then it
 * is told to go. Where none runs, sockets are new, and status and admin open before all else. It drains and serves nothing itself.
 */
import type { Config } from '../config/config.ts'
import { type Clock, type Milliseconds, sleep } from '../core/clock.ts'
import { errorText } from '../core/errors.ts'
import type { Inherit } from '../core/inherit.ts'
import type { Logger } from '../core/log.ts'
import type { Taker } from '../handover/taker.ts'
import type { Doors, DoorsConfig } from './doors.ts'

/** A proxy that runs, as the one that takes over has it. */
export type RunningProxy = Pick<Taker, 'ready' | 'isThere' | 'take' | 'retire'>

export interface TakeOverOptions {
  /** Undefined: there is none. */
  readonly running: RunningProxy | undefined
  readonly clock: Clock
  readonly log: Logger
}

export interface TakeOver {
  /** Asks the running one, until it has been told to go. */
  readonly inherit: Inherit
  /** Before there is a table. Rejects as `Doors.prepare`, and with FL_LISTEN when the running one hands nothing over. */
  before(doors: Doors, config: DoorsConfig): Promise<void>
  /**
   * Resolves when every catalog that answers the running one has answered here: one that is told of by what was saved alone would
   * leave a blind proxy in the place of one that sees. `unseen`: names of those that have not; none where nobody waits any more.
   */
  sees(unseen: () => readonly string[]): Promise<void>
  /**
   * Requests are taken here as well by now. `config`: as it is in force when it is asked for. Rejects as `Doors.prepare`, and then
   * the running one is as it was. Once that was told to go this only resolves: this proxy serves.
   */
  serving(doors: Doors, config: () => DoorsConfig): Promise<void>
}

/** How long the running one may take to close its doors before it is said that it does not, ms. */
const patienceMs: Milliseconds = 10_000

/** Between two looks at whether catalogs have answered, ms. */
const lookMs: Milliseconds = 50

export function createTakeOver({ running, clock, log }: TakeOverOptions): TakeOver {
  let asked = running
  let notThere: readonly string[] = []
  const open = async (doors: Doors, config: DoorsConfig): Promise<void> => (await doors.prepare(config)).commit()
  return {
    inherit: async (host, port) => asked?.take(host, port),
    before: async (doors, config) => {
      // One that takes over is not to be asked before it can serve.
      if (!running) return open(doors, config)
      notThere = (await running.ready()).unseen
      log.info({}, 'a proxy runs: this one takes over when it can serve')
    },
    sees: async (unseen) => {
      if (!running) return
      let said = ''
      for (;;) {
        const missing = unseen().filter((name) => !notThere.includes(name))
        // Without it there is nobody to leave the place to.
        if (missing.length === 0 || !running.isThere()) break
        const names = missing.join(', ')
        if (names !== said)
          log.warn(
            { catalogs: missing },
            `catalog ${names} has not answered, though the running proxy hears it: that goes on until this one does, too`,
          )
        said = names
        await sleep(clock, lookMs)
      }
      const blind = unseen()
      if (blind.length > 0 && running.isThere())
        log.warn(
          { catalogs: blind },
          `catalog ${blind.join(', ')} answers neither this proxy nor the running one: what was saved has to do`,
        )
    },
    serving: async (doors, config) => {
      if (!running) return
      const { status, admin, adminTokens } = config()
      await open(doors, { status: shared(status), admin: shared(admin), adminTokens })
      asked = undefined
      let isSaid = false
      const retired = running.retire().then(async (said) => {
        isSaid = true
        if (said) log.info({}, 'this proxy has taken over; the one that ran before drains and ends')
        else log.error({}, 'the proxy that ran before does not say that it ends: look for it, and stop it with TERM')
        await open(doors, config()).catch((error: unknown) =>
          log.error({ error: errorText(error) }, `${errorText(error)}. A reload (HUP) tries again`),
        )
      })
      await Promise.race([retired, sleep(clock, patienceMs)])
      if (!isSaid)
        log.error(
          {},
          'this proxy serves, but the one that ran before does not say that it ends: it hangs, or it is stopped. ' +
            'It ends when it runs on; until then connections that it has accepted wait. End it with KILL if it does not',
        )
    },
  }
}

/** Not a path: whoever closes it takes it away, so that it is opened when the other has left it. */
function shared(address: Config['status']): Config['status'] {
  return address?.kind === 'tcp' ? address : undefined
}
