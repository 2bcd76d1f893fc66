/**
 * Listening on a Unix socket that only its owner may use. A file left behind by a process that died is replaced; one that
 * somebody answers on is not.
 */
import { lstatSync, unlinkSync } from 'node:fs'
import { connect, type Server } from 'node:net'

/** Rejects with the system's error; EADDRINUSE when the path is in use or is no socket. */
export async function listenUnix(server: Server, path: string): Promise<void> {
  await removeStale(path)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    // The file must never be there with wider rights, so they are narrowed before it is made, not after: the bind
    // happens within this call.
    const mask = process.umask(0o177)
    try {
      server.listen(path, () => {
        server.off('error', reject)
        resolve()
      })
    } finally {
      process.umask(mask)
    }
  })
}

async function removeStale(path: string): Promise<void> {
  const kind = lstatSync(path, { throwIfNoEntry: false })
  if (!kind?.isSocket()) return
  const alive = await new Promise<boolean>((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'))
  })
  if (!alive) unlinkSync(path)
}
