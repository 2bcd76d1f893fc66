/** `fairlead serve`: the command line of the proxy. What it does is in `serve/run.ts`, loaded only when it is asked for. */
import type { Command } from 'commander'

export function addServeCommand(program: Command): void {
  program
    .command('serve')
    .description('run the proxy')
    .option('-c, --config <file>', 'the configuration file; without it, the defaults and the environment hold')
    .option(
      '--replace',
      'take over from the proxy that runs with this stateDir, without losing a request; where none runs, just start',
    )
    .addHelpText(
      'after',
      '\nSignals: TERM and INT stop it gently, a second one at once; HUP reads the configuration again.\n' +
        'Exit codes: 0 stopped as asked, 1 it could not run, 2 the configuration could not be read.',
    )
    .action(async (options: { readonly config?: string; readonly replace?: true }) => {
      const { serve } = await import('./serve/run.ts')
      await serve(options.config, options.replace === true)
    })
}
