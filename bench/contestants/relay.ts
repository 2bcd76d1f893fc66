/**
 * A bare TCP relay: the least that any proxy on `node:net` has to do. One connection to the backend per client, bytes
 * copied both ways with back-pressure, nothing read or understood. Run as `node relay.ts PORT BACKEND_PORT`.
 */
import { connect, createServer } from 'node:net'
import type { Socket } from 'node:net'

const [port = 0, backendPort = 0] = process.argv.slice(2).map(Number)

function copy(from: Socket, to: Socket): void {
  from.on('data', (chunk: Buffer) => {
    if (!to.write(chunk)) from.pause()
  })
  to.on('drain', () => from.resume())
  from.on('end', () => to.end())
  from.on('error', () => to.destroy())
  from.on('close', () => to.destroy())
}

createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
  const backend = connect({ port: backendPort, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
  copy(client, backend)
  copy(backend, client)
}).listen({ port, host: '127.0.0.1', backlog: 4_096 })
