/**
 * The suite's containers: backend processes with their registrations in Consul. What runs and what is registered are two
 * things here, as they are in a fleet where containers are killed.
 */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Execution, readLog } from './backend-log.ts'
import { type Child, firstLine, startChild } from './children.ts'

const program = fileURLToPath(new URL('backend.ts', import.meta.url))

export interface BackendOptions {
  /** Default `web`. */
  readonly service?: string
  readonly host?: string
  /** Default: one of the system's choice. */
  readonly port?: number
  /** Put before the command: `ip netns exec NAME`. */
  readonly prefix?: readonly string[]
  /** What it does once it is sent SIGUSR2; until then it answers well. */
  readonly behaviour?: 'normal' | 'silent' | 'half' | 'reset' | 'garbage' | 'leak' | 'error'
  /** Milliseconds, or `heavy`; of `/work`. Default: none. */
  readonly latency?: number | 'heavy'
  /** MIN-MAX milliseconds of standing still, and how far apart on average. */
  readonly pause?: string
  readonly pauseEveryMs?: number
  readonly poison?: 'kill' | 'hang'
}

/** `http`: Consul asks it once a second; `ttl`: nobody renews it, so it turns critical after 10 s; `none`: always passing. */
export type Check = 'none' | 'http' | 'ttl'

export interface Instance extends Child {
  readonly name: string
  readonly service: string
  readonly host: string
  readonly port: number
}

/** What a registration tells. */
export type Registered = Pick<Instance, 'name' | 'service' | 'host' | 'port'>

/** Whatever speaks Consul's API. */
export interface CatalogApi {
  api(method: string, path: string, body?: unknown): Promise<unknown>
}

export class Fleet {
  /** Every process that was ever started, by name; names are unique in a run. */
  readonly instances: Map<string, Instance> = new Map()
  readonly #catalog: CatalogApi
  readonly #folder: string
  readonly #starting = new Set<Promise<unknown>>()
  #stopped = false

  constructor(catalog: CatalogApi, folder: string) {
    this.#catalog = catalog
    this.#folder = folder
  }

  /** Starts a backend and waits until it listens. */
  async start(name: string, options: BackendOptions = {}): Promise<Instance> {
    if (this.instances.has(name)) throw new Error(`${name} was there before`)
    if (this.#stopped) throw new Error('the fleet has stopped')
    const starting = this.#start(name, options)
    const settled = starting.catch(() => {}).finally(() => this.#starting.delete(settled))
    this.#starting.add(settled)
    return await starting
  }

  async #start(name: string, options: BackendOptions): Promise<Instance> {
    const { service = 'web', host = '127.0.0.1', prefix = [] } = options
    const args = ['--service', service, '--instance', name, '--host', host, '--log', this.#logFile(name)]
    args.push('--seed', String(this.instances.size + 1), '--port', String(options.port ?? 0))
    args.push('--behaviour', options.behaviour ?? 'normal', '--latency', String(options.latency ?? 'none'))
    if (options.pause !== undefined) args.push('--pause', options.pause)
    if (options.pauseEveryMs !== undefined) args.push('--pauseEvery', String(options.pauseEveryMs))
    if (options.poison !== undefined) args.push('--poison', options.poison)
    const child = startChild([...prefix, process.execPath, program, ...args], ['pipe', 'pipe', 'pipe'])
    // Its end must not be ours.
    child.process.stdin?.on('error', () => {})
    const port = Number(await firstLine(child))
    const instance: Instance = { ...child, name, service, host, port }
    this.instances.set(name, instance)
    return instance
  }

  /** Registers it under its name, or another. Its first health is passing. */
  async register(instance: Registered, check: Check = 'none', id: string = instance.name): Promise<void> {
    const { service, host, port } = instance
    const checks: Readonly<Record<Check, object>> = {
      none: {},
      http: { Check: { HTTP: `http://${host}:${port}/`, Interval: '1s', Timeout: '1s', Status: 'passing' } },
      ttl: { Check: { TTL: '10s', Status: 'passing' } },
    }
    const body = { ID: id, Name: service, Address: host, Port: port, ...checks[check] }
    await this.#catalog.api('PUT', '/v1/agent/service/register', body)
  }

  async deregister(id: string): Promise<void> {
    await this.#catalog.api('PUT', `/v1/agent/service/deregister/${encodeURIComponent(id)}`)
  }

  /** Starts and registers several alike: `web-1` to `web-N`. */
  async startMany(count: number, options: BackendOptions = {}, check: Check = 'none'): Promise<Instance[]> {
    const service = options.service ?? 'web'
    const names = Array.from({ length: count }, (_, at) => `${service}-${at + 1}`)
    const all = await Promise.all(names.map((name) => this.start(name, options)))
    for (const instance of all) await this.register(instance, check)
    return all
  }

  /** What all backends wrote down so far. */
  executions(): Execution[] {
    return [...this.instances.keys()].flatMap((name) => readLog(this.#logFile(name), name))
  }

  /** Ends them all, those too that are just starting. Idempotent. */
  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#starting)
    await Promise.all([...this.instances.values()].map((instance) => instance.kill()))
  }

  #logFile(name: string): string {
    return join(this.#folder, `${name}.log`)
  }
}
