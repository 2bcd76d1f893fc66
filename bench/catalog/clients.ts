/**
 * The bench's own clients: one that asks Consul when it shows an instance, one that asks the proxy who answers.
 */
import { once } from 'node:events'
import { Agent, createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: string
}

/** Plain requests over kept connections. */
export class Client {
  readonly #agent = new Agent({ keepAlive: true })

  get(port: number, path: string, timeoutMs: number = 15_000): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const req = request({ host: '127.0.0.1', port, path, agent: this.#agent, timeout: timeoutMs }, (res) => {
        let body = ''
        res.setEncoding('utf8')
        res.on('data', (chunk: string) => void (body += chunk))
        res.on('error', reject)
        res.on('end', () => resolve({ status: res.statusCode ?? 0, headers: res.headers, body }))
      })
      req.on('timeout', () => req.destroy(new Error(`no answer within ${timeoutMs} ms`)))
      req.on('error', reject)
      req.end()
    })
  }

  close(): void {
    this.#agent.destroy()
  }
}

/** Resolves with the time (of `performance.now`) at which Consul's own blocking query first shows the instance. */
export async function whenShown(client: Client, port: number, service: string, id: string): Promise<number> {
  let index = 0
  for (;;) {
    const answer = await client.get(port, `/v1/health/service/${service}?wait=10s&index=${index}`)
    const shownAt = performance.now()
    const entries = JSON.parse(answer.body) as readonly { readonly Service: { readonly ID: string } }[]
    if (entries.some((entry) => entry.Service.ID === id)) return shownAt
    index = Number(answer.headers['x-consul-index'] ?? 0)
  }
}

/** Resolves with the time at which an answer through the proxy first comes from the backend called `name`. */
export async function whenAnswers(client: Client, port: number, path: string, name: string): Promise<number> {
  const deadline = performance.now() + 30_000
  let last = ''
  while (performance.now() < deadline) {
    const answer = await client.get(port, path)
    last = `${answer.status} from ${String(answer.headers['x-instance'] ?? 'the proxy')}`
    if (answer.status === 200 && answer.headers['x-instance'] === name) return performance.now()
  }
  throw new Error(`${path}: no answer from ${name} within 30 s; the last was ${last}`)
}

export interface NamedBackend {
  readonly port: number
  readonly close: () => void
}

/** A server that says its name in each answer. */
export async function startNamedBackend(name: string): Promise<NamedBackend> {
  const server = createServer({ keepAliveTimeout: 60_000 }, (_, res) => {
    res.writeHead(200, { 'x-instance': name, 'content-length': 3 }).end('ok\n')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = (): void => {
    server.closeAllConnections()
    server.close()
  }
  return { port: (server.address() as AddressInfo).port, close }
}
