/**
 * Runs the agent's checks: TTL deadlines, HTTP and TCP probes, and the reaper that removes services critical for too long.
 * Owns every timer of theirs. Verdicts go to the store; an output that changed without its status waits minutes before it
 * does, so that chatty checks wake nobody. Source: Consul's agent, timings as measured on 1.8.
 */
import type { Clock, Milliseconds, Timer } from '../../core/clock.ts'
import { errorText } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import type { Random } from '../../core/random.ts'
import { checkChange, deregisterService } from './agent-commands.ts'
import { probe, type ActiveProbe, type ProbeResult } from './probe.ts'
import type { Change, CheckRecord, CheckStatus } from './records.ts'
import { Refusal } from './reply.ts'
import type { CatalogStore } from './store.ts'

const REAP_EVERY_MS = 30_000
/** An output that changed alone is written down after half of this up to one and a half times this. */
const OUTPUT_SYNC_MS = 300_000

/** The longest time a timer of the system takes; a longer one would fire at once. */
const TIMER_MAX_MS = 2 ** 31 - 1

interface Running {
  readonly run: NonNullable<CheckRecord['run']>
  timer: Timer | undefined
  outputTimer: Timer | undefined
  /** Newer than the catalog's. */
  output: string | undefined
  criticalSince: Milliseconds | undefined
  streak: { status: CheckStatus; count: number }
  readonly abort: AbortController
}

export class CheckRunner {
  readonly #store: CatalogStore
  readonly #node: string
  readonly #clock: Clock
  readonly #random: Random
  readonly #log: Logger
  readonly #running = new Map<string, Running>()
  #reaper: Timer | undefined
  #unlisten: (() => void) | undefined

  constructor(store: CatalogStore, node: string, deps: { clock: Clock; random: Random; log: Logger }) {
    this.#store = store
    this.#node = node
    this.#clock = deps.clock
    this.#random = deps.random
    this.#log = deps.log
  }

