/**
 * Fastify with @fastify/http-proxy, as its users would set it up for this job: its undici pool kept alive and large enough
 * for all clients, X-Forwarded-For, no log. Run as `node fastify.ts PORT BACKEND_PORT`.
 */
import httpProxy from '@fastify/http-proxy'
import Fastify from 'fastify'

const [port = 0, backendPort = 0] = process.argv.slice(2).map(Number)
const server = Fastify({ logger: false, keepAliveTimeout: 300_000 })
await server.register(httpProxy, {
  upstream: `http://127.0.0.1:${backendPort}`,
  websocket: true,
  undici: { connections: 1_024, pipelining: 1, keepAliveTimeout: 60_000 },
  disableRequestLogging: true,
  replyOptions: {
    rewriteRequestHeaders: (request, headers) => {
      const before = headers['x-forwarded-for']
      const client = request.ip
      return { ...headers, 'x-forwarded-for': before === undefined ? client : `${String(before)}, ${client}` }
    },
  },
})
await server.listen({ port, host: '127.0.0.1', backlog: 4_096 })
