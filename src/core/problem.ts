/**
 * A problem: something wrong in what others wrote (a tag, a definition, a config entry) that costs only itself.
 * Problems are values; whoever finds one returns it, and the list of those in force is what `/v1/problems` will show.
 */
export interface Problem {
  /** Stable machine-readable kind, kebab-case, such as `bad-tag` or `no-such-service`. */
  readonly code: string
  /** Where it comes from, as a person would name it: `consul:web-1 tag "urlprefix-/x"`, `fairlead.yaml:12:3`. */
  readonly where: string
  /** What is wrong, what it costs, and how to mend it. */
  readonly message: string
  /** Nothing has to be mended: it is told so that nobody wonders. It is listed, and not counted. */
  readonly notice?: true | undefined
}

/** How many of them have to be mended. */
export function problemCount(problems: readonly Problem[]): number {
  return problems.reduce((count, { notice }) => (notice ? count : count + 1), 0)
}
