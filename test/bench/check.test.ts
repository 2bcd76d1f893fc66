/** The checking pass against proxies that are wrong in one way each: it must name the way. */
import { once } from 'node:events'
import { Agent, createServer, request } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { checkContestant } from '../../bench/lib/check.ts'
import type { Contestant } from '../../bench/lib/contestants.ts'
import { contestant } from '../../bench/lib/contestants.ts'

interface Fault {
  readonly agent?: false
  readonly forwardedFor?: string
  readonly request?: (body: string) => string
  readonly answer?: (body: string, req: IncomingMessage) => string
  readonly status?: number
}

/** A small proxy in this process, right but for one fault. */
function faulty(fault: Fault): Contestant {
  const start: Contestant['start'] = async ({ backendPort }) => {
    const agent = fault.agent ?? new Agent({ keepAlive: true })
    const relay = (req: IncomingMessage, res: ServerResponse, body: string): void => {
      const headers = { 'x-forwarded-for': fault.forwardedFor ?? '127.0.0.1', 'content-length': body.length }
      const options = { port: backendPort, path: req.url, method: req.method, headers, agent }
      const onward = request(options, (answer) => {
        let text = ''
        answer.setEncoding('latin1').on('data', (chunk: string) => void (text += chunk))
        answer.on('end', () => res.writeHead(fault.status ?? 200).end(fault.answer?.(text, req) ?? text))
      })
      onward.end(body)
    }
    const server = createServer((req, res) => {
      let text = ''
      req.setEncoding('latin1').on('data', (chunk: string) => void (text += chunk))
      req.on('end', () => relay(req, res, fault.request?.(text) ?? text))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const stop = async (): Promise<void> => {
      if (agent) agent.destroy()
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    }
    return { pid: process.pid, port: (server.address() as AddressInfo).port, stop }
  }
  return { name: 'faulty', readsHttp: true, version: '0', install: '', start }
}

t.test('each fault is found and named', async (t) => {
  const cases: readonly [string, Fault, RegExp][] = [
    ['wrong status', { status: 203 }, /GET \/small: answered 203/],
    ['cut answer', { answer: (body) => body.slice(1) }, /GET \/small: wrong body \(63 of 64 bytes\)/],
    ['changed answer', { answer: (body) => body.replace('A', 'B') }, /wrong body \(64 of 64 bytes\)/],
    ['cut upload', { request: (body) => body.slice(0, -1) }, /POST \/post: wrong body/],
    ['no shared connections', { agent: false }, /opens a connection to the backend for each request/],
    ['no X-Forwarded-For', { forwardedFor: '' }, /sends X-Forwarded-For ''/],
  ]
  for (const [name, fault, expected] of cases)
    await t.rejects(checkContestant(faulty(fault), tmpdir()), { cause: { message: expected } }, name)
})

t.test('a proxy that is right passes, and so do those beside the bench', async (t) => {
  await checkContestant(faulty({}), tmpdir())
  await checkContestant(contestant('relay'), tmpdir())
  await checkContestant(contestant('http-proxy'), tmpdir())
  await checkContestant(contestant('fastify'), tmpdir())
  await checkContestant(contestant('undici'), tmpdir())
  t.pass('no fault found')
})

for (const name of ['nginx', 'haproxy', 'caddy'] as const) {
  const one = contestant(name)
  t.test(`${name} as the bench sets it up`, { skip: one.version === undefined && one.install }, async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'fairlead-test-'))
    t.teardown(() => rmSync(dir, { recursive: true }))
    // nginx gives up its privileges and must still reach its files
    chmodSync(dir, 0o755)
    await checkContestant(one, join(dir, name))
    t.pass('no fault found')
  })
}
