/** How a listening socket comes from a process that had it before, and how one process comes to have it several times. */
import type { Server } from 'node:net'

/**
 * The socket of this address; undefined: nobody has one to give. It accepts from the moment on at which it is had: whoever asked
 * listens on it in the same turn. Rejects with FL_LISTEN.
 */
export type Inherit = (host: string, port: number) => Promise<Server | undefined>

export interface CopySocket {
  /**
   * Has `onCopy` called so many times with the socket of `server` once more: the same socket and the same queue, of which each copy
   * takes a connection by itself. As with {@link Inherit} whoever is called listens on it in the same turn, or closes it. Comes some
   * time later, or, where no copies can be had or `server` is closed, not at all.
   */
  (server: Server, count: number, onCopy: (copy: Server) => void): void
  /** Resolves when no socket is on its way any more: one that was closed meanwhile has its address until then. Absent: none ever is. */
  readonly settled?: (() => Promise<void>) | undefined
}

/** Connections that may wait to be accepted. Whoever listens on a socket that others have as well says the same: it is one for all. */
export const listenBacklog = 4_096
