/**
 * The embedded catalog whole: state, log, checks, sessions and server put together, started and ended in order.
 * For one machine: it speaks the part of Consul's HTTP API that common clients call, and is no cluster.
 */
import type { AddressInfo } from 'node:net'
import { isIP } from 'node:net'
import type { Clock } from '../../core/clock.ts'
import type { Logger } from '../../core/log.ts'
import type { Random } from '../../core/random.ts'
import { checkChange, nodeChange, SERF_HEALTH } from './agent-commands.ts'
import { agentWriteRoutes } from './agent-routes.ts'
import { catalogReadRoutes } from './catalog-routes.ts'
import { CheckRunner } from './check-runner.ts'
import { healthRoutes } from './health-routes.ts'
import { kvRoutes } from './kv-routes.ts'
import { LockDelays } from './lock-delays.ts'
import type { Parts } from './parts.ts'
import { BlockedGate } from './query.ts'
import { CatalogServer } from './server.ts'
import { CatalogState } from './state.ts'
import { statusRoutes } from './status-routes.ts'
import { CatalogStore } from './store.ts'
import { uuid } from './uuid.ts'

export interface EmbeddedCatalogOptions {
  /** Where to listen; a loopback address unless others are trusted. Default 127.0.0.1. */
  readonly host?: string
  /** 0: any free one. Default 8500. */
  readonly port?: number
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
      closing ??= running ? running.then((it) => it.close()) : Promise.resolve()
      return closing
    },
  }
}

interface Running {
  readonly address: AddressInfo
  close(): Promise<void>
}

async function start(options: EmbeddedCatalogOptions, deps: EmbeddedCatalogDeps): Promise<Running> {
  const { clock, random, log } = deps
  const host = options.host ?? '127.0.0.1'
  const nodeName = options.nodeName ?? 'fairlead'
  // A fresh catalog starts far above any index that an earlier one gave out, so that its clients notice.
  const state = new CatalogState(Math.max(1, Math.floor(clock.wall())))
  const store = new CatalogStore(state, undefined, clock)
  const runner = new CheckRunner(store, nodeName, deps)
  let shown = `${host}:${String(options.port ?? 8500)}`
  const parts: Parts = {
    store,
    runner,
    delays: new LockDelays(clock),
    gate: new BlockedGate(options.maxBlocked ?? 4096),
    nodeName,
    datacenter: options.datacenter ?? 'dc1',
    clock,
    random,
    log,
    address: () => shown,
  }
  enrol(parts, options.nodeAddress ?? nodeAddress(host))
  const server = new CatalogServer(parts, [
    ...agentWriteRoutes(parts),
    ...catalogReadRoutes(parts),
    ...healthRoutes(parts),
    ...kvRoutes(parts),
    ...statusRoutes(parts),
  ])
  const address = await server.listen({ host, port: options.port ?? 8500 })
  shown = `${isIP(address.address) === 6 ? `[${address.address}]` : address.address}:${String(address.port)}`
  runner.start()
  return {
    address,
    async close() {
      runner.stop()
      const closed = server.close()
      await store.close()
      const timer = clock.setTimer(1000, () => server.destroy())
      await closed
      timer.clear()
    },
  }
}

/** Our own node and its health, if they are not there. */
function enrol(parts: Parts, address: string): void {
  const { store, nodeName, random } = parts
  const before = store.state.nodes.get(nodeName)?.record
  store.commit((index) => [
    ...nodeChange(
      store.state,
      {
        name: nodeName,
        id: before?.id ?? uuid(random),
        address,
        taggedAddresses: taggedNode(address),
        meta: { 'consul-network-segment': '' },
        local: true,
      },
      index,
    ),
  ])
  const health = {
    ...{ node: nodeName, id: SERF_HEALTH, name: 'Serf Health Status', status: 'passing' as const, notes: '' },
    ...{ output: 'Agent alive and reachable', serviceId: '', serviceName: '', type: '', definition: {} },
  }
  store.commit((index) => checkChange(store.state, health, index))
}

function nodeAddress(host: string): string {
  return host === '0.0.0.0' || host === '::' || host === '' ? '127.0.0.1' : host
}

function taggedNode(address: string): Record<string, string> {
  const family = isIP(address)
  const extra = family === 0 ? {} : { [`lan_ipv${String(family)}`]: address, [`wan_ipv${String(family)}`]: address }
  return Object.fromEntries(
    Object.entries({ lan: address, wan: address, ...extra }).sort(([a], [b]) => (a < b ? -1 : 1)),
  )
}
