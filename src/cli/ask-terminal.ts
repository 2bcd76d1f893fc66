/**
 * Whether a change that is shown shall be done: it asks whoever sits at the terminal, or shows the change and leaves it. It
 * does nothing itself.
 */
import { createInterface } from 'node:readline/promises'
import type { Address } from '../config/config.ts'
import { jsonText } from './known-answer.ts'

/** What every command that changes something takes besides what it changes. */
export interface AskingOptions {
  readonly yes: boolean
  /** It is shown, and that is all. Default false. */
  readonly dryRun?: boolean
  readonly admin: Address
  readonly token: string | undefined
  readonly json: boolean
  /** Where it is shown and asked; the process's own terminal by default, undefined where it has none. */
  readonly ask?: ((plan: string) => Promise<boolean>) | undefined
  readonly print?: (text: string) => void
}

/** How a command ended: it is done, whoever was asked said no, it was only to be shown, or there was nobody to ask. */
export type Ending = 'done' | 'declined' | 'shown' | 'unasked'

export interface Plan {
  /** For a person, newline included. */
  readonly text: string
  /** The same as the proxy answers it, for `--json`. */
  readonly value: unknown
}

/** Whether it shall be done: `done` with `yes`, unasked. What is not done although it might have been is shown on standard output. */
export async function consent(options: AskingOptions, { text, value }: Plan): Promise<Ending> {
  const { yes, dryRun = false, json, print = (shown) => void process.stdout.write(shown) } = options
  const ask = 'ask' in options ? options.ask : process.stdin.isTTY ? askTerminal : undefined
  if (!dryRun && yes) return 'done'
  if (!dryRun && ask) {
    if (await ask(text)) return 'done'
    process.stderr.write('Nothing was done.\n')
    return 'declined'
  }
  print(json ? jsonText(value) : text)
  return dryRun ? 'shown' : 'unasked'
}

/** Ends the process's command as it ended: 0 done or only shown, 1 somebody said no, 2 nobody could be asked. */
export function endWith(ending: Ending): void {
  if (ending === 'declined') process.exitCode = 1
  if (ending !== 'unasked') return
  process.stderr.write(
    'fairlead: nothing was done: there is no terminal to ask on; pass --yes to do it without asking\n',
  )
  process.exitCode = 2
}

/** On standard error, so that standard output holds the outcome alone. Anything but y or yes is no. */
async function askTerminal(plan: string): Promise<boolean> {
  process.stderr.write(plan)
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  // An end of the input is no answer, and no is what that means.
  const answer = await new Promise<string>((resolve) => {
    terminal.once('close', () => resolve(''))
    terminal.question('Do it? [y/N] ').then(resolve, () => resolve(''))
  })
  terminal.close()
  return /^y(?:es)?$/i.test(answer.trim())
}
