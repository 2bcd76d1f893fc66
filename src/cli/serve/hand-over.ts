/** The command lines and places of an upgrade in place, for every process of a proxy that can be asked for its sockets. */
import { createGiver, type Giver } from '../../handover/giver.ts'
import { handoverPath } from '../../handover/messages.ts'
import { systemClock } from '../../core/clock.ts'
import type { Logger } from '../../core/log.ts'
import { packageVersion } from '../version.ts'
import { ownCommand } from './own-command.ts'

export interface GivingOptions {
  /** Undefined: there is no place to be found at. */
  readonly stateDir: string | undefined
  /** A worker's; absent: the process that is asked to go. */
  readonly slot?: number
  readonly onRetire?: () => Promise<void>
  /** Names of its catalogs that do not answer it; absent: it has none. */
  readonly unseen?: () => readonly string[]
  readonly log: Logger
}

/** Opens the place where another proxy finds this process; undefined: there is none. */
export function openGiver({ stateDir, slot, onRetire, unseen, log }: GivingOptions): Giver | undefined {
  // Elsewhere nothing tells which descriptor a listening socket has.
  if (stateDir === undefined || process.platform !== 'linux') return undefined
  const giver = createGiver({
    path: handoverPath(stateDir, slot),
    helper: (sockets) => {
      const given = sockets.map(({ host, port }, i) => ({ fd: 4 + i, host, port }))
      const blind = JSON.stringify(unseen?.() ?? [])
      return ownCommand([
        'hand-over',
        JSON.stringify(given),
        '--pid',
        String(process.pid),
        '--for',
        packageVersion,
        '--unseen',
        blind,
      ])
    },
    ...(onRetire ? { onRetire } : {}),
    clock: systemClock,
    log,
  })
  giver.open()
  return giver
}
