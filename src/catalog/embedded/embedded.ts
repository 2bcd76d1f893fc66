/**
 * The embedded catalog whole: state, log, checks, sessions and server put together, started and ended in order.
 * For one machine: it speaks the part of Consul's HTTP API that common clients call, and is no cluster.
 */
import type { AddressInfo } from 'node:net'
import { isIP } from 'node:net'
import type { Clock } from '../../core/clock.ts'
import type { Logger } from '../../core/log.ts'
import type { Random } from '../../core/random.ts'
import { agentHealthRoutes } from './agent-health-routes.ts'
import { agentWriteRoutes } from './agent-routes.ts'
import { catalogReadRoutes } from './catalog-routes.ts'
import { catalogWriteRoutes } from './catalog-write-routes.ts'
import { CheckRunner } from './check-runner.ts'
import { openDiskLog } from './disk-log.ts'
import { enrol } from './enrol.ts'
import { healthRoutes } from './health-routes.ts'
import { kvRoutes } from './kv-routes.ts'
import { LockDelays } from './lock-delays.ts'
import type { Parts, Route } from './parts.ts'
import { BlockedGate } from './query.ts'
import { CatalogServer } from './server.ts'
import { sessionConsequences } from './session-commands.ts'
import { sessionRoutes } from './session-routes.ts'
import { SessionRunner } from './session-runner.ts'
import { CatalogState } from './state.ts'
import { statusRoutes } from './status-routes.ts'
import { CatalogStore } from './store.ts'
import { txnRoutes } from './txn-routes.ts'

const CLOSE_GRACE_MS = 1000

export interface EmbeddedCatalogOptions {
  /** Where to listen; a loopback address unless others are trusted. Default 127.0.0.1. */
  readonly host?: string
  /** 0: any free one. Default 8500. */
  readonly port?: number
  /** What says where to listen, for the message that it cannot. Default `--address`. */
  readonly setting?: string
  /** Directory that keeps registrations, KV and sessions; absent: memory only. */
  readonly stateDir?: string
  /** This catalog's node. Default `fairlead`: not the host's name, which changes with every container. */
  readonly nodeName?: string
  /** Default `dc1`. */
  readonly datacenter?: string
  /** The node's address, for services registered without one. Default: the listening one, or 127.0.0.1 if that is a wildcard. */
  readonly nodeAddress?: string
  /** Queries that may wait at once; one more is answered 429. Default 4096. */
  readonly maxBlocked?: number
}

export interface EmbeddedCatalogDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
}

export interface EmbeddedCatalog {
  /** Reads the state directory and starts to serve. Throws FL_LISTEN or FL_STORE. Called once. */
  listen(): Promise<{ readonly host: string; readonly port: number }>
  /** Answers what waits, ends every timer and socket, and closes the log. Idempotent. */
  close(): Promise<void>
}

export function createEmbeddedCatalog(options: EmbeddedCatalogOptions, deps: EmbeddedCatalogDeps): EmbeddedCatalog {
  let running: Promise<Running> | undefined
  let closing: Promise<void> | undefined
  return {
    async listen() {
      running ??= start(options, deps)
      const { address } = await running
      return { host: address.address, port: address.port }
    },
    close() {
      closing ??= running
        ? running.then(
            (it) => it.close(),
            () => {},
          )
        : Promise.resolve()
      return closing
    },
  }
}

interface Running {
  readonly address: AddressInfo
  close(): Promise<void>
}

async function start(options: EmbeddedCatalogOptions, deps: EmbeddedCatalogDeps): Promise<Running> {
  const { log } = deps
  const host = options.host ?? '127.0.0.1'
  const server = new CatalogServer(log)
  // The address before the directory: a second start by mistake fails here, and takes nothing over.
  const address = await server.listen({ host, port: options.port ?? 8500, setting: options.setting })
  try {
    const parts = createParts(options, deps, address)
    enrol(parts, options.nodeAddress ?? nodeAddress(host))
    server.serve(parts, allRoutes(parts))
    parts.runner.start()
    parts.sessions.start()
    return { address, close: () => end(server, parts) }
  } catch (error) {
    server.destroy()
    await server.close()
    throw error
  }
}

function createParts(options: EmbeddedCatalogOptions, deps: EmbeddedCatalogDeps, address: AddressInfo): Parts {
  const { clock, random, log } = deps
  const nodeName = options.nodeName ?? 'fairlead'
  // Far above any index given out before, so that the clients of an earlier catalog on this address notice.
  const indexFloor = Math.max(1, Math.floor(clock.wall()))
  const { state, disk } = options.stateDir
    ? openDiskLog({ dir: options.stateDir, indexFloor, random, log })
    : { state: new CatalogState(indexFloor), disk: undefined }
  const store = new CatalogStore(state, disk, clock, sessionConsequences)
  const delays = new LockDelays(clock)
  const shown = `${isIP(address.address) === 6 ? `[${address.address}]` : address.address}:${String(address.port)}`
  return {
    store,
    runner: new CheckRunner(store, nodeName, deps),
    sessions: new SessionRunner(store, delays, deps),
    delays,
    gate: new BlockedGate(options.maxBlocked ?? 4096),
    nodeName,
    datacenter: options.datacenter ?? 'dc1',
    clock,
    random,
    log,
    address: shown,
  }
}

function allRoutes(parts: Parts): Route[] {
  return [
    ...agentWriteRoutes(parts),
    ...agentHealthRoutes(parts),
    ...catalogWriteRoutes(parts),
    ...catalogReadRoutes(parts),
    ...healthRoutes(parts),
    ...kvRoutes(parts),
    ...txnRoutes(parts),
    ...sessionRoutes(parts),
    ...statusRoutes(parts),
  ]
}

/** What waits is answered with what is known; whoever does not take the answer is cut off. */
async function end(server: CatalogServer, parts: Parts): Promise<void> {
  parts.runner.stop()
  parts.sessions.stop()
  const closed = server.close()
  await parts.store.close()
  const timer = parts.clock.setTimer(CLOSE_GRACE_MS, () => server.destroy())
  await closed
  timer.clear()
}

function nodeAddress(host: string): string {
  return host === '0.0.0.0' || host === '::' || host === '' ? '127.0.0.1' : host
}
