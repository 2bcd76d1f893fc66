/**
 * Catalog and proxy of the demonstration, as anyone would run them, in this process; and what the demonstration looks at:
 * who is routed, and what the proxy recorded of requests that failed or took more than one attempt.
 */
import { createServer } from 'node:net'
import { createApp, type App } from '../../app.ts'
import { createEmbeddedCatalog } from '../../catalog/embedded/embedded.ts'
import { formatConfigError } from '../../config/config-error.ts'
import { load } from '../../config/load.ts'
import type { Clock } from '../../core/clock.ts'
import type { Random } from '../../core/random.ts'
import type { RequestRecord } from '../../proxy/options.ts'
import type { AccessLog } from '../../telemetry/access-log.ts'
import type { AppLogger } from '../../telemetry/log.ts'
import { packageVersion } from '../version.ts'

export interface Stage {
  /** URL of the catalog. */
  readonly catalog: string
  /** Of the proxy, on 127.0.0.1. */
  readonly port: number
  /** The addresses, for people. */
  describe(): string
  /** Ids of the instances that may get requests now. */
  routed(): ReadonlySet<string>
  /** Id of the instance that had this `address:port`; undefined: never seen. */
  instanceAt(endpoint: string): string | undefined
  /** What the proxy recorded of a request that failed. */
  failed(requestId: string): RequestRecord | undefined
  /** Called for each request that needed more than one attempt and was answered. */
  onRetried(listener: () => void): void
  stop(): Promise<void>
}

interface StageDeps {
  readonly clock: Clock
  readonly random: Random
}

/** Failed requests whose records are kept for the client to ask about. */
const recordsMax = 1_000
const preferred = { proxy: 8080, status: 8081, admin: 8082, catalog: 8500 }

export async function startStage(service: string, { clock, random }: StageDeps): Promise<Stage> {
  const ports = await choosePorts()
  const log = complainingLog()
  const embedded = createEmbeddedCatalog({ host: '127.0.0.1', port: ports.catalog }, { clock, random, log })
  const catalogAt = await embedded.listen()
  const catalog = `http://127.0.0.1:${catalogAt.port}`
  const watch = watchRecords()
  const config = configFrom(catalog, ports, service)
  const app = createApp(config, { clock, random, log, accessLog: watch.accessLog, version: packageVersion })
  try {
    await app.start()
  } catch (error) {
    await app.stop()
    await embedded.close()
    throw error
  }
  const port = app.addresses().listeners[0]?.port ?? 0
  const seen = new Map<string, string>()
  const routed = (): ReadonlySet<string> => routedInstances(app, service, seen)
  return {
    catalog,
    port,
    describe: () => describe(app, catalog, service, port),
    routed,
    instanceAt: (endpoint) => {
      routed()
      return seen.get(endpoint)
    },
    failed: (requestId) => watch.failed.get(requestId),
    onRetried: (listener) => {
      watch.onRetried = listener
    },
    stop: async () => {
      await app.stop()
      await embedded.close()
    },
  }
}

function configFrom(catalog: string, ports: typeof preferred, service: string): ReturnType<typeof requireConfig> {
  // What a user would write; the routes come from the instances' own tags.
  return requireConfig(`
listen: [{ address: "127.0.0.1:${ports.proxy}" }]
status: { address: "127.0.0.1:${ports.status}" }
admin: { address: "127.0.0.1:${ports.admin}" }
catalog: { consul: { address: "${catalog}" } }
services: { ${service}: { versions: { 9.7.0: 75, 9.8.0: 25 } } }
shutdown: { lameDuck: 0s, deadline: 1s }
`)
}

function requireConfig(text: string): NonNullable<ReturnType<typeof load>['config']> {
  const { config, errors } = load(text, {}, 'demo')
  if (!config) throw new Error(errors.map(formatConfigError).join('\n'))
  return config
}

function describe(app: App, catalog: string, service: string, port: number): string {
  const { status, admin } = app.addresses()
  return [
    `  proxy    http://127.0.0.1:${port}/`,
    `  table    http://${admin}/v1/table`,
    `  metrics  http://${status}/metrics`,
    `  catalog  ${catalog}/v1/health/service/${service} (it speaks Consul's API)`,
    '',
  ].join('\n')
}

/** The ids by Consul, which a table's endpoints carry in their keys. */
function routedInstances(app: App, service: string, seen: Map<string, string>): ReadonlySet<string> {
  const ids = new Set<string>()
  for (const group of app.dataPlane().current().table.services.get(service)?.groups ?? []) {
    for (const { key, address, port, weight } of group.endpoints) {
      const id = key.split('\u001f')[3] ?? ''
      seen.set(`${address}:${port}`, id)
      if (weight > 0) ids.add(id)
    }
  }
  return ids
}

interface Watched {
  readonly accessLog: AccessLog
  readonly failed: Map<string, RequestRecord>
  onRetried: () => void
}

function watchRecords(): Watched {
  const watched: Watched = {
    failed: new Map(),
    onRetried: () => {},
    accessLog: {
      dropped: () => 0,
      observer: () => ({
        requestDone: (record) => {
          if (record.status < 400 && record.cause === '') {
            if (record.attempts > 1) watched.onRetried()
            return
          }
          const [oldest] = watched.failed.keys()
          if (oldest !== undefined && watched.failed.size >= recordsMax) watched.failed.delete(oldest)
          watched.failed.set(record.requestId, { ...record })
        },
      }),
    },
  }
  return watched
}

/** The proxy's own log would drown the lines of the demonstration; its errors would not be noise. */
function complainingLog(): AppLogger {
  return {
    debug() {},
    info() {},
    warn() {},
    error: (_fields, message) => void process.stderr.write(`fairlead: ${message}\n`),
    setLevel() {},
  }
}

/** The usual ports where they are free, else any. */
async function choosePorts(): Promise<typeof preferred> {
  const usable = async (port: number): Promise<number> => ((await isFree(port)) ? port : 0)
  return {
    proxy: await usable(preferred.proxy),
    status: await usable(preferred.status),
    admin: await usable(preferred.admin),
    catalog: await usable(preferred.catalog),
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })
}
