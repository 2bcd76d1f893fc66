/**
 * The composition root: builds the parts, starts and stops them in order, and applies a changed configuration to what
 * runs. The order of start: status and admin, sources, the first table, then the listeners, so that nobody is sent to a
 * proxy that knows nothing yet. The order of stop is the reverse of what others rely on: not ready and deregistered first.
 */
import { createAccess, type Access } from './admin/access.ts'
import { createApi, type ApiOptions } from './app/api.ts'
import type { App, AppAddresses, AppDeps } from './app/app.ts'
import type { Doors } from './app/doors.ts'
import { createTakeOver, type TakeOver } from './app/take-over.ts'
import { ConfigStanding } from './app/standing.ts'
import { createSharedDrains, type SharedDrains } from './app/shared-drains.ts'
import { createEmbeddedCatalogs, type EmbeddedCatalogs } from './app/embedded-catalogs.ts'
import { readErrorPages } from './app/error-pages.ts'
import { createGeneration, type Generation, type GenerationOptions } from './app/generation.ts'
import { createInOrder, type InOrder } from './app/in-order.ts'
import { createOwnAddresses, type OwnAddresses } from './app/own-addresses.ts'
import { createPolicySources, type PolicySources } from './app/policy-sources.ts'
import { createSavedCatalog, type SavedCatalog } from './app/saved-catalog.ts'
import { createSelfRegistration, type SelfRegistration } from './app/self-registration.ts'
import { createUpstreamTls, type UpstreamTls } from './app/upstream-tls.ts'
import type { Config } from './config/config.ts'
import { createHistory, type History } from './control/history.ts'
import type { Cause } from './control/cause.ts'
import { troubledSources } from './control/source-trouble.ts'
import { sleep } from './core/clock.ts'
import { errorText } from './core/errors.ts'
import { showHostPort } from './core/host.ts'
import { type Problem, problemCount } from './core/problem.ts'
import type { HealthEvent } from './health/event.ts'
import { createHealth } from './health/monitor.ts'
import type { HealthView } from './health/port.ts'
import { createProber } from './health/prober.ts'
import type { EndpointState } from './live/runtime.ts'
import { layeredPolicy, policyBeneath } from './policy/layers.ts'
import { sameData } from './core/same.ts'
import { emptyPolicy, type Policy } from './policy/policy.ts'
import { weightsLayers } from './policy/weights.ts'
import { createDataPlane } from './proxy/data-plane.ts'
import type { DataPlane } from './proxy/options.ts'
import { createKillLedger, type KillLedger } from './telemetry/kill-ledger.ts'
import { logOrder } from './telemetry/operator-log.ts'
import { createTroubleRing } from './telemetry/trouble-ring.ts'
import { createMetrics, type ControlFigures, type Metrics } from './telemetry/metrics.ts'

export type { App, AppAddresses, AppDeps, FleetOfWorkers } from './app/app.ts'

export function createApp(config: Config, deps: AppDeps): App {
  return new Composition(config, deps)
}

class Composition implements App {
  readonly #deps: AppDeps
  readonly #plane: DataPlane
  readonly #metrics: Metrics
  readonly #kills: KillLedger
  readonly #access: Access
  readonly #doors: Doors
  readonly #takeOver: TakeOver
  readonly #embedded: EmbeddedCatalogs
  readonly #registration: SelfRegistration
  readonly #saved: SavedCatalog
  readonly #policies: PolicySources
  readonly #drains: SharedDrains
  readonly #tls: UpstreamTls
  readonly #history: History
  readonly #addresses: OwnAddresses = createOwnAddresses()
  #config: Config
  /** The generation whose tables are routed, and one that is to follow it. */
  #leading: Generation | undefined
  #next: Generation | undefined
  /** The newest, for whoever asks where services' settings come from. */
  #policyNow: Policy = emptyPolicy
  #serving = false
  readonly #standing = new ConfigStanding()
  #work: Promise<void> = Promise.resolve()
  /** Reloads, and what of the start none may meet halfway. */
  readonly #inOrder: InOrder = createInOrder()
  #loaded: ReturnType<SavedCatalog['load']> = Promise.resolve(undefined)
  #stopping: Promise<void> | undefined
  /** Resolves when the first table stands, or when there is no need of one any more. */
  readonly #first = Promise.withResolvers<void>()

