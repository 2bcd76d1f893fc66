/**
 * Tells a service that cannot be read from a Consul that is in trouble. A registration may have a name that no path of Consul's
 * own API can carry (a control character: 400; `..`: a redirect), or so much text that its answer is too large: that must cost
 * this service alone. The same question about `consul`, which every catalog has, tells the two apart. It retries nothing.
 */
import { FairleadError } from '../../core/errors.ts'
import { SharedRead } from './shared-read.ts'
import { StatusError } from './status-error.ts'

/** Consul is well, and has no answer about this one service that can be used. The message stays the same from try to try. */
export class UnreadableService extends FairleadError {
  constructor(cause: FairleadError) {
    // A redirect's text has the query in it, which changes.
    super(cause.code, cause instanceof StatusError ? `answered ${String(cause.status)}` : cause.message, { cause })
  }
}

export class UnreadableServices {
  readonly #control: SharedRead<unknown>

  /** `control` asks about a service whose name is plain, and rejects where that has no answer either. */
  constructor(control: () => Promise<unknown>) {
    this.#control = new SharedRead(control)
  }

  /** Why a read of one service failed: `error` as it is, or an {@link UnreadableService}. Never rejects. */
  async judge(error: unknown): Promise<unknown> {
    if (!(error instanceof FairleadError) || error.code !== 'FL_CATALOG_HTTP') return error
    if (error instanceof StatusError && isOfServer(error.status)) return error
    try {
      await this.#control.run()
      return new UnreadableService(error)
    } catch {
      return error
    }
  }
}

/** It says of the server and not of what was asked: an error of its own, its time is up, it is asked too often. */
function isOfServer(status: number): boolean {
  return status >= 500 || status === 408 || status === 425 || status === 429
}

/** What a problem says of such a service; `known`: it was read before. */
export function unreadableText(reason: string, service: string, known: boolean): string {
  const meanwhile = known ? 'what was known of it last stands' : 'it gets no traffic'
  return `${reason}; this is of service ${JSON.stringify(service)} alone, and ${meanwhile} until it can be read`
}
