/** How each program of the bench ends. It knows nothing of what they do. */
import { CommanderError } from 'commander'

/** Runs `main`, and ends with 2 where its arguments were wrong, with 0 after help. Rejects with what else `main` rejects with. */
export async function runProgram(main: () => Promise<void> | void): Promise<void> {
  try {
    await main()
  } catch (error) {
    // commander has said what was wrong with the arguments
    if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2)
    throw error
  }
}
