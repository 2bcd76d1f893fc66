/** Checks that no rule can notice, each with the reason. Named by file and by what is done to them, not by line. */

export interface Accepted {
  readonly check: string
  readonly reason: string
}

export const accepted: readonly Accepted[] = []