  constructor(config: Config, deps: AppDeps) {
    this.#config = config
    this.#deps = deps
    this.#takeOver = createTakeOver({ ...deps, running: deps.running })
    const { inherit } = this.#takeOver
    const { clock, random, log } = deps
    const observer = deps.accessLog.observer(config.log.access)
    this.#kills = createKillLedger({ clock })
    this.#history = createHistory({ stateDir: config.stateDir, ...deps })
    const troubles = createTroubleRing({ clock })
    this.#plane = (deps.fleet?.createPlane ?? createDataPlane)({
      ...deps,
      inherit,
      limits: config.limits,
      observer,
      createHealth: (sink) => createHealth({ clock, random, prober: createProber(clock), sink, log }),
      onHealthEvent: (event) => this.#heard(event),
      onTrouble: (trouble) => troubles.add(trouble),
    })
    const health = (state: EndpointState): HealthView | undefined => this.#plane.healthOf(state)
    this.#metrics = createMetrics({
      clock,
      dataPlane: this.#plane,
      version: deps.version,
      control: () => this.#figures(),
      kills: this.#kills,
      health,
      workers: deps.fleet,
    })
    this.#policies = createPolicySources({
      deps,
      saved: async () => (await this.#loaded)?.policies,
      onChange: (causes) => this.#policyChanged(causes),
      onKnowledge: (policies) => this.#saved.offerPolicies(policies),
    })
    this.#drains = createSharedDrains({
      clock,
      log,
      plane: this.#plane,
      policies: {
        outside: () => this.#policies.outside(this.#config),
        store: () => this.#policies.store(),
      },
    })
    this.#access = createAccess(deps)
    this.#doors = createApi({
      inherit,
      clock,
      log,
      plane: this.#plane,
      access: this.#access,
      drains: this.#drains,
      inForce: this.#inForce(),
      metrics: this.#metrics,
      notReady: () => this.notReady(),
      problems: () => this.#problems(),
      kills: this.#kills,
      history: this.#history,
      troubles,
    })
    this.#embedded = createEmbeddedCatalogs(deps)
    this.#registration = createSelfRegistration(deps)
    this.#saved = createSavedCatalog(config.stateDir, deps)
    this.#tls = createUpstreamTls({
      ...deps,
      onChange: () => this.#policyChanged([{ kind: 'config', what: 'certificates' }]),
    })
  }

  /** What the API asks of what is in force. */
  #inForce(): ApiOptions['inForce'] {
    return {
      current: () => this.#plane.current(),
      store: () => this.#policies.store(),
      limits: () => this.#config.limits,
      origins: (name) => this.#policyNow.origins.get(name) ?? [],
      weights: (name) => weightsLayers(this.#policyNow, name),
      beneath: (name) => policyBeneath(this.#config, this.#policies.outside(this.#config), name),
      clock: this.#deps.clock,
      random: this.#deps.random,
    }
  }

  async start(): Promise<void> {
    const { log } = this.#deps
    log.setLevel(this.#config.log.level)
    const saved = (this.#loaded = this.#saved.load())
    this.#plane.setErrorPages(await readErrorPages(this.#config.errorPages))
    this.#plane.setZone(this.#config.zone)
    this.#access.use(await this.#access.load(this.#config.adminTokens))
    await this.#tls.load(this.#config)
    await this.#inOrder(() => this.#takeOver.before(this.#doors, this.#config))
    this.#tls.use(this.#config)
    const generation = await this.#begin(
      this.#config,
      () => this.#first.resolve(),
      async () => (await saved)?.sources,
    )
    if (this.#stopping) return generation.stop()
    this.#leading = generation
    generation.takeOver()
    this.#usePolicies()
    generation.start()
    // Half of the policy would send canaries what they must not get.
    await Promise.all([this.#first.promise, this.#policies.settled()])
    await this.#takeOver.sees(() => (this.#stopping ? [] : this.unseen()))
    if (this.#stopping) return
    this.#leading.flush()
    const listeners = await this.#inOrder(() => this.#plane.listen(this.#config.listen))
    this.#serving = true
    // Only now is it known which ports the system chose.
    this.#leading.setPolicy(this.#policy(this.#config), [{ kind: 'config', what: 'listeners' }])
    for (const { name, host, port } of listeners)
      log.info({ listener: name, host, port }, `listening on ${showHostPort(host, port)}`)
    try {
      await this.#inOrder(() => this.#takeOver.serving(this.#doors, () => this.#config))
    } catch (error) {
      await this.#plane.drain(this.#config.shutdown.deadlineMs)
      throw error
    }
    await this.#register()
  }

  reload(config: Config): Promise<void> {
    const reloaded = this.#inOrder(() => this.#reload(config))
    this.#work = reloaded.catch(() => {})
    return reloaded
  }

  get standing(): ConfigStanding {
    return this.#standing
  }

  addresses(): AppAddresses {
    return { listeners: this.#plane.addresses(), ...this.#doors.addresses() }
  }

  dataPlane(): DataPlane {
    return this.#plane
  }

  notReady(): readonly string[] {
    if (this.#stopping) return ['shutting down']
    const reasons = (this.#leading?.status().sources ?? [])
      .filter(({ answered }) => !answered)
      .map(({ name, state }) => `waiting for catalog ${name}${state.kind === 'current' ? '' : `: ${state.reason}`}`)
    if (reasons.length === 0 && !this.#serving) reasons.push('starting')
    reasons.push(...(this.#deps.fleet?.notReady() ?? []))
    return reasons
  }

  unseen(): readonly string[] {
    return this.#leading?.unseen() ?? []
  }

  async retire(): Promise<void> {
    this.#deps.log.info({}, 'another process takes over: it has the addresses from now on')
    await this.#doors.close(this.#deps.clock)
    await Promise.all([this.#registration.leave(), this.#saved.stop(), this.#history.stop()])
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  // === Reload ===

  async #reload(config: Config): Promise<void> {
    if (this.#stopping) return
    const before = this.#config
    try {
      // First all that can fail, each undone if a later one does.
      const pages = await readErrorPages(config.errorPages)
      const tokens = await this.#access.load(config.adminTokens)
      await this.#tls.load(config)
      const doors = await this.#doors.prepare(config)
      let next: Generation | undefined
      try {
        if (!sameData(before.catalog, config.catalog)) next = await this.#begin(config, () => this.#promote(next))
        if (this.#serving) await this.#plane.listen(config.listen)
      } catch (error) {
        await next?.stop()
        await doors.revert()
        throw error
      }
      this.#access.use(tokens)
      await doors.commit()
      this.#plane.setErrorPages(pages)
      await this.#apply(config, next)
      this.#standing.inForce()
    } catch (error) {
      this.#standing.failed(errorText(error))
      throw error
    }
  }

  /** What cannot fail. */
  async #apply(config: Config, next: Generation | undefined): Promise<void> {
    const { log, accessLog } = this.#deps
    const before = this.#config
    this.#config = config
    log.setLevel(config.log.level)
    this.#plane.setObserver(accessLog.observer(config.log.access))
    this.#plane.setLimits(config.limits)
    this.#plane.setZone(config.zone)
    this.#saved.use(config.stateDir)
    this.#history.use(config.stateDir)
    this.#tls.use(config)
    const policy = this.#policy(config)
    const causes = [{ kind: 'config', what: 'file' }] as const
    if (next) {
      log.info({}, 'the catalog sources changed; the new ones take over when they have answered')
      const skipped = this.#next
      this.#next = next
      next.start()
      await skipped?.stop()
    } else {
      this.#next?.setPolicy(policy, causes)
    }
    this.#leading?.setPolicy(policy, causes)
    if (!next) this.#usePolicies()
    if (!sameData(before.listen, config.listen)) {
      const listeners = this.#plane.addresses().map(({ host, port }) => showHostPort(host, port))
      log.info({ listeners }, `listening on ${listeners.join(', ')}`)
    }
    if (this.#serving) await this.#register()
  }

  #heard(event: HealthEvent): void {
    this.#kills.event(event)
    logOrder(event, this.#deps.log)
    // What the brake holds may just have died.
    if (event.kind === 'ejected') this.#leading?.lifeChanged()
    // An order of this proxy's own may have stood above a document.
    if (event.kind === 'restored') this.#drains.reconcile()
  }

  #policy(config: Config): Policy {
    const { listeners, ...doors } = this.addresses()
    const catalogs = config.catalog.map(({ name }) => this.#leading?.sources.connection(name)?.address)
    const check = this.#addresses.check(config, { listeners, ...doors, catalogs })
    const layered = layeredPolicy(config, check, this.#policies.outside(config))
    const policy = this.#tls.equip(layered)
    this.#policyNow = policy
    return policy
  }

  #usePolicies(): void {
    this.#policies.use(this.#config, (name) => this.#leading?.sources.connection(name))
  }

  #policyChanged(causes: readonly Cause[]): void {
    if (this.#stopping) return
    const policy = this.#policy(this.#config)
    for (const generation of [this.#leading, this.#next]) generation?.setPolicy(policy, causes)
    this.#drains.reconcile()
  }

  /** A generation that has not started; `onReady` is called when it knows its catalog. */
  #begin(config: Config, onReady: () => void, saved?: GenerationOptions['saved']): Promise<Generation> {
    return createGeneration({
      catalog: config.catalog,
      policy: this.#policy(config),
      embedded: this.#embedded,
      deps: this.#deps,
      versionBase: () => this.#plane.current().table.version,
      publish: (table, causes) => {
        const before = this.#plane.current().table
        this.#plane.apply(table)
        this.#drains.reconcile()
        this.#kills.tableChanged(table)
        this.#history.record(before, table, causes)
      },
      life: {
        isAlive: (key, life) => this.#plane.isAlive(key, life),
        probe: (keys) => this.#plane.doubt(keys),
      },
      onReady,
      saved,
      onKnowledge: (sources) => this.#saved.offer(sources),
    })
  }

  #promote(generation: Generation | undefined): void {
    if (!generation || this.#next !== generation || this.#stopping) return
    const before = this.#leading
    this.#leading = generation
    this.#next = undefined
    generation.takeOver()
    this.#usePolicies()
    generation.setPolicy(this.#policy(this.#config), [{ kind: 'config', what: 'catalog' }])
    this.#deps.log.info({}, 'the new catalog sources have taken over')
    void before?.stop()
    this.#first.resolve()
    if (this.#serving) void this.#register()
  }

  async #register(): Promise<void> {
    const { register } = this.#config
    const connection = register && this.#leading?.sources.connection(register.source)
    if (this.#stopping) return
    try {
      await this.#registration.set(register, connection, this.#plane.addresses()[0]?.port ?? 0)
    } catch (error) {
      this.#deps.log.error({ error: errorText(error) }, `this proxy cannot be registered: ${errorText(error)}`)
    }
  }

  // === Stop ===

  async #stop(): Promise<void> {
    const { clock, log } = this.#deps
    const { lameDuckMs, deadlineMs } = this.#config.shutdown
    this.#first.resolve()
    this.#drains.stop()
    if (this.#serving) {
      this.#plane.leave()
      log.info({ lameDuckMs }, 'shutting down: no longer ready, still serving until others have noticed')
      await Promise.all([sleep(clock, lameDuckMs), this.#registration.stop()])
      log.info({ deadlineMs }, 'no new connections; what runs may finish')
    }
    await this.#plane.drain(deadlineMs)
    await this.#work
    await Promise.all([
      this.#leading?.stop(),
      this.#next?.stop(),
      this.#registration.stop(),
      this.#policies.stop(),
      this.#saved.stop(),
    ])
    this.#tls.stop()
    await this.#history.stop()
    await this.#doors.close()
    this.#metrics.stop()
    log.info({}, 'stopped')
  }

  // === What others read ===

  #figures(): ControlFigures {
    const status = this.#leading?.status()
    return {
      sources: status?.sources ?? [],
      catalogLagMs: status?.lastBuild?.lagMs,
      tableBuildMs: status?.lastBuild?.durationMs,
      problems: problemCount(this.#problems()),
      configReloadOk: this.#standing.isInForce,
      accessLogDropped: this.#deps.accessLog.dropped(),
    }
  }

  #problems(): readonly Problem[] {
    const sources = [this.#leading, this.#next].flatMap((generation) => generation?.status().sources ?? [])
    return [
      ...this.#standing.problems(),
      ...troubledSources(sources),
      ...this.#policies.problems(),
      ...this.#saved.problems(),
      ...this.#tls.problems(),
      ...this.#history.problems(),
      ...this.#plane.current().table.problems,
    ]
  }
}
