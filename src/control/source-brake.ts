/**
 * Keeps what the brake holds of one source: in the snapshot that the table is made of, under a problem that names it, until
 * it fails, is back, is confirmed to be gone, or matters no more. It owns one timer, which runs while something is held.
 */
import type { Instance, ServiceSnapshot, Snapshot } from '../catalog/snapshot.ts'
import type { CatalogSource, Interest } from '../catalog/source.ts'
import { type Clock, isoTime, type Milliseconds, type Timer } from '../core/clock.ts'
import { counted } from '../core/counted.ts'
import type { Logger } from '../core/log.ts'
import type { Problem } from '../core/problem.ts'
import { decideBrake, isServing, matters, type Hold } from './brake.ts'

/** What the data plane knows of held instances. */
export interface LifeSigns {
  /** `life` is the instance's create index. `unknown` (not asked yet, no answer yet) is no death. */
  isAlive(key: string, life: number): 'alive' | 'dead' | 'unknown'
  /** Asks for a probe of each; their answers show in {@link isAlive}. */
  probe(keys: readonly string[]): void
}

export interface SourceBrakeOptions {
  readonly source: CatalogSource
  readonly clock: Clock
  readonly log: Logger
  readonly interest: () => Interest
  /** Undefined: nobody looks, and what is held stays for as long as it may. */
  readonly life: LifeSigns | undefined
  /** Something held was let go: {@link SourceBrake.snapshot} is another one. */
  readonly onChange: () => void
}

/** An instance is held no longer than this, unless the catalog cannot be asked whether it is really gone. */
export const holdMs: Milliseconds = 60_000
/** Trouble of the source this long ago still casts doubt on what it does not name. */
export const troubleMs: Milliseconds = 60_000
/** Updates within this time may be pieces of one sudden removal. */
export const suddenMs: Milliseconds = 1_000
/** Earlier snapshots kept for that. */
const earlierMax = 256
/** Between two looks at whether what is held lives. */
const lookMs: Milliseconds = 250
/** After a confirming read that confirmed nothing. */
const againMs: Milliseconds = 5_000
/** Instances named in a problem; more are counted. */
const namedMax = 5

interface Held {
  readonly instance: Instance
  readonly untilMs: Milliseconds
}

interface HeldService {
  readonly name: string
  readonly held: Map<string, Held>
  readonly serving: number
  /** Wall-clock time when the last of them is to go. */
  untilWallMs: number
  /** A confirming read is under way, or not due again before this. */
  confirmAtMs: Milliseconds
  confirming: boolean
  /** Made of the service as the source has it; undefined after what is held changed. */
  made: { readonly from: ServiceSnapshot | undefined; readonly service: ServiceSnapshot } | undefined
  problem: Problem | undefined
}

export class SourceBrake {
  readonly #options: SourceBrakeOptions
  readonly #services = new Map<string, HeldService>()
  readonly #keys = new Set<string>()
  #next: Snapshot | undefined
  /** What was replaced a moment ago, the oldest first. */
  #earlier: { readonly snapshot: Snapshot; readonly untilMs: Milliseconds }[] = []
  #snapshot: Snapshot | undefined
  #restored = false
  #troubledMs: Milliseconds | undefined
  #timer: Timer | undefined
  #stopped = false

  constructor(options: SourceBrakeOptions) {
    this.#options = options
  }

  /** What the source said last, with what is held; undefined before anything was heard or restored. */
  get snapshot(): Snapshot | undefined {
    return this.#snapshot
  }

  /** Whether {@link snapshot} was read from a file and the source has said nothing yet. */
  get restored(): boolean {
    return this.#restored
  }

  get heldCount(): number {
    return this.#keys.size
  }

  /** Stands in until the source answers. */
  restore(snapshot: Snapshot): void {
    this.#snapshot = snapshot
    this.#restored = true
  }

  /** The source was out of reach just now. */
  troubled(): void {
    this.#troubledMs = this.#options.clock.now()
  }

  /** The source published `next`. */
  take(next: Snapshot): void {
    if (this.#stopped) return
    const before = this.#snapshot
    const restored = this.#restored
    this.#restored = false
    this.#next = next
    this.#letGoOfReturned(next)
    if (before) {
      const known = {
        next,
        interest: this.#options.interest(),
        isHeld: (key: string) => this.#keys.has(key),
        troubled: restored || this.#isTroubled(),
        restored,
      }
      this.#hold(decideBrake({ ...known, before, inPieces: false }))
      const first = this.#firstOfNow(before)
      if (first !== before) this.#hold(decideBrake({ ...known, before: first, inPieces: true }))
    }
    this.#compose()
    this.#plan()
  }

  /** Call when what is alive, or what matters, may have changed; it also looks by itself, four times a second. */
  look(): void {
    if (this.#stopped || this.#services.size === 0) return
    const { clock, life, interest } = this.#options
    const nowMs = clock.now()
    let changed = false
    for (const service of this.#services.values()) {
      const { name, held } = service
      const instances = [...held.values()].map(({ instance }) => instance)
      if (!matters(interest(), name, instances)) {
        for (const key of held.keys()) changed = this.#letGo(service, key, undefined) || changed
        continue
      }
      for (const instance of instances)
        if (life?.isAlive(instance.key, instance.createIndex) === 'dead')
          changed = this.#letGo(service, instance.key, 'it is dead') || changed
      changed = this.#letGoOfOverdue(service, nowMs) || changed
    }
    if (changed) this.#changed()
    else this.#plan()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.clear()
    this.#timer = undefined
  }

  // === Holding ===

  /** What stood when the updates of now began; `before` has stood until this moment. */
  #firstOfNow(before: Snapshot): Snapshot {
    const nowMs = this.#options.clock.now()
    this.#earlier = this.#earlier.filter(({ untilMs }) => nowMs - untilMs < suddenMs).slice(1 - earlierMax)
    this.#earlier.push({ snapshot: before, untilMs: nowMs })
    return this.#earlier[0]?.snapshot ?? before
  }

  #isTroubled(): boolean {
    return this.#troubledMs !== undefined && this.#options.clock.now() - this.#troubledMs < troubleMs
  }

