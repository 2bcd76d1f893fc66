/** `fairlead serve`: the command line of the proxy. What it does is in `serve/run.ts`, loaded only when it is asked for. */
import type { Command } from 'commander'

export function addServeCommand(program: Command): void {
  program
    .command('serve')
    .description('run the proxy')
    .option('-c, --config <file>', 'the configuration file; without it, the defaults and the environment hold')
    .addHelpText(
      'after',
      '\nSignals: TERM and INT stop it gently, a second one at once; HUP reads the configuration again.\n' +
        'Exit codes: 0 stopped as asked, 1 it could not run, 2 the configuration could not be read.',
    )
    .action(async (options: { readonly config?: string }) => {
      const { serve } = await import('./serve/run.ts')
      await serve(options.config)
    })
}
