/**
 * A gauge inside a process that is measured: `node --import` it, with `FAIRLEAD_BENCH_TURNS` naming a folder. It wakes every
 * millisecond; what the thread used of its CPU between two wakes is an upper bound of a turn of the loop (with what lies
 * around it, a millisecond at most), whatever else ran on the machine. It knows nothing of what the process does.
 */
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { isMainThread } from 'node:worker_threads'

/** What happened within a second; times in ms. */
export interface TurnLine {
  readonly pid: number
  /** The arguments of the process. */
  readonly role: string
  /** Wall clock. */
  readonly atMs: number
  /** The longest turn, by CPU of its thread, with the garbage collection in it. */
  readonly longestMs: number
  /** The longest without. */
  readonly ownMs: number
  /** The longest by the clock on the wall, GC and other processes' share of the core in it. */
  readonly wallMs: number
  /** CPU of the thread, all together. */
  readonly cpuMs: number
  /** The heap after a full collection, bytes; in the line that a SIGUSR2 asks for. */
  readonly heapBytes?: number
}

interface Gap {
  readonly fromMs: number
  readonly toMs: number
  readonly cpuMs: number
}

const wakeMs = 1
const everyMs = 1_000
/** Turns below are no candidates for the longest. */
const shortMs = 0.5

function cpuNowMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1_000
}

/** How much of `gap` the collections took. */
export function overlapMs(
  gap: Pick<Gap, 'fromMs' | 'toMs'>,
  collections: readonly (readonly [number, number])[],
): number {
  let sum = 0
  for (const [from, to] of collections) sum += Math.max(0, Math.min(to, gap.toMs) - Math.max(from, gap.fromMs))
  return sum
}

function measure(dir: string): void {
  const file = join(dir, `${process.pid}.jsonl`)
  const role = process.argv.slice(2).join(' ')
  let gaps: Gap[] = []
  let collections: (readonly [number, number])[] = []
  const note = ({ startTime, duration }: PerformanceEntry): void =>
    void collections.push([startTime, startTime + duration])
  const observer = new PerformanceObserver((list) => list.getEntries().forEach(note))
  observer.observe({ entryTypes: ['gc'] })

  let lineMs = performance.now()
  let lineCpuMs = cpuNowMs()
  let fromMs = lineMs
  let fromCpuMs = lineCpuMs
  const write = (nowMs: number, cpuMs: number, more: Pick<TurnLine, 'heapBytes'>): void => {
    observer.takeRecords().forEach(note)
    const own = gaps.map((gap) => gap.cpuMs - overlapMs(gap, collections))
    const line: TurnLine = {
      pid: process.pid,
      role,
      atMs: Date.now(),
      longestMs: Math.max(0, ...gaps.map((gap) => gap.cpuMs)),
      ownMs: Math.max(0, ...own),
      wallMs: Math.max(0, ...gaps.map((gap) => gap.toMs - gap.fromMs - wakeMs)),
      cpuMs: cpuMs - lineCpuMs,
      ...more,
    }
    appendFileSync(file, `${JSON.stringify(line)}\n`)
    gaps = []
    collections = []
    lineMs = nowMs
    lineCpuMs = cpuMs
  }
  const wake = (): void => {
    const nowMs = performance.now()
    const cpuMs = cpuNowMs()
    // The kernel books a thread's CPU when it sleeps or at a tick, so that some of an earlier turn may be in it.
    const gapCpuMs = Math.min(cpuMs - fromCpuMs, nowMs - fromMs)
    if (gapCpuMs > shortMs) gaps.push({ fromMs, toMs: nowMs, cpuMs: gapCpuMs })
    if (nowMs - lineMs >= everyMs) write(nowMs, cpuMs, {})
    // Not measured: what this took itself.
    fromMs = performance.now()
    fromCpuMs = cpuNowMs()
    setTimeout(wake, wakeMs).unref()
  }
  wake()

  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  process.on('SIGUSR2', () => {
    collect()
    collect()
    write(performance.now(), cpuNowMs(), { heapBytes: process.memoryUsage().heapUsed })
    fromMs = performance.now()
    fromCpuMs = cpuNowMs()
  })
}

const dir = process.env['FAIRLEAD_BENCH_TURNS']
if (dir !== undefined && isMainThread) measure(dir)
