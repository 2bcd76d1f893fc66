/**
 * The command line of the catalog bench.
 */
import { Command, InvalidArgumentError } from 'commander'
import { numberFrom } from '../lib/options.ts'

export interface CatalogOptions {
  /** Registrations timed in part 1; 0 leaves it out. */
  readonly registrations: number
  /** Quiet time between two changes in part 1, ms. */
  readonly gapMs: number
  /** Services in part 2; 0 leaves it out. */
  readonly services: number
  readonly instancesPerService: number
  /** Starts timed in part 2. */
  readonly starts: number
  /** Registrations and deregistrations priced in part 2. */
  readonly changes: number
  /** Length of a window in part 2, ms. */
  readonly windowMs: number
  /** Part 3: the catalog changes for so long, for one process and for two workers; 0 leaves it out. */
  readonly churnSeconds: number
  /** Changes a second in part 3, and in part 4 where there are any. */
  readonly churnRate: number
  /** Part 4: how long each phase lasts in a round; 0 leaves it out. */
  readonly latencySeconds: number
  readonly latencyRounds: number
  /** Requests a second in part 4. */
  readonly latencyRequests: number
  readonly json: string | undefined
}

/** Of `30s`, `2m` or `30`. */
function secondsFrom(text: string): number {
  const [, count, unit] = /^(\d{1,5})(s|m)?$/.exec(text) ?? []
  if (count === undefined) throw new InvalidArgumentError('It is a time such as 30s or 2m.')
  return Number(count) * (unit === 'm' ? 60 : 1)
}

/** Parses the arguments after the script's name. Throws commander's `CommanderError`, its message already printed. */
export function parseCatalogOptions(args: readonly string[]): CatalogOptions {
  const command = new Command('npm run bench:catalog --')
    .description('How soon a new instance is routed, and what a large catalog costs, with a real Consul agent.')
    .option('--registrations <n>', 'registrations timed; 0: none', numberFrom(0, 10_000, true), 30)
    .option('--gap <ms>', 'quiet between two of their changes', numberFrom(0, 60_000, false), 300)
    .option('--services <n>', 'services of the large catalog; 0: none', numberFrom(0, 20_000, true), 1_000)
    .option('--instances <n>', 'instances of each', numberFrom(1, 1_000, true), 10)
    .option('--starts <n>', 'starts timed with it; 0: nothing is measured with it at rest', numberFrom(0, 100, true), 3)
    .option('--changes <n>', 'registrations and deregistrations priced with it', numberFrom(0, 1_000, true), 10)
    .option('--window <ms>', 'length of a window with or without a change', numberFrom(50, 60_000, false), 700)
    .option('--churn <time>', 'how long it changes without rest, such as 30s; 0: not at all', secondsFrom, 0)
    .option('--rate <n>', 'changes a second then', numberFrom(1, 1_000, false), 50)
    .option(
      '--latency <time>',
      'answers while something goes on beside them: length of a phase; 0: none',
      secondsFrom,
      0,
    )
    .option('--rounds <n>', 'rounds of those phases', numberFrom(1, 100, true), 3)
    .option('--requests <n>', 'requests a second then', numberFrom(1, 100_000, true), 5_000)
    .option('--json <file>', 'write every figure to this file as JSON')
    .exitOverride()
    .parse(args, { from: 'user' })
  const raw = command.opts<Record<'registrations' | 'gap' | 'services' | 'instances' | 'starts', number>>()
  const more = command.opts<Record<'changes' | 'window' | 'churn' | 'rate', number> & { readonly json?: string }>()
  const late = command.opts<Record<'latency' | 'rounds' | 'requests', number>>()
  return {
    registrations: raw.registrations,
    gapMs: raw.gap,
    services: raw.services,
    instancesPerService: raw.instances,
    starts: raw.starts,
    changes: more.changes,
    windowMs: more.window,
    churnSeconds: more.churn,
    churnRate: more.rate,
    latencySeconds: late.latency,
    latencyRounds: late.rounds,
    latencyRequests: late.requests,
    json: more.json,
  }
}
