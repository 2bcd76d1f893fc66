/**
 * The instances of the demonstration: starts them as processes, kills one when told, remembers who held which port and
 * when it was killed. Every process it started is gone when `stop` has resolved.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Clock } from '../../core/clock.ts'
import type { Random } from '../../core/random.ts'

export interface Member {
  readonly id: string
  readonly version: string
  /** Monotonic, ms; undefined while it lives. */
  killedAtMs: number | undefined
}

export interface FleetOptions {
  readonly catalog: string
  readonly service: string
  readonly clock: Clock
  readonly random: Random
  /** An instance ended that nobody killed. */
  readonly onLost: (member: Member) => void
}

interface Held extends Member {
  readonly child: ChildProcess
  readonly gone: Promise<void>
}

export class Fleet {
  readonly #options: FleetOptions
  readonly #members: Held[] = []
  #started = 0
  #stopping = false

  constructor(options: FleetOptions) {
    this.#options = options
  }

  /** Starts one more; it registers itself when it is up. */
  start(version: string): Member {
    const { catalog, service } = this.#options
    const id = `${service}-${++this.#started}`
    const here = import.meta.url
    const script = fileURLToPath(new URL(here.endsWith('.ts') ? './instance.ts' : './instance.js', here))
    const child = spawn(process.execPath, [script, catalog, service, id, version], {
      // The pipe is what ties its life to ours.
      stdio: ['pipe', 'ignore', 'inherit'],
    })
    child.stdin?.on('error', () => {})
    const gone = new Promise<void>((resolve) => {
      child.once('exit', () => resolve())
      child.once('error', () => resolve())
    })
    const member: Held = { id, version, killedAtMs: undefined, child, gone }
    this.#members.push(member)
    void gone.then(() => {
      if (member.killedAtMs === undefined && !this.#stopping) this.#options.onLost(member)
    })
    return member
  }

  /** Kills one of those that `candidates` names, with SIGKILL; undefined: there is none. */
  killOne(candidates: ReadonlySet<string>): Member | undefined {
    const living = this.#members.filter(({ id, killedAtMs }) => killedAtMs === undefined && candidates.has(id))
    const victim = living[Math.floor(this.#options.random() * living.length)]
    if (!victim) return undefined
    victim.killedAtMs = this.#options.clock.now()
    victim.child.kill('SIGKILL')
    return victim
  }

  living(): readonly Member[] {
    return this.#members.filter(({ killedAtMs }) => killedAtMs === undefined)
  }

  get(id: string): Member | undefined {
    return this.#members.find((member) => member.id === id)
  }

  killed(): readonly Member[] {
    return this.#members.filter(({ killedAtMs }) => killedAtMs !== undefined)
  }

  /** Ends all and waits until they are gone. */
  async stop(): Promise<void> {
    this.#stopping = true
    for (const { child } of this.#members) child.kill('SIGKILL')
    await Promise.all(this.#members.map(({ gone }) => gone))
  }
}
