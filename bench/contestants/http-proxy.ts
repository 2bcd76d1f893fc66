/**
 * `node:http` behind the http-proxy package, as its users would set it up: a keep-alive agent and X-Forwarded-For.
 * Run as `node http-proxy.ts PORT BACKEND_PORT`.
 */
import { Agent, createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import type { Duplex } from 'node:stream'

/** The part of http-proxy that is used here; the package brings no types. */
interface HttpProxy {
  web(req: IncomingMessage, res: ServerResponse): void
  ws(req: IncomingMessage, socket: Duplex, head: Buffer): void
  on(event: 'error', listener: (error: Error, req: IncomingMessage, res: ServerResponse | Duplex) => void): void
}
interface HttpProxyModule {
  createProxyServer(options: { readonly target: string; readonly agent: Agent; readonly xfwd: boolean }): HttpProxy
}

const [port = 0, backendPort = 0] = process.argv.slice(2).map(Number)
const httpProxy = createRequire(import.meta.url)('http-proxy') as HttpProxyModule
const agent = new Agent({ keepAlive: true, maxFreeSockets: 1_024 })
const proxy = httpProxy.createProxyServer({ target: `http://127.0.0.1:${backendPort}`, agent, xfwd: true })
proxy.on('error', (error, _, res) => {
  if (!('writeHead' in res)) return void res.destroy()
  if (!res.headersSent) res.writeHead(502)
  res.end(error.message)
})

const server = createServer({ keepAliveTimeout: 300_000 }, (req, res) => proxy.web(req, res))
server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => proxy.ws(req, socket, head))
server.listen({ port, host: '127.0.0.1', backlog: 4_096 })
