/**
 * The words health speaks: what may be said of an endpoint, and why. Types only, plain values, so that they cross from one
 * process to another unchanged. Words are Envoy's where Envoy has one ("Outlier detection", "Health checking").
 */

/**
 * - `joining`: new, and nothing of its own has succeeded yet; it gets traffic only where its service has nothing else.
 * - `healthy`: nothing is held against it.
 * - `suspect`: something is; a probe is under way. It still gets traffic.
 * - `ejected`: gets none, but below the panic threshold.
 * - `probation`: back after failures that no probe can disprove; the next failure ejects it at once.
 * - `draining`: leaves; gets nothing new.
 */
export type HealthState = 'joining' | 'healthy' | 'suspect' | 'ejected' | 'probation' | 'draining'

/** Why an endpoint was ejected. The first four are deaths: something there is gone or frozen, not merely ill. */
export type EjectionCause =
  /** A connection was refused: the process is gone. Proof of death. */
  | 'refused'
  /** Two fresh connections in a row were closed without a byte: the same, behind a relay that accepts for it. */
  | 'closed-unanswered'
  /** Requests wait, no byte comes, and a probe is not answered either. */
  | 'silence'
  /** Probes as configured failed as often as `unhealthyThreshold` says. */
  | 'probe'
  /** Failures in a row. */
  | 'consecutive-failures'
  /** Too large a share of its answers in the window were failures. */
  | 'failure-rate'
  /** It answers as somebody else: the address is another service's now. */
  | 'identity'
  /** The catalog gave its address to a younger registration, and it has died since. */
  | 'address-taken'
  /** Somebody asked for it. */
  | 'operator'

/** Causes that count as a death: they open an entry in the kill ledger. */
export const deathCauses: ReadonlySet<EjectionCause> = new Set(['refused', 'closed-unanswered', 'silence', 'probe'])

export type Verdict =
  | {
      readonly kind: 'eject'
      readonly cause: EjectionCause
      /** Death is proven: what waits there for an answer will never have one. */
      readonly proven: boolean
      /** It must get nothing even below the panic threshold: dead for certain, or somebody else. */
      readonly certain: boolean
    }
  /** It is new beside others, and is to prove itself first: what `joining` says. Never sent in mode `observe`. */
  | { readonly kind: 'join' }
  /** It may have traffic (again): joined, restored, or on probation. `ramp`: its weight is to rise slowly. */
  | { readonly kind: 'admit'; readonly state: 'healthy' | 'probation'; readonly ramp: boolean }
  /**
   * Silent for as long as ejects, and kept in use since too few would remain: what waits there may go to those that are not
   * silent. Said again with every probe that finds it so.
   */
  | { readonly kind: 'relieve' }
  /** Suspected, or cleared (back to what it was): for those who watch; nothing changes for requests. */
  | { readonly kind: 'state'; readonly state: 'suspect' | 'healthy' | 'probation' }
