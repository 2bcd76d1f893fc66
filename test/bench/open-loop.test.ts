/** Load at a fixed rate, against servers that stall, refuse or say nothing: nothing they do may be hidden. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { RequestListener } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import type { OpenLoopFigures } from '../../bench/lib/load.ts'
import { smallBody } from '../../bench/lib/payload.ts'
import { Arrivals } from '../../bench/load/arrivals.ts'

const run = promisify(execFile)
const script = fileURLToPath(new URL('../../bench/load/open-loop.ts', import.meta.url))

interface Load {
  readonly rate: number
  readonly seconds: number
  readonly maxConnections: number
  readonly drainSeconds?: number
  readonly warmUpSeconds?: number
}

async function load(port: number, asked: Load): Promise<OpenLoopFigures> {
  const { rate, seconds, maxConnections, drainSeconds = 5, warmUpSeconds = 0 } = asked
  const numbers = [0, rate, seconds, maxConnections, drainSeconds, warmUpSeconds].map(String)
  const { stdout } = await run(process.execPath, [script, String(port), 'GET', '/small', ...numbers])
  return JSON.parse(stdout) as OpenLoopFigures
}

async function listening(t: { readonly teardown: (fn: () => void) => void }, server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => sockets.add(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return (server.address() as AddressInfo).port
}

const answering: RequestListener = (_, res) => void res.writeHead(200, { 'content-length': 64 }).end(smallBody)

/** Answers at once, but from the tenth request on for 700 ms not at all. */
function stalling(): RequestListener {
  let count = 0
  let held: (() => void)[] | undefined
  return (req, res) => {
    count++
    if (count === 10) {
      held = []
      setTimeout(() => {
        for (const answer of held ?? []) answer()
        held = undefined
      }, 700)
    }
    if (held) held.push(() => answering(req, res))
    else answering(req, res)
  }
}

t.test('arrivals are due at their time, whatever has been taken before', (t) => {
  const arrivals = new Arrivals(200, 0.02)
  t.equal(arrivals.total, 4)
  t.equal(arrivals.nextMs, 0)
  t.equal(arrivals.take(), 0)
  t.equal(arrivals.nextMs, 5)
  t.equal(arrivals.take(), 5)
  t.same([...arrivals.rest()], [10, 15])
  t.equal(arrivals.take(), 10)
  t.equal(arrivals.take(), 15)
  t.equal(arrivals.nextMs, Number.POSITIVE_INFINITY)
  t.equal(arrivals.taken, 4)
  t.equal(new Arrivals(1, 0.1).total, 1, 'at least one')
  t.end()
})

t.test('all that is due is sent and answered', async (t) => {
  const port = await listening(t, createServer(answering))
  const figures = await load(port, { rate: 500, seconds: 0.6, maxConnections: 8 })
  t.match(figures, { requests: 300, errors: 0 })
  t.ok(figures.seconds > 0.59, 'at its rate, and no faster')
  t.ok(figures.p50Ms > 0 && figures.p50Ms <= figures.p99Ms && figures.p99Ms <= figures.p999Ms)
})

t.test('what is due before the measurement is sent, and shows in no figure', async (t) => {
  let asked = 0
  const stalls = stalling()
  const port = await listening(
    t,
    createServer((req, res) => {
      asked++
      stalls(req, res)
    }),
  )
  const figures = await load(port, { rate: 100, seconds: 0.5, maxConnections: 200, warmUpSeconds: 1.5 })
  t.match(figures, { requests: 50, errors: 0 })
  t.equal(asked, 200)
  t.ok(figures.maxMs < 500, 'the stall was before')
})

t.test('a stall shows in every request that was due in it, although two connections could send but two', async (t) => {
  const port = await listening(t, createServer(stalling()))
  const figures = await load(port, { rate: 100, seconds: 1, maxConnections: 2 })
  t.match(figures, { requests: 100, errors: 0 })
  t.ok(figures.maxMs > 600, String(figures.maxMs))
  t.ok(figures.p50Ms > 100, `half of all waited: ${figures.p50Ms}`)
})

t.test('it opens connections when all are busy, up to the bound', async (t) => {
  const server = createServer(stalling())
  let connections = 0
  server.on('connection', () => connections++)
  const figures = await load(await listening(t, server), { rate: 100, seconds: 1, maxConnections: 40 })
  t.match(figures, { requests: 100, errors: 0 })
  t.equal(connections, 40)
})

t.test('an answer in pieces is one answer', async (t) => {
  const server = createTcpServer((socket) => {
    socket.setNoDelay(true)
    socket.on('error', () => socket.destroy())
    socket.on('data', () => {
      const pieces = ['HTTP/1.1 200 OK\r\nContent-', 'Length: 4\r\n\r', '\nab', 'cd']
      for (const [index, piece] of pieces.entries()) setTimeout(() => socket.write(piece), index * 3)
    })
  })
  t.match(await load(await listening(t, server), { rate: 50, seconds: 0.4, maxConnections: 40 }), {
    requests: 20,
    errors: 0,
  })
})

t.test('what fails is counted: other statuses, closed connections, no connection, too long bodies', async (t) => {
  const few = { rate: 50, seconds: 0.2, maxConnections: 4 }
  const wrong = createServer((_, res) => void res.writeHead(503, { 'content-length': 0 }).end())
  t.match(await load(await listening(t, wrong), few), { requests: 0, errors: 10 })
  const closing = createTcpServer((socket) => void socket.on('error', () => {}).once('data', () => socket.destroy()))
  t.match(await load(await listening(t, closing), few), { requests: 0, errors: 10 })
  const chatty = createTcpServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabc'))
  })
  t.match(await load(await listening(t, chatty), few), { requests: 0, errors: 10 })
  const gone = createTcpServer()
  const port = await listening(t, gone)
  gone.close()
  await once(gone, 'close')
  t.match(await load(port, few), { requests: 0, errors: 10 })
})

t.test('what is never answered is counted with its wait, sent or not', async (t) => {
  const port = await listening(
    t,
    createTcpServer((socket) => void socket.on('error', () => {}).resume()),
  )
  const figures = await load(port, { rate: 50, seconds: 0.2, maxConnections: 2, drainSeconds: 0.3 })
  t.match(figures, { requests: 0, errors: 10 })
  t.ok(figures.p50Ms > 250, String(figures.p50Ms))
})