  #hold(holds: readonly Hold[]): void {
    const { clock, life } = this.#options
    const untilMs = clock.now() + holdMs
    const keys: string[] = []
    for (const { service: name, instances, serving } of holds) {
      const known = this.#services.get(name)
      const service: HeldService = {
        name,
        held: known?.held ?? new Map<string, Held>(),
        serving: serving + (known?.held.size ?? 0),
        untilWallMs: clock.wall() + holdMs,
        confirmAtMs: known?.confirmAtMs ?? 0,
        confirming: known?.confirming ?? false,
        made: undefined,
        problem: undefined,
      }
      for (const instance of instances) {
        service.held.set(instance.key, { instance: Object.freeze({ ...instance, held: true as const }), untilMs })
        this.#keys.add(instance.key)
        keys.push(instance.key)
      }
      this.#services.set(name, service)
    }
    if (keys.length > 0) life?.probe(keys)
  }

  /** Whoever is back, or was put into maintenance, is as the source has it. */
  #letGoOfReturned(next: Snapshot): void {
    for (const service of this.#services.values())
      for (const one of next.services.get(service.name)?.instances ?? [])
        if (isServing(one) || one.status === 'maintenance') this.#letGo(service, one.key, undefined)
  }

  /** Returns whether it was held. */
  #letGo(service: HeldService, key: string, why: string | undefined): boolean {
    const held = service.held.get(key)
    if (!held) return false
    service.held.delete(key)
    this.#keys.delete(key)
    service.made = undefined
    service.problem = undefined
    if (service.held.size === 0) this.#services.delete(service.name)
    const { source, log } = this.#options
    if (why !== undefined)
      log.info(
        { source: source.name, service: service.name, instance: held.instance.id },
        `catalog ${source.name}: ${service.name} ${held.instance.id} is no longer held: ${why}`,
      )
    return true
  }

  // === Confirming ===

  /** Returns whether anything was let go. */
  #letGoOfOverdue(service: HeldService, nowMs: Milliseconds): boolean {
    const due = [...service.held].filter(([, { untilMs }]) => untilMs <= nowMs).map(([key]) => key)
    if (due.length === 0) return false
    const { source } = this.#options
    if (!source.confirm) {
      for (const key of due) this.#letGo(service, key, 'its time is over')
      return true
    }
    if (!service.confirming && service.confirmAtMs <= nowMs) void this.#confirm(service, source.confirm(service.name))
    return false
  }

  async #confirm(service: HeldService, reading: Promise<readonly Instance[] | undefined>): Promise<void> {
    service.confirming = true
    const listed = await reading.catch(() => undefined)
    const { clock } = this.#options
    // By name: what is held of it may have been let go and held anew meanwhile.
    const current = this.#services.get(service.name)
    if (!current || this.#stopped) return
    current.confirming = false
    current.confirmAtMs = clock.now() + againMs
    if (!listed) return
    const serving = new Set(listed.filter(isServing).map(({ key }) => key))
    let changed = false
    for (const [key, { untilMs }] of current.held)
      if (untilMs <= clock.now() && !serving.has(key))
        changed = this.#letGo(current, key, 'a second read says so too') || changed
    if (changed) this.#changed()
  }

  // === What comes of it ===

  #changed(): void {
    // What was let go is not lost once more.
    this.#earlier = []
    this.#compose()
    this.#plan()
    this.#options.onChange()
  }

  #plan(): void {
    if (this.#services.size === 0) {
      this.#timer?.clear()
      this.#timer = undefined
    } else if (!this.#timer && !this.#stopped)
      this.#timer = this.#options.clock.setTimer(lookMs, () => {
        this.#timer = undefined
        this.look()
      })
  }

  #compose(): void {
    const next = this.#next
    if (!next) return
    if (this.#services.size === 0) {
      this.#snapshot = next
      return
    }
    const services = new Map(next.services)
    const problems = [...next.problems]
    for (const service of this.#services.values()) {
      const from = next.services.get(service.name)
      if (!service.made || service.made.from !== from) service.made = { from, service: withHeld(service, from) }
      services.set(service.name, service.made.service)
      problems.push((service.problem ??= this.#problemOf(service)))
    }
    this.#snapshot = Object.freeze({ version: next.version, services, problems: Object.freeze(problems) })
  }

  #problemOf({ name, held, serving, untilWallMs }: HeldService): Problem {
    const { source } = this.#options
    const ids = [...held.values()].map(({ instance }) => instance.id)
    const named = ids.slice(0, namedMax).join(', ')
    const more = ids.length > namedMax ? ` and ${ids.length - namedMax} more` : ''
    return Object.freeze({
      code: 'removal-held',
      where: `catalog ${source.name} service ${name}`,
      message:
        `${ids.length} of ${counted(serving, 'instance')} went or turned critical at once, which a failing catalog does ` +
        `too. They keep their traffic while they answer, until ${isoTime(untilWallMs)} and a second read: ${named}${more}`,
    })
  }
}

const byKey = (a: Instance, b: Instance): number => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)

function withHeld({ name, held }: HeldService, from: ServiceSnapshot | undefined): ServiceSnapshot {
  const instances = (from?.instances ?? []).filter(({ key }) => !held.has(key))
  for (const { instance } of held.values()) instances.push(instance)
  return Object.freeze({ name, instances: Object.freeze(instances.sort(byKey)) })
}
