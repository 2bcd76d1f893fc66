/** Registers the proxy itself where the configuration says so, once it serves, and takes it out before it stops. */
import { hostname } from 'node:os'
import type { ConsulConnection } from '../catalog/consul/options.ts'
import { createRegistration, type Registration } from '../catalog/consul/register.ts'
import type { RegisterConfig } from '../config/config.ts'
import type { Deps } from './embedded-catalogs.ts'

export interface SelfRegistration {
  /** Begins, changes or ends the registration; the same settings change nothing. */
  set(register: RegisterConfig | undefined, connection: ConsulConnection | undefined, port: number): Promise<void>
  /** Deregisters. Idempotent. */
  stop(): Promise<void>
  /** Leaves it to another process. */
  leave(): Promise<void>
}

export function createSelfRegistration(deps: Deps): SelfRegistration {
  let current: { readonly key: string; readonly registration: Registration } | undefined
  const stop = async (): Promise<void> => {
    const last = current
    current = undefined
    await last?.registration.stop()
  }
  return {
    stop,
    leave: async () => {
      const last = current
      current = undefined
      await last?.registration.leave()
    },
    set: async (register, connection, listenPort) => {
      if (!register || !connection) return stop()
      const port = register.port === 0 ? listenPort : register.port
      const meta = Object.fromEntries(register.meta)
      const key = JSON.stringify([register, meta, connection, port])
      if (current?.key === key) return
      await stop()
      const registration = createRegistration(
        {
          connection,
          service: register.service,
          id: register.id ?? `${register.service}-${hostname()}-${port}`,
          address: register.address,
          port,
          tags: register.tags,
          meta,
          check: { kind: 'ttl', ttlMs: register.ttlMs },
          removeAfterMs: register.deregisterAfterMs,
        },
        deps,
      )
      current = { key, registration }
      registration.start()
    },
  }
}
