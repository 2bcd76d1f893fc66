/**
 * The command line of the catalog bench.
 */
import { Command } from 'commander'
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
  readonly json: string | undefined
}

/** Parses the arguments after the script's name. Throws commander's `CommanderError`, its message already printed. */
export function parseCatalogOptions(args: readonly string[]): CatalogOptions {
  const command = new Command('npm run bench:catalog --')
    .description('How soon a new instance is routed, and what a large catalog costs, with a real Consul agent.')
    .option('--registrations <n>', 'registrations timed; 0: none', numberFrom(0, 10_000, true), 30)
    .option('--gap <ms>', 'quiet between two of their changes', numberFrom(0, 60_000, false), 300)
    .option('--services <n>', 'services of the large catalog; 0: none', numberFrom(0, 20_000, true), 1_000)
    .option('--instances <n>', 'instances of each', numberFrom(1, 1_000, true), 10)
    .option('--starts <n>', 'starts timed with it', numberFrom(1, 100, true), 3)
    .option('--changes <n>', 'registrations and deregistrations priced with it', numberFrom(0, 1_000, true), 10)
    .option('--window <ms>', 'length of a window with or without a change', numberFrom(50, 60_000, false), 700)
    .option('--json <file>', 'write every figure to this file as JSON')
    .exitOverride()
    .parse(args, { from: 'user' })
  const raw = command.opts<Record<'registrations' | 'gap' | 'services' | 'instances' | 'starts', number>>()
  const more = command.opts<Record<'changes' | 'window', number> & { readonly json?: string }>()
  return {
    registrations: raw.registrations,
    gapMs: raw.gap,
    services: raw.services,
    instancesPerService: raw.instances,
    starts: raw.starts,
    changes: more.changes,
    windowMs: more.window,
    json: more.json,
  }
}
