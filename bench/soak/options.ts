/** The command line of the soak, as values. It must not start anything. */
import { Command, InvalidArgumentError } from 'commander'
import { parseDuration } from '../../src/core/units.ts'
import { numberFrom } from '../lib/options.ts'

export interface SoakOptions {
  readonly totalMs: number
  readonly connections: number
  readonly requestsPerS: number
  readonly webSockets: number
  readonly changesPerS: number
  readonly services: number
  /** Of each service at the start. */
  readonly instances: number
  readonly seed: number
  /** Folder for heap snapshots; undefined: none are made. */
  readonly snapshots: string | undefined
  /** File that takes every figure as JSON; undefined: none. */
  readonly json: string | undefined
  /** File that takes the report as Markdown; undefined: none. */
  readonly markdown: string | undefined
}

/** Shorter than this, the phases are too short to be any. */
const leastMs = 120_000

function duration(text: string): number {
  const ms = parseDuration(text)
  if (ms === undefined || ms < leastMs || ms > 86_400_000)
    throw new InvalidArgumentError('Not a duration from 2m to 24h, such as 60m.')
  return ms
}

/** Parses the arguments after the script's name. Throws commander's `CommanderError`, its message already printed. */
export function parseSoakOptions(args: readonly string[]): SoakOptions {
  const command = new Command('npm run soak --')
    .description(
      'Hours of churn, with a log that nobody reads and a catalog that may not be read: is memory flat, and does nothing fail?',
    )
    .option('--for <duration>', 'length; its phases are in proportion', duration, 3_600_000)
    .option('--connections <n>', 'keep-alive clients', numberFrom(20, 50_000, true), 5_000)
    .option('--rate <n>', 'requests per second over all of them', numberFrom(1, 50_000, false), 1_000)
    .option('--websockets <n>', 'WebSockets; half of them last', numberFrom(2, 10_000, true), 200)
    .option('--changes <n>', 'changes of the catalog per second', numberFrom(0.1, 100, false), 10)
    .option('--services <n>', 'services, each with a route', numberFrom(1, 200, true), 20)
    .option('--instances <n>', 'instances of each at the start', numberFrom(3, 100, true), 6)
    .option('--seed <n>', 'of the changes', numberFrom(0, 4_294_967_295, true), 1)
    .option(
      '--heap-snapshots <folder>',
      'write two of the proxy there, after a quarter and at the end; each stops it for a while',
    )
    .option('--json <file>', 'write every figure to this file as JSON')
    .option('--markdown <file>', 'write the report to this file as Markdown')
    .exitOverride()
    .parse(args, { from: 'user' })
  const raw = command.opts<
    Record<'for' | 'connections' | 'rate' | 'websockets' | 'changes' | 'services' | 'instances' | 'seed', number> & {
      readonly heapSnapshots?: string
      readonly json?: string
      readonly markdown?: string
    }
  >()
  return {
    totalMs: raw.for,
    connections: raw.connections,
    requestsPerS: raw.rate,
    webSockets: raw.websockets,
    changesPerS: raw.changes,
    services: raw.services,
    instances: raw.instances,
    seed: raw.seed,
    snapshots: raw.heapSnapshots,
    json: raw.json,
    markdown: raw.markdown,
  }
}
