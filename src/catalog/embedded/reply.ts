/**
 * What a handler answers, and the refusals it throws. Texts are those that Consul 1.8 gives (measured), since clients
 * show them and some match on them. It must not touch sockets.
 */
export interface Reply {
  readonly status: number
  readonly body: string | Buffer
  /** Content-Type; undefined for an empty body. */
  readonly type: string | undefined
  readonly headers: Readonly<Record<string, string>>
}

/** An answer that ends a request early: a status and a plain text. */
export class Refusal extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.name = 'Refusal'
    this.status = status
  }
}

export function json(value: unknown, options: { status?: number; headers?: Record<string, string> } = {}): Reply {
  return {
    status: options.status ?? 200,
    body: JSON.stringify(value),
    type: 'application/json',
    headers: options.headers ?? {},
  }
}

export function text(status: number, message: string, headers: Record<string, string> = {}): Reply {
  return { status, body: message, type: 'text/plain; charset=utf-8', headers }
}

/** 200 (or another status) with nothing in it. */
export function empty(status: number = 200): Reply {
  return { status, body: '', type: undefined, headers: {} }
}
