/**
 * The checking pass: before anything is measured, each contestant must be right, so that no speed comes from being wrong.
 * It runs against a backend of its own that answers a POST with its body's SHA-256 and remembers what reached it.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { Agent, createServer, request } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Contestant } from './contestants.ts'
import { largeBody, postBody, exchanges, smallBody } from './payload.ts'
import type { Exchange } from './payload.ts'

/** Sequential requests, over connections that the client does not keep, to see whether upstream ones are shared. */
const sequentialRequests = 20
/** Connections that post at the same time, each its own bodies, to see whether answers are mixed up. */
const parallelClients = 8

interface Answer {
  readonly status: number
  readonly length: string | undefined
  readonly body: string
}

function send(port: number, exchange: Pick<Exchange, 'method' | 'path'>, body: string, agent?: Agent): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = exchange.method === 'POST' ? { 'content-length': body.length } : {}
    const options = { host: '127.0.0.1', port, path: exchange.path, method: exchange.method, headers, timeout: 5_000 }
    const req = request({ ...options, agent: agent ?? false }, (res) => {
      let text = ''
      res.setEncoding('latin1')
      res.on('data', (chunk: string) => void (text += chunk))
      res.on('error', reject)
      res.on('end', () => resolve({ status: res.statusCode ?? 0, length: res.headers['content-length'], body: text }))
    })
    req.on('timeout', () => req.destroy(new Error('no answer within 5 s')))
    req.on('error', reject)
    req.end(body)
  })
}

function expectAnswer(what: string, answer: Answer, body: string): void {
  if (answer.status !== 200) throw new Error(`${what}: answered ${answer.status}`)
  if (answer.length !== undefined && Number(answer.length) !== body.length)
    throw new Error(`${what}: Content-Length ${answer.length} instead of ${body.length}`)
  if (answer.body !== body) throw new Error(`${what}: wrong body (${answer.body.length} of ${body.length} bytes)`)
}

const sha256 = (text: string): string => createHash('sha256').update(text, 'latin1').digest('hex')

class Oracle {
  connections = 0
  readonly forwardedFor = new Set<string>()
  readonly #server = createServer({ keepAliveTimeout: 60_000 }, (req, res) => void this.#answer(req, res))

  constructor() {
    this.#server.on('connection', () => this.connections++)
  }

  async #answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    this.forwardedFor.add(String(req.headers['x-forwarded-for'] ?? ''))
    let text = ''
    req.setEncoding('latin1')
    req.on('data', (chunk: string) => void (text += chunk))
    await once(req, 'end')
    const body = req.method === 'POST' ? sha256(text) : req.url === '/large' ? largeBody : smallBody
    res.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': body.length }).end(body)
  }

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return (this.#server.address() as AddressInfo).port
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

async function checkRunning(port: number, readsHttp: boolean, oracle: Oracle): Promise<void> {
  expectAnswer('GET /small', await send(port, exchanges.small, ''), smallBody)
  expectAnswer('GET /large', await send(port, exchanges.large, ''), largeBody)
  expectAnswer('POST /post', await send(port, exchanges.post, postBody), sha256(postBody))

  const client = async (name: number): Promise<void> => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    for (let round = 0; round < 5; round++) {
      const body = `${name}.${round} `.repeat(300 + 100 * round)
      expectAnswer('parallel POST /post', await send(port, exchanges.post, body, agent), sha256(body))
      expectAnswer('parallel GET /large', await send(port, exchanges.large, '', agent), largeBody)
    }
    agent.destroy()
  }
  await Promise.all(Array.from({ length: parallelClients }, (_, name) => client(name)))
  if (!readsHttp) return

  const before = oracle.connections
  for (let count = 0; count < sequentialRequests; count++) await send(port, exchanges.small, '')
  if (oracle.connections - before >= sequentialRequests)
    throw new Error('opens a connection to the backend for each request')
  for (const value of oracle.forwardedFor)
    if (!value.includes('127.0.0.1')) throw new Error(`sends X-Forwarded-For '${value}'`)
}

/**
 * Starts the contestant in front of the checking backend and asks it everything: status, length and content of each
 * exchange, the bodies that arrive, eight clients at once; and of those that read HTTP, X-Forwarded-For and shared
 * connections to the backend. Rejects with what was wrong.
 */
export async function checkContestant(contestant: Contestant, dir: string): Promise<void> {
  const oracle = new Oracle()
  const backendPort = await oracle.listen()
  try {
    const running = await contestant.start({ backendPort, core: undefined, dir })
    try {
      await checkRunning(running.port, contestant.readsHttp, oracle)
    } finally {
      await running.stop()
    }
  } catch (error) {
    throw new Error(`${contestant.name} failed the checking pass`, { cause: error })
  } finally {
    await oracle.close()
  }
}

/** Asks one exchange of what listens on `port` and compares the answer: for the backend that is measured with. */
export async function checkExchange(port: number, exchange: Exchange): Promise<void> {
  const answer = await send(port, exchange, exchange.requestBody)
  expectAnswer(`${exchange.method} ${exchange.path}`, answer, exchange.answerBody)
}
