/** The command line of a process that this one starts from the same program. */

/** Its first word is the program to run, `args` are for ours. */
export function ownCommand(args: readonly string[]): readonly [string, ...string[]] {
  const [, entry = ''] = process.argv
  return [process.execPath, ...process.execArgv, entry, ...args]
}
