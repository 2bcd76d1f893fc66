/** From the command line to a command, and from its outcome to an exit code: 0 done, 1 failed, 2 misused. */
import { Command } from 'commander'
import { addCatalogCommand } from './cli/catalog.ts'
import { addCheckCommand } from './cli/check.ts'
import { addCompareCommand } from './cli/compare.ts'
import { addDemoCommand } from './cli/demo.ts'
import { addExplainCommand } from './cli/explain.ts'
import { addHealthCommand } from './cli/health.ts'
import { addKillsCommand } from './cli/kills.ts'
import { addOperatorCommands } from './cli/operate.ts'
import { addPolicyCommands } from './cli/policy.ts'
import { addProcessCommand } from './cli/process.ts'
import { addServeCommand } from './cli/serve.ts'
import { addTellingCommands } from './cli/tell.ts'
import { commandName } from './cli/command-name.ts'
import { misuseText } from './cli/misuse.ts'
import { packageVersion } from './cli/version.ts'
import { addWhatIfCommand } from './cli/what-if.ts'
import { errorText } from './core/errors.ts'

const program = new Command(commandName())
  .description('A dynamic reverse proxy and load balancer for services that register in Consul')
  .version(packageVersion)
  .showHelpAfterError(`(${commandName()} --help tells more)`)
  .configureOutput({ outputError: (text, write) => write(misuseText(text)) })
  .addHelpText(
    'after',
    '\nWithout a configuration, `fairlead serve` takes Consul from the CONSUL_* variables and routes from urlprefix- tags.',
  )
  // Commander exits with 1 for a misspelt flag; for scripts, misuse is 2 and failure is 1.
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))

addServeCommand(program)
addProcessCommand(program)
addCheckCommand(program)
addDemoCommand(program)
addCatalogCommand(program)
addHealthCommand(program)
addTellingCommands(program)
addKillsCommand(program)
addExplainCommand(program)
addWhatIfCommand(program)
addOperatorCommands(program)
addPolicyCommands(program)
addCompareCommand(program)

try {
  await program.parseAsync()
} catch (error) {
  process.stderr.write(`fairlead: ${errorText(error)}\n`)
  process.exitCode = 1
}
