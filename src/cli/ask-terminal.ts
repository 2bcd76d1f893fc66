/** Asks whoever sits at the terminal whether what is shown shall be done. */
import { createInterface } from 'node:readline/promises'

/** On standard error, so that standard output holds the outcome alone. Anything but y or yes is no. */
export async function askTerminal(plan: string): Promise<boolean> {
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
