/**
 * What a starting proxy and the helper of the running one say to each other. Types only. Raised with every change: two that
 * do not know each other leave all as it is.
 */
export const handoverProtocol = 2

/** From the one that takes over. */
export type ToGiver =
  /** The listening socket of this address, please; answered by `given` or `none`. `host`: an IP literal. */
  | { readonly kind: 'give'; readonly host: string; readonly port: number }
  /** It serves: the running one may go. Answered by `retired`. */
  | { readonly kind: 'retire' }

/** To it. */
export type ToTaker =
  /**
   * The first message. `pid`: of the process whose sockets these are. `unseen`: names of its catalogs that did not answer it when
   * this was asked for.
   */
  | {
      readonly kind: 'hello'
      readonly protocol: number
      readonly version: string
      readonly pid: number
      readonly unseen: readonly string[]
    }
  /** Comes with the socket. */
  | { readonly kind: 'given' }
  | { readonly kind: 'none' }
  /** Its status and admin addresses are closed, and it writes nothing to the state folder any more. It drains now. */
  | { readonly kind: 'retired' }

/** A listening socket of a process. */
export interface ListeningSocket {
  /** Its descriptor. */
  readonly fd: number
  /** Bound address, as {@link plainHost} writes it. */
  readonly host: string
  readonly port: number
}

/** One way to write an IP literal. */
export function plainHost(host: string): string {
  if (!host.includes(':')) return host
  const url = `http://[${host}]/`
  return URL.canParse(url) ? new URL(url).hostname.slice(1, -1) : host
}

/** Where the process of a proxy that holds sockets is found: the one that is asked to go, or a worker of it. */
export function handoverPath(stateDir: string, slot?: number): string {
  return `${stateDir}/upgrade${slot === undefined ? '' : `.${String(slot)}`}.sock`
}
