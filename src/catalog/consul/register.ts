/**
 * Keeps one service registered at the local agent: ourselves, so that what stands in front can find us. Registers, looks
 * now and then whether the agent still knows it, and takes it out at the end. It watches nothing and routes nothing.
 */
import { type Clock, type Milliseconds, sleep } from '../../core/clock.ts'
import { errorText } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import type { Random } from '../../core/random.ts'
import { backoffMs } from './backoff.ts'
import { ConsulClient } from './consul-client.ts'
import type { ConsulConnection } from './options.ts'

export type RegistrationCheck =
  /** Consul asks this URL, which answers 2xx when well. */
  | { readonly kind: 'http'; readonly url: string; readonly intervalMs: Milliseconds; readonly timeoutMs: Milliseconds }
  /** We say that we are well, three times within `ttlMs`. */
  | { readonly kind: 'ttl'; readonly ttlMs: Milliseconds }

export interface RegistrationOptions {
  readonly connection: ConsulConnection
  readonly service: string
  /** Unique on the agent. */
  readonly id: string
  /** Absent: the node's own address. */
  readonly address?: string | undefined
  readonly port: number
  readonly tags?: readonly string[] | undefined
  readonly meta?: Readonly<Record<string, string>> | undefined
  readonly check?: RegistrationCheck | undefined
  /** Consul removes us after we were critical for this long; at least a minute. Absent: never. */
  readonly removeAfterMs?: Milliseconds | undefined
  /** How often the agent is asked whether it still knows us; default 5 s. */
  readonly lookMs?: Milliseconds | undefined
}

export interface RegistrationDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
}

export interface Registration {
  start(): void
  /** Deregisters, within 2 s or not at all, and ends every timer and socket. Idempotent. */
  stop(): Promise<void>
  /** Ends every timer and socket, and leaves the registration to another process that keeps it. Idempotent. */
  leave(): Promise<void>
}

const lookDefaultMs: Milliseconds = 5_000
const stopMs: Milliseconds = 2_000
const heartbeatsPerTtl = 3
const retryMaxMs: Milliseconds = 5_000

/** Throws `FL_CONFIG` when the connection's address is none. */
export function createRegistration(options: RegistrationOptions, deps: RegistrationDeps): Registration {
  const client = new ConsulClient(options.connection, deps)
  const ended = new AbortController()
  let loop: Promise<void> | undefined
  let stopping: Promise<void> | undefined
  const stop = async (deregister: boolean): Promise<void> => {
    ended.abort()
    await loop
    if (loop && deregister) {
      const path = `/agent/service/deregister/${encodeURIComponent(options.id)}`
      const limit = new AbortController()
      try {
        await client.put(path, undefined, limit.signal, stopMs)
      } catch (error) {
        deps.log.warn({ id: options.id, err: errorText(error) }, `${options.id} could not be deregistered from Consul`)
      }
    }
    await client.destroy()
  }
  return {
    start: () => void (loop ??= keepRegistered(client, options, deps, ended.signal)),
    stop: async () => (stopping ??= stop(true)),
    leave: async () => (stopping ??= stop(false)),
  }
}

async function keepRegistered(
  client: ConsulClient,
  options: RegistrationOptions,
  { clock, random, log }: RegistrationDeps,
  signal: AbortSignal,
): Promise<void> {
  const everyMs = Math.min(
    options.lookMs ?? lookDefaultMs,
    options.check?.kind === 'ttl' ? options.check.ttlMs / heartbeatsPerTtl : Infinity,
  )
  let failures = 0
  let registered = false
  while (!signal.aborted) {
    let waitMs = everyMs
    try {
      if (!registered || !(await isKnown(client, options.id, signal))) {
        await client.put('/agent/service/register', definition(options), signal)
        log.info(
          { service: options.service, id: options.id },
          `registered at Consul as ${options.service} (${options.id})`,
        )
        registered = true
      }
      if (options.check?.kind === 'ttl')
        await client.put(`/agent/check/pass/${encodeURIComponent(`service:${options.id}`)}`, undefined, signal)
      failures = 0
    } catch (error) {
      if (signal.aborted) return
      failures += 1
      waitMs = backoffMs(failures, random, retryMaxMs)
      if (failures === 1)
        log.warn(
          { id: options.id, err: errorText(error) },
          `Consul at ${client.shown} does not take our registration; retrying`,
        )
    }
    await sleep(clock, waitMs, signal)
  }
}

/** The agent's own list: it holds what was registered there, and loses it with its memory. */
async function isKnown(client: ConsulClient, id: string, signal: AbortSignal): Promise<boolean> {
  const answer = await client.get({ kind: 'json' }, '/agent/services', { signal })
  return typeof answer.data === 'object' && answer.data !== null && Object.hasOwn(answer.data, id)
}

function definition(options: RegistrationOptions): object {
  const { check, removeAfterMs } = options
  return {
    ID: options.id,
    Name: options.service,
    ...(options.address === undefined ? {} : { Address: options.address }),
    Port: options.port,
    Tags: options.tags ?? [],
    Meta: options.meta ?? {},
    ...(check === undefined
      ? {}
      : {
          Check: {
            CheckID: `service:${options.id}`,
            Name: `${options.service} answers`,
            ...(check.kind === 'ttl'
              ? { TTL: `${String(check.ttlMs)}ms` }
              : {
                  HTTP: check.url,
                  Interval: `${String(check.intervalMs)}ms`,
                  Timeout: `${String(check.timeoutMs)}ms`,
                }),
            ...(removeAfterMs === undefined ? {} : { DeregisterCriticalServiceAfter: `${String(removeAfterMs)}ms` }),
          },
        }),
  }
}
