/**
 * What Linux says a process and a core have used: reads and parses /proc. Pure parsers, thin readers.
 * It must not decide what a figure means. Source: proc(5).
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'

/** What {@link parseProcessStat} finds. Times are clock ticks. */
export interface ProcessStat {
  readonly pid: number
  readonly command: string
  readonly parentPid: number
  readonly userTicks: number
  readonly systemTicks: number
}

/** Parses /proc/PID/stat. The command may hold spaces and parentheses, so what follows its LAST parenthesis counts. */
export function parseProcessStat(text: string): ProcessStat {
  const open = text.indexOf('(')
  const close = text.lastIndexOf(')')
  if (open < 0 || close < open) throw new Error(`not a process stat line: ${text.slice(0, 60)}`)
  const fields = text.slice(close + 2).split(' ')
  const stat = {
    pid: Number(text.slice(0, open)),
    command: text.slice(open + 1, close),
    parentPid: Number(fields[1]),
    userTicks: Number(fields[11]),
    systemTicks: Number(fields[12]),
  }
  if (![stat.pid, stat.parentPid, stat.userTicks, stat.systemTicks].every(Number.isSafeInteger))
    throw new Error(`not a process stat line: ${text.slice(0, 60)}`)
  return stat
}

/** The time on a CPU in nanoseconds out of /proc/PID/task/TID/schedstat; undefined where the kernel keeps none. */
export function parseSchedstat(text: string): number | undefined {
  const [ran, waited] = text.trim().split(' ').map(Number)
  if (ran === undefined || waited === undefined || !Number.isSafeInteger(ran)) return undefined
  return ran === 0 && waited === 0 ? undefined : ran
}

/** Ticks a core has spent, since boot. */
export interface CoreTicks {
  readonly busy: number
  readonly total: number
}

/** One core's line of /proc/stat; idle and iowait are not busy. Undefined when the core has no line. */
export function parseCoreTicks(text: string, core: number): CoreTicks | undefined {
  const line = text.split('\n').find((candidate) => candidate.startsWith(`cpu${core} `))
  if (line === undefined) return undefined
  // guest and guest_nice (the last two) are already counted in user and nice
  const ticks = line.trim().split(/\s+/).slice(1, 9).map(Number)
  const total = ticks.reduce((sum, value) => sum + value, 0)
  return { busy: total - (ticks[3] ?? 0) - (ticks[4] ?? 0), total }
}

/** A `kB` line of /proc/PID/status, in bytes; undefined when it has none (a kernel thread, a zombie). */
export function parseStatusBytes(text: string, name: 'VmRSS' | 'VmHWM'): number | undefined {
  const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)
  return match?.[1] === undefined ? undefined : Number(match[1]) * 1024
}

/** The `Pss:` line of /proc/PID/smaps_rollup (a share of what it shares with others), in bytes; undefined without one. */
export function parsePssBytes(text: string): number | undefined {
  const kilobytes = /^Pss:\s+(\d+) kB$/m.exec(text)?.[1]
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1024
}

/** The soft limit of open files in /proc/PID/limits; Infinity when unlimited or not said. */
export function parseOpenFilesLimit(text: string): number {
  const limit = /^Max open files\s+(\d+)/m.exec(text)?.[1]
  return limit === undefined ? Number.POSITIVE_INFINITY : Number(limit)
}

const ticksPerSecond = ((): number => {
  try {
    return Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' })) || 100
  } catch {
    return 100
  }
})()

function readOr<T>(read: () => T, otherwise: T): T {
  try {
    return read()
  } catch {
    return otherwise
  }
}

/** The process and all its descendants (nginx's worker is a child of its master). */
export function processTree(rootPid: number): readonly number[] {
  const pids = [rootPid]
  for (const pid of pids) {
    const threads = readOr(() => readdirSync(`/proc/${pid}/task`), [])
    for (const thread of threads) {
      const children = readOr(() => readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8'), '')
      pids.push(...children.split(' ').filter(Boolean).map(Number))
    }
  }
  return pids
}

// asked once, of a process that surely ran: the two sources must not be mixed within one measurement
const schedstatIsKept =
  parseSchedstat(readOr(() => readFileSync(`/proc/${process.pid}/schedstat`, 'utf8'), '')) !== undefined

function processCpuMicros(pid: number): number {
  if (!schedstatIsKept) return tickMicros(`/proc/${pid}/stat`)
  let nanos = 0
  for (const thread of readOr(() => readdirSync(`/proc/${pid}/task`), []))
    nanos += parseSchedstat(readOr(() => readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8'), '')) ?? 0
  return nanos / 1_000
}

function tickMicros(file: string): number {
  const text = readOr(() => readFileSync(file, 'utf8'), '')
  if (text === '') return 0
  const stat = parseProcessStat(text)
  return ((stat.userTicks + stat.systemTicks) * 1_000_000) / ticksPerSecond
}

/**
 * CPU time used so far by a process tree, user and system, all threads, in µs. From utime + stime in clock ticks
 * (10 ms), or where the kernel keeps it, from each thread's schedstat, which is the same time in nanoseconds.
 */
export function cpuMicros(rootPid: number): number {
  return processTree(rootPid).reduce((sum, pid) => sum + processCpuMicros(pid), 0)
}

/** CPU time used so far by the first thread of a process, in µs: in Node, the one that runs JavaScript. */
export function mainThreadCpuMicros(pid: number): number {
  const thread = `/proc/${pid}/task/${pid}`
  if (schedstatIsKept)
    return (parseSchedstat(readOr(() => readFileSync(`${thread}/schedstat`, 'utf8'), '')) ?? 0) / 1_000
  return tickMicros(`${thread}/stat`)
}

/** Resident memory of a process tree in bytes, now and at its highest (each process's own peak, added up). */
export function memoryBytes(rootPid: number): { readonly resident: number; readonly peak: number } {
  let resident = 0
  let peak = 0
  for (const pid of processTree(rootPid)) {
    const status = readOr(() => readFileSync(`/proc/${pid}/status`, 'utf8'), '')
    resident += parseStatusBytes(status, 'VmRSS') ?? 0
    peak += parseStatusBytes(status, 'VmHWM') ?? 0
  }
  return { resident, peak }
}

/** What a core has spent since boot; undefined where /proc does not say. */
export function coreTicks(core: number): CoreTicks | undefined {
  return parseCoreTicks(
    readOr(() => readFileSync('/proc/stat', 'utf8'), ''),
    core,
  )
}

/** Proportional memory of a process tree in bytes; undefined when not all of it may be read. */
export function pssBytes(rootPid: number): number | undefined {
  let sum = 0
  for (const pid of processTree(rootPid)) {
    const bytes = parsePssBytes(readOr(() => readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'), ''))
    if (bytes === undefined) return undefined
    sum += bytes
  }
  return sum
}

/** How many files this process, and what it starts, may have open. Node raises its own limit to the hard one. */
export function openFilesLimit(): number {
  return parseOpenFilesLimit(readOr(() => readFileSync('/proc/self/limits', 'utf8'), ''))
}