  /** Takes up every check in the store and whatever comes. */
  start(): void {
    for (const check of this.#store.state.nodes.get(this.#node)?.checks.values() ?? []) this.#begin(check)
    this.#unlisten = this.#store.onCommit((changes) => this.#follow(changes))
    this.#scheduleReaper()
  }

  stop(): void {
    this.#unlisten?.()
    this.#reaper?.clear()
    for (const id of this.#running.keys()) this.#end(id)
  }

  /** The newest output of a check, if the catalog does not have it yet. */
  output(checkId: string): string | undefined {
    return this.#running.get(checkId)?.output
  }

  /** A TTL check's owner speaks. Throws a Refusal (500) if there is no such TTL check. */
  heartbeat(checkId: string, status: CheckStatus, output: string): void {
    const running = this.#running.get(checkId)
    if (running?.run.probe.kind !== 'ttl')
      throw new Refusal(500, `CheckID ${JSON.stringify(checkId)} does not have associated TTL`)
    this.#settle(checkId, running, { status, output })
    this.#armTtl(checkId, running, running.run.probe.ttlMs)
  }

  /** A service registered again: its checks start afresh. */
  restart(serviceId: string): void {
    const own = this.#store.state.nodes.get(this.#node)?.checksOf.get(serviceId)
    for (const check of own?.values() ?? []) this.#begin(check)
  }

  restartCheck(checkId: string): void {
    const check = this.#store.state.check(this.#node, checkId)
    if (check) this.#begin(check)
  }

  #follow(changes: readonly Change[]): void {
    for (const change of changes) {
      if (change.kind === 'check' && change.check.node === this.#node) {
        const running = this.#running.get(change.check.id)
        if (running?.run !== change.check.run) this.#begin(change.check)
      } else if (change.kind === 'check-gone' || change.kind === 'service-gone' || change.kind === 'node-gone') {
        for (const id of this.#running.keys()) if (!this.#store.state.check(this.#node, id)) this.#end(id)
      }
    }
  }

  #begin(check: CheckRecord): void {
    const before = this.#running.get(check.id)
    this.#end(check.id)
    if (!check.run) return
    const running: Running = {
      run: check.run,
      timer: undefined,
      outputTimer: undefined,
      output: undefined,
      criticalSince: check.status === 'critical' ? (before?.criticalSince ?? this.#clock.now()) : undefined,
      streak: { status: check.status, count: 0 },
      abort: new AbortController(),
    }
    this.#running.set(check.id, running)
    if (check.run.probe.kind === 'ttl') this.#armTtl(check.id, running, check.run.probe.ttlMs)
    else this.#armProbe(check.id, running, this.#random() * check.run.probe.intervalMs)
  }

  #end(id: string): void {
    const running = this.#running.get(id)
    running?.timer?.clear()
    running?.outputTimer?.clear()
    running?.abort.abort()
    this.#running.delete(id)
  }

  #armTtl(id: string, running: Running, leftMs: Milliseconds): void {
    running.timer?.clear()
    const stepMs = Math.min(leftMs, TIMER_MAX_MS)
    running.timer = this.#clock.setTimer(stepMs, () => {
      if (leftMs > stepMs) return this.#armTtl(id, running, leftMs - stepMs)
      const last = running.output ?? this.#store.state.check(this.#node, id)?.output ?? ''
      const suffix = last === '' ? '' : ` (last output before timeout follows): ${last}`
      this.#settle(id, running, { status: 'critical', output: `TTL expired${suffix}` })
    })
  }

  #armProbe(id: string, running: Running, delayMs: Milliseconds): void {
    const { probe: how, outputBytesMax } = running.run
    if (how.kind === 'ttl') return
    running.timer = this.#clock.setTimer(delayMs, () => {
      void this.#probeOnce(id, running, how, outputBytesMax)
    })
  }

  async #probeOnce(id: string, running: Running, how: ActiveProbe, outputBytesMax: number): Promise<void> {
    const { signal } = running.abort
    const result = await probe(how, outputBytesMax, this.#clock, signal).catch((error: unknown): ProbeResult => ({
      status: 'critical',
      output: errorText(error),
    }))
    if (signal.aborted) return
    this.#count(id, running, result)
    this.#armProbe(id, running, how.intervalMs)
  }

  /** A probe's result counts once it has been seen often enough in a row. */
  #count(id: string, running: Running, result: ProbeResult): void {
    const good = (status: CheckStatus): boolean => status !== 'critical'
    const count = good(running.streak.status) === good(result.status) ? running.streak.count + 1 : 1
    running.streak = { status: result.status, count }
    const needed = good(result.status) ? running.run.successBeforePassing : running.run.failuresBeforeCritical
    if (count >= needed) this.#settle(id, running, result)
  }

  #settle(id: string, running: Running, result: ProbeResult): void {
    const check = this.#store.state.check(this.#node, id)
    if (!check) return
    const output = cut(result.output, running.run.outputBytesMax)
    if (result.status !== 'critical') running.criticalSince = undefined
    else running.criticalSince ??= this.#clock.now()
    if (result.status === check.status) {
      running.output = output
      this.#syncOutputLater(id, running)
      return
    }
    this.#log.info({ check: id, status: result.status, service: check.serviceId }, 'a check changed')
    this.#write(id, running, result.status, output)
  }

  #syncOutputLater(id: string, running: Running): void {
    if (running.outputTimer || running.output === this.#store.state.check(this.#node, id)?.output) return
    running.outputTimer = this.#clock.setTimer(OUTPUT_SYNC_MS / 2 + this.#random() * OUTPUT_SYNC_MS, () => {
      const check = this.#store.state.check(this.#node, id)
      if (check && running.output !== undefined) this.#write(id, running, check.status, running.output)
    })
  }

  #write(id: string, running: Running, status: CheckStatus, output: string): void {
    running.outputTimer?.clear()
    running.outputTimer = undefined
    const check = this.#store.state.check(this.#node, id)
    if (!check) return
    try {
      this.#store.commit((index) => checkChange(this.#store.state, { ...check, status, output }, index))
      running.output = undefined
    } catch (error) {
      // The disk is full or the directory was taken over: the next result tries again.
      this.#log.error({ check: id, error: errorText(error) }, 'a check result could not be written')
    }
  }

  #scheduleReaper(): void {
    this.#reaper = this.#clock.setTimer(REAP_EVERY_MS, () => {
      this.#reap()
      this.#scheduleReaper()
    })
  }

  #reap(): void {
    for (const [id, running] of this.#running) {
      const after = running.run.deregisterAfterMs
      const since = running.criticalSince
      const check = this.#store.state.check(this.#node, id)
      if (!check || check.serviceId === '' || after === 0 || since === undefined) continue
      if (this.#clock.now() - since < after) continue
      this.#log.info({ service: check.serviceId, check: id }, 'a service was removed: critical for too long')
      try {
        this.#store.commit(() => deregisterService(this.#store.state, this.#node, check.serviceId))
      } catch (error) {
        this.#log.error({ service: check.serviceId, error: errorText(error) }, 'a service could not be removed')
      }
    }
  }
}

/** At most `bytesMax` bytes, never half a character. */
function cut(output: string, bytesMax: number): string {
  const bytes = Buffer.from(output)
  if (bytes.length <= bytesMax) return output
  return new TextDecoder('utf8').decode(bytes.subarray(0, bytesMax), { stream: true })
}
