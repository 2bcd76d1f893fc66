/** How a listening socket comes from a process that had it before. */
import type { Server } from 'node:net'

/**
 * The socket of this address; undefined: nobody has one to give. It accepts from the moment on at which it is had: whoever asked
 * listens on it in the same turn. Rejects with FL_LISTEN.
 */
export type Inherit = (host: string, port: number) => Promise<Server | undefined>

/** Connections that may wait to be accepted. Whoever listens on a socket that others have as well says the same: it is one for all. */
export const listenBacklog = 4_096
