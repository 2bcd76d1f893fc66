/** Asks whoever sits at the terminal whether what is shown shall be done. */
import { createInterface } from 'node:readline/promises'
import type { Address } from '../config/config.ts'

/** What every command that changes something takes besides what it changes. */
export interface AskingOptions {
  readonly yes: boolean
  readonly admin: Address
  readonly token: string | undefined
  readonly json: boolean
  /** Where it is shown and asked; the process's own by default. */
  readonly ask?: (plan: string) => Promise<boolean>
  readonly print?: (text: string) => void
}

/** Whether it shall be done: unasked with `yes`. Says so where it shall not. */
export async function isAgreed({ yes, ask = askTerminal }: AskingOptions, plan: string): Promise<boolean> {
  if (yes || (await ask(plan))) return true
  process.stderr.write('Nothing was done.\n')
  return false
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
