/** `fairlead demo`: the command line of the demonstration. What it does is in `demo/`, loaded only when asked for. */
import { type Command, InvalidArgumentError, Option } from 'commander'

export function addDemoCommand(program: Command): void {
  program
    .command('demo')
    .description('watch it work: a catalog, two versions of a service, the proxy, load, and a kill now and then')
    .option('--for <duration>', 'end after this long with a summary, such as 20s or 1m', parseDuration)
    .addOption(
      new Option('--every <duration>', 'kill one instance this often').argParser(parseDuration).default(4_000, '4s'),
    )
    .addHelpText(
      'after',
      '\nExit codes: 0 nothing failed but unsafe requests that a killed instance held, 1 something else failed.',
    )
    .action(async (options: { readonly for?: number; readonly every: number }) => {
      const { runDemo } = await import('./demo/run.ts')
      await runDemo({ forMs: options.for, killEveryMs: options.every })
    })
}

function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m)$/.exec(text)
  const unit = { ms: 1, s: 1_000, m: 60_000 }[match?.[2] ?? '']
  const value = unit === undefined ? NaN : Number(match?.[1]) * unit
  if (!(value >= 100 && value <= 86_400_000)) throw new InvalidArgumentError('Write it as 500ms, 20s or 1m.')
  return value
}
