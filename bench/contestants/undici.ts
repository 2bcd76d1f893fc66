/**
 * `node:http` before an undici pool, as one writes a proxy with the two: bodies piped both ways, X-Forwarded-For added,
 * hop-by-hop fields left out, upgrades passed on. Run as `node undici.ts PORT BACKEND_PORT`.
 */
import { createServer } from 'node:http'
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import type { Duplex } from 'node:stream'
import { Pool } from 'undici'

const [port = 0, backendPort = 0] = process.argv.slice(2).map(Number)
const pool = new Pool(`http://127.0.0.1:${backendPort}`, { keepAliveTimeout: 60_000 })

const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'te',
  'trailer',
])

/** What goes on, of the fields of either side. */
function endToEnd(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string | string[]> {
  const kept: Record<string, string | string[]> = {}
  for (const name in headers) {
    const value = headers[name]
    if (value !== undefined && !hopByHop.has(name)) kept[name] = value
  }
  return kept
}

function requestFields(req: IncomingMessage): Record<string, string | string[]> {
  const headers = endToEnd(req.headers)
  delete headers['expect']
  const before = req.headers['x-forwarded-for']
  const client = req.socket.remoteAddress ?? ''
  headers['x-forwarded-for'] = before === undefined ? client : `${String(before)}, ${client}`
  return headers
}

const server = createServer({ keepAliveTimeout: 300_000 }, (req, res) => {
  const { method = 'GET', url = '/' } = req
  const hasBody = req.headers['content-length'] !== undefined || req.headers['transfer-encoding'] !== undefined
  const options = { path: url, method, headers: requestFields(req), body: hasBody ? req : null }
  pool.stream(
    options,
    ({ statusCode, headers }) => {
      res.writeHead(statusCode, endToEnd(headers) as OutgoingHttpHeaders)
      return res
    },
    (error) => {
      if (error === null) return
      if (res.headersSent) return void res.destroy()
      res.writeHead(502).end(error.message)
    },
  )
})

function join(a: Duplex, b: Duplex): void {
  a.pipe(b)
  a.on('error', () => b.destroy())
  a.on('close', () => b.destroy())
}

server.on('upgrade', (req: IncomingMessage, client: Duplex, head: Buffer) => {
  client.on('error', () => client.destroy())
  const options = { path: req.url ?? '/', headers: requestFields(req), protocol: req.headers.upgrade ?? 'websocket' }
  pool.upgrade(options).then(
    ({ headers, socket }) => {
      const fields = Object.entries(endToEnd(headers)).map(([name, value]) => `${name}: ${String(value)}\r\n`)
      client.write(
        `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n${fields.join('')}\r\n`,
      )
      if (head.length > 0) socket.write(head)
      join(client, socket)
      join(socket, client)
    },
    () => client.end('HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\ncontent-length: 0\r\n\r\n'),
  )
})
server.listen({ port, host: '127.0.0.1', backlog: 4_096 })
