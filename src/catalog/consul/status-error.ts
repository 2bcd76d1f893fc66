/**
 * An answer that is no success: `FL_CATALOG_DENIED` when the token was refused, else `FL_CATALOG_HTTP`. Its headers are
 * not kept: the index of an error means nothing.
 */
import { FairleadError } from '../../core/errors.ts'

export class StatusError extends FairleadError {
  readonly status: number

  /** `text` is the beginning of the body, which says more than the status. */
  constructor(status: number, text: string) {
    const code = status === 401 || status === 403 ? 'FL_CATALOG_DENIED' : 'FL_CATALOG_HTTP'
    super(code, `answered ${String(status)}${text === '' ? '' : ` ${text}`}`)
    this.status = status
  }
}
