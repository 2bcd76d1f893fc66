/**
 * The status and the admin address through changes of configuration: one that did not change keeps its socket, a new one
 * is open before the old one closes.
 */
import type { Access } from '../admin/access.ts'
import { createDoor, type ActionRouter, type Door, type Router } from '../admin/door.ts'
import { isLoopback } from '../core/host.ts'
import type { Address, Config } from '../config/config.ts'
import type { Clock } from '../core/clock.ts'
import { FairleadError } from '../core/errors.ts'
import type { Inherit } from '../core/inherit.ts'
import type { Logger } from '../core/log.ts'

export interface DoorRouters {
  readonly status: Router
  readonly admin: Router
  /** What may be changed on the admin address, and by whom. */
  readonly actions: ActionRouter
  readonly access: Access
  /** Asked first for the sockets; absent: they are new. */
  readonly inherit?: Inherit | undefined
}

/** What of the configuration is about doors. */
export type DoorsConfig = Pick<Config, 'status' | 'admin' | 'adminTokens'>

export interface Doors {
  /**
   * Opens what is new, and returns how to go on: `commit` closes what is gone, `revert` closes what is new.
   * Rejects with FL_LISTEN or FL_CONFIG, and then leaves all as it was.
   */
  prepare(config: DoorsConfig): Promise<{ commit(): Promise<void>; revert(): Promise<void> }>
  /** Where each listens, as a person writes it. */
  addresses(): { readonly status: string | undefined; readonly admin: string | undefined }
  /** `patience`: what is under way is answered first, as with `Door.close`. */
  close(patience?: Pick<Clock, 'setTimer'>): Promise<void>
}

type Name = 'status' | 'admin'
interface Opened {
  readonly door: Door
  readonly where: string
}

const names: readonly Name[] = ['status', 'admin']

export function createDoors(routers: DoorRouters, log: Logger): Doors {
  const open = new Map<Name, Opened>()

  const openDoor = async (name: Name, address: Address): Promise<Opened> => {
    const { actions, access, inherit } = routers
    const more = name === 'admin' ? { actions, access } : {}
    const door = createDoor({ name, address, log, inherit, router: routers[name], ...more })
    const where = await door.listen()
    log.info({ address: where }, `${name} address: ${where}`)
    return { door, where }
  }

  return {
    prepare: async (config) => {
      const { admin } = config
      if (admin?.kind === 'tcp' && !isLoopback(admin.host) && config.adminTokens.length === 0) {
        const message = 'Without tokens, the admin address must be a loopback address or a Unix socket.'
        throw new FairleadError('FL_CONFIG', message)
      }
      const fresh = new Map<Name, Opened>()
      /** Closed already, since the same port on another host cannot be open beside them. */
      const displaced = new Map<Name, Opened>()
      const revert = async (): Promise<void> => {
        await Promise.all([...fresh.values()].map(({ door }) => door.close()))
        for (const [name, { door }] of displaced) open.set(name, await openDoor(name, door.address))
      }
      const kept = (name: Name): boolean => same(open.get(name)?.door.address, config[name])
      try {
        for (const name of names) {
          const address = config[name]
          if (!address || kept(name)) continue
          const old = open.get(name)
          if (old && samePort(old.door.address, address)) {
            await old.door.close()
            displaced.set(name, old)
          }
          fresh.set(name, await openDoor(name, address))
        }
      } catch (error) {
        await revert()
        throw error
      }
      const commit = async (): Promise<void> => {
        const gone = names.filter((name) => !kept(name)).flatMap((name) => open.get(name) ?? [])
        for (const name of names) {
          const opened = fresh.get(name)
          if (opened) open.set(name, opened)
          else if (!config[name]) open.delete(name)
        }
        await Promise.all(gone.map(({ door }) => door.close()))
      }
      return { commit, revert }
    },
    addresses: () => ({ status: open.get('status')?.where, admin: open.get('admin')?.where }),
    close: async (patience) => {
      await Promise.all([...open.values()].map(({ door }) => door.close(patience)))
      open.clear()
    },
  }
}

function samePort(a: Address, b: Address): boolean {
  return a.kind === 'tcp' && b.kind === 'tcp' && a.port === b.port && a.port !== 0
}

function same(a: Address | undefined, b: Address | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
