/**
 * The demonstration: catalog, proxy, fleet and client in order, a kill now and then, and everything ended again whatever
 * happens. Exit codes: 0 nothing failed but unsafe requests that a killed instance held, 1 otherwise.
 */
import { sleep, systemClock } from '../../core/clock.ts'
import { errorText } from '../../core/errors.ts'
import { systemRandom } from '../../core/random.ts'
import { Client } from './client.ts'
import { Fleet, type Member } from './fleet.ts'
import { Report } from './report.ts'
import { startStage, type Stage } from './stage.ts'

export interface DemoOptions {
  /** Undefined: until Ctrl-C. */
  readonly forMs: number | undefined
  readonly killEveryMs: number
}

const service = 'shop'
const first: readonly string[] = ['9.7.0', '9.7.0', '9.7.0', '9.8.0', '9.8.0']
const connections = 6
const lineEveryMs = 1_000
/** An instance must have served this long before it may be the one that is killed. */
const readyWithinMs = 20_000

const clock = systemClock
const say = (text: string): void => void process.stdout.write(`${text}\n`)

/** Runs the demonstration and ends the process. */
export async function runDemo(options: DemoOptions): Promise<void> {
  const ended = new AbortController()
  let interrupted = 0
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      // The children end with us whatever way we end; a second Ctrl-C need not wait for the rest.
      if (++interrupted > 1) process.exit(130)
      ended.abort()
    })
  }
  // A reader that went away (`| head`) ends the demonstration, not with a stack.
  process.stdout.on('error', () => ended.abort())
  // The clock's timers let a process end; the demonstration ends when it is told to.
  // oxlint-disable-next-line no-restricted-globals -- measures nothing, only holds the process
  const hold = setInterval(() => {}, 2 ** 30)
  let code = 1
  try {
    code = (await perform(options, ended)) ? 0 : 1
  } catch (error) {
    process.stderr.write(`fairlead demo: ${errorText(error)}\n`)
  }
  clearInterval(hold)
  process.exitCode = code
  process.exit()
}

async function perform(options: DemoOptions, ended: AbortController): Promise<boolean> {
  const report = new Report()
  const stage = await startStage(service, { clock, random: systemRandom })
  const fleet = new Fleet({
    catalog: stage.catalog,
    service,
    clock,
    random: systemRandom,
    onLost: ({ id }) => report.unexpected(`${id} ended by itself`),
  })
  let startMs = clock.now()
  try {
    say('Fairlead: a catalog, two versions of one service, the proxy, and a client that never tries again.\n')
    say(stage.describe())
    for (const version of first) fleet.start(version)
    await allRouted(stage, fleet, ended.signal)
    startMs = clock.now()
    await load(options, { stage, fleet, report, ended, startMs })
  } finally {
    await fleet.stop()
    await stage.stop()
  }
  say(`\n${report.summary(clock.now() - startMs, fleet.killed())}`)
  return report.ok
}

interface Scene {
  readonly stage: Stage
  readonly fleet: Fleet
  readonly report: Report
  readonly ended: AbortController
  readonly startMs: number
}

/** Asks, kills and tells until the end. */
async function load(options: DemoOptions, scene: Scene): Promise<void> {
  const { stage, fleet, report, ended, startMs } = scene
  const client = new Client({
    port: stage.port,
    clock,
    random: systemRandom,
    connections,
    onOutcome: (outcome) => {
      const record = stage.failed(outcome.requestId)
      const member = record && fleet.get(stage.instanceAt(record.endpoint) ?? '')
      const line = report.take(outcome, { record, member, nowMs: clock.now() })
      if (line) say(line)
    },
  })
  stage.onRetried(() => report.retried())
  if (options.forMs !== undefined) clock.setTimer(options.forMs, () => ended.abort())
  client.start()
  const killing = kill(options, scene)
  let lastMs = startMs
  while (!ended.signal.aborted) {
    await sleep(clock, lineEveryMs, ended.signal)
    const nowMs = clock.now()
    if (nowMs - lastMs > lineEveryMs / 2) say(report.line(nowMs - startMs, nowMs - lastMs, fleet.living()))
    lastMs = nowMs
  }
  await client.stop()
  await killing
}

/** Kills one now and then, and starts another of the same version in its place. */
async function kill({ forMs, killEveryMs }: DemoOptions, { stage, fleet, ended }: Scene): Promise<void> {
  const everyMs = Math.min(killEveryMs, (forMs ?? Infinity) / 3)
  for (;;) {
    await sleep(clock, everyMs, ended.signal)
    if (ended.signal.aborted) return
    const victim = fleet.killOne(stage.routed())
    if (!victim) continue
    const heir = fleet.start(victim.version)
    say(`kill -9 ${victim.id} (${victim.version}); ${heir.id} starts in its place`)
    await routed(stage, heir, ended.signal)
    if (!ended.signal.aborted) say(`${heir.id} has registered and is routed`)
  }
}

async function allRouted(stage: Stage, fleet: Fleet, signal: AbortSignal): Promise<void> {
  for (const member of fleet.living()) await routed(stage, member, signal)
}

async function routed(stage: Stage, member: Member, signal: AbortSignal): Promise<void> {
  const untilMs = clock.now() + readyWithinMs
  while (!signal.aborted && !stage.routed().has(member.id)) {
    if (clock.now() > untilMs) throw new Error(`${member.id} did not come up within ${readyWithinMs / 1_000} s`)
    await sleep(clock, 5, signal)
  }
}
