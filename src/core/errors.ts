/**
 * The errors that carry decisions: a stable code, where it arose, and what had happened by then.
 * Programmer errors are asserts; operating errors are these or plain values. Retired codes stay listed here.
 */
export type ErrorCode =
  | 'FL_CONFIG' // a configuration that cannot be used
  | 'FL_LISTEN' // an address that cannot be bound
  | 'FL_CATALOG_HTTP' // the catalog answered something that cannot be used
  | 'FL_CATALOG_UNREACHABLE' // the catalog did not answer
  | 'FL_CATALOG_DENIED' // the catalog refused the token
  | 'FL_ADMIN' // a running proxy does not answer a command, or refuses it
  | 'FL_STORE' // the embedded catalog's log cannot be read or written

export class FairleadError extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.name = 'FairleadError'
    this.code = code
  }
}

/** The text of anything that was thrown, for a log line. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
