/** `fairlead process`: what `fairlead serve` starts when it has several workers. Not for people; it is shown in no help. */
import type { Command } from 'commander'

interface Given {
  readonly socket: string
  readonly config?: string
  readonly slot: string
  readonly lameDuck: string
  readonly deadline: string
}

export function addProcessCommand(program: Command): void {
  program
    .command('process <role>', { hidden: true })
    .requiredOption('--socket <path>')
    .option('--config <file>')
    .option('--slot <number>', '', '0')
    .requiredOption('--lame-duck <ms>')
    .requiredOption('--deadline <ms>')
    .action(async (role: string, { socket, config, slot, lameDuck, deadline }: Given) => {
      const options = {
        socket,
        config,
        slot: Number(slot),
        lameDuckMs: Number(lameDuck),
        deadlineMs: Number(deadline),
      }
      if (role === 'control') await (await import('./serve/control.ts')).runControl(options)
      else (await import('./serve/worker.ts')).runWorker(options)
    })
}
