/** When what happens in a soak, in proportion to its length. Pure. */

export interface Phase {
  readonly fromMs: number
  readonly forMs: number
}

export interface Plan {
  readonly totalMs: number
  /** Nobody reads standard output. */
  readonly blocked: Phase
  /** Fairlead's token shows nothing in the first half, and is unknown in the second. */
  readonly blind: Phase
}

/** Of an hour: one minute blocked from minute 20 on, three minutes blind from minute 30 on. */
export function planOf(totalMs: number): Plan {
  return {
    totalMs,
    blocked: { fromMs: totalMs / 3, forMs: totalMs / 60 },
    blind: { fromMs: totalMs / 2, forMs: totalMs / 20 },
  }
}
