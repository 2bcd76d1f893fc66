/**
 * Taking over from a proxy that runs: its sockets are asked for first, status and admin open once requests are taken, and then it
 * is told to go. Where none runs, sockets are new, and status and admin open before all else. It drains and serves nothing itself.
 */
import type { Config } from '../config/config.ts'
import type { Inherit } from '../core/inherit.ts'
import type { Logger } from '../core/log.ts'
import type { Taker } from '../handover/taker.ts'
import type { Doors, DoorsConfig } from './doors.ts'

/** A proxy that runs, as the one that takes over has it. */
export type RunningProxy = Pick<Taker, 'take' | 'retire'>

export interface TakeOver {
  /** Asks the running one, until it has been told to go. */
  readonly inherit: Inherit
  /** Before there is a table. Rejects as `Doors.prepare`. */
  before(doors: Doors, config: DoorsConfig): Promise<void>
  /** Requests are taken here as well by now. Rejects as `Doors.prepare`, and then the running one is as it was. */
  serving(doors: Doors, config: DoorsConfig): Promise<void>
}

export function createTakeOver(running: RunningProxy | undefined, log: Logger): TakeOver {
  let asked = running
  const open = async (doors: Doors, config: DoorsConfig): Promise<void> => (await doors.prepare(config)).commit()
  return {
    inherit: async (host, port) => asked?.take(host, port),
    before: async (doors, config) => {
      // One that takes over is not to be asked before it can serve.
      if (!running) await open(doors, config)
    },
    serving: async (doors, config) => {
      if (!running) return
      const { status, admin, adminTokens } = config
      await open(doors, { status: shared(status), admin: shared(admin), adminTokens })
      asked = undefined
      if (await running.retire()) log.info({}, 'this proxy has taken over; the one that ran before drains and ends')
      else log.error({}, 'the proxy that ran before does not say that it ends: look for it, and stop it with TERM')
      await open(doors, config)
    },
  }
}

/** Not a path: whoever closes it takes it away, so that it is opened when the other has left it. */
function shared(address: Config['status']): Config['status'] {
  return address?.kind === 'tcp' ? address : undefined
}
