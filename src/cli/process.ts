/** `fairlead process`: what `fairlead serve` starts when it has several workers. Not for people; it is shown in no help. */
import type { Command } from 'commander'
import type { ListeningSocket } from '../handover/messages.ts'

interface Given {
  readonly socket: string
  readonly config?: string
  readonly slot: string
  readonly workers: string
  readonly lameDuck: string
  readonly deadline: string
  readonly stateDir?: string
  readonly replaces?: true
}

interface ForHelper {
  readonly pid: string
  readonly for: string
  readonly unseen: string
}

export function addProcessCommand(program: Command): void {
  program
    .command('process <role>', { hidden: true })
    .option('--socket <path>', '', '')
    .option('--config <file>')
    .option('--slot <number>', '', '0')
    .option('--workers <number>', '', '1')
    .requiredOption('--lame-duck <ms>')
    .requiredOption('--deadline <ms>')
    .option('--state-dir <path>')
    .option('--replaces')
    .action(async (role: string, { socket, config, slot, workers, lameDuck, deadline, stateDir, replaces }: Given) => {
      const options = {
        socket,
        config,
        slot: Number(slot),
        workers: Number(workers),
        lameDuckMs: Number(lameDuck),
        deadlineMs: Number(deadline),
        stateDir,
        replaces,
      }
      if (role === 'control') await (await import('./serve/control.ts')).runControl(options)
      else if (role === 'whole') await (await import('./serve/whole.ts')).runWhole(options)
      else (await import('./serve/worker.ts')).runWorker(options)
    })
  program
    .command('hand-over <sockets>', { hidden: true })
    .requiredOption('--pid <pid>')
    .requiredOption('--for <version>')
    .option('--unseen <catalogs>', '', '[]')
    .action(async (sockets: string, { pid, for: version, unseen }: ForHelper) => {
      const { runHelper } = await import('../handover/helper.ts')
      runHelper({
        version,
        pid: Number(pid),
        unseen: JSON.parse(unseen) as readonly string[],
        sockets: JSON.parse(sockets) as readonly ListeningSocket[],
      })
    })
}
