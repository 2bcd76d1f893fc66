/**
 * One run of an HTTP or TCP check. Verdicts as Consul gives them: 2xx passing, 429 warning, all else critical.
 * Keeps no state; ends with its timeout or its signal, whichever is first.
 */
import { connect } from 'node:net'
import { Agent, interceptors, request } from 'undici'
import type { Clock } from '../../core/clock.ts'
import { errorText } from '../../core/errors.ts'
import type { CheckStatus, Probe } from './records.ts'

export interface ProbeResult {
  readonly status: CheckStatus
  readonly output: string
}

type HttpProbe = Extract<Probe, { kind: 'http' }>
type TcpProbe = Extract<Probe, { kind: 'tcp' }>

export type ActiveProbe = HttpProbe | TcpProbe

/** Never rejects but for programmer errors; an aborted one's result is to be dropped. */
export async function probe(
  how: ActiveProbe,
  outputBytesMax: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const ending = new AbortController()
  const abort = (): void => ending.abort()
  signal.addEventListener('abort', abort, { once: true })
  const timer = clock.setTimer(how.timeoutMs, abort)
  try {
    return how.kind === 'tcp' ? await probeTcp(how, ending.signal) : await probeHttp(how, outputBytesMax, ending.signal)
  } finally {
    timer.clear()
    signal.removeEventListener('abort', abort)
  }
}

async function probeHttp(how: HttpProbe, outputBytesMax: number, signal: AbortSignal): Promise<ProbeResult> {
  // A connection of its own each time: one kept alive would hide that nobody accepts any more.
  const agent = new Agent({ pipelining: 0, connect: { rejectUnauthorized: !how.skipVerify, timeout: how.timeoutMs } })
  const headers: Record<string, string[]> = {
    'user-agent': ['Consul Health Check'],
    accept: ['text/plain, text/*, */*'],
  }
  for (const [name, values] of Object.entries(how.header)) headers[name.toLowerCase()] = [...values]
  try {
    const response = await request(how.url, {
      method: how.method as 'GET',
      headers: Object.fromEntries(Object.entries(headers).map(([name, values]) => [name, values.join(', ')])),
      ...(how.body === '' ? {} : { body: how.body }),
      dispatcher: agent.compose(interceptors.redirect({ maxRedirections: 10 })),
      signal,
    })
    const body = await readSome(response.body, outputBytesMax)
    const code = response.statusCode
    const status: CheckStatus = code >= 200 && code < 300 ? 'passing' : code === 429 ? 'warning' : 'critical'
    return { status, output: `HTTP ${how.method} ${how.url}: ${String(code)} ${response.statusText} Output: ${body}` }
  } catch (error) {
    const why = signal.aborted ? 'no answer in time' : errorText(error)
    return { status: 'critical', output: `${how.method} ${JSON.stringify(how.url)}: ${why}` }
  } finally {
    await agent.destroy()
  }
}

/** The first `bytesMax` bytes; the rest is never read, so an endless answer costs nothing. */
async function readSome(body: AsyncIterable<Buffer>, bytesMax: number): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    size += chunk.length
    if (size >= bytesMax) break
  }
  return Buffer.concat(chunks).subarray(0, bytesMax).toString('utf8')
}

function probeTcp(how: TcpProbe, signal: AbortSignal): Promise<ProbeResult> {
  const at = how.target.lastIndexOf(':')
  const host = how.target.slice(0, at).replace(/^\[(.*)\]$/, '$1')
  const port = Number(how.target.slice(at + 1))
  if (at < 1 || !Number.isInteger(port) || port < 1 || port > 65_535)
    return Promise.resolve({ status: 'critical', output: `TCP connect ${how.target}: not an address and a port` })
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    const done = (status: CheckStatus, text: string): void => {
      signal.removeEventListener('abort', onAbort)
      socket.destroy()
      resolve({ status, output: `TCP connect ${how.target}: ${text}` })
    }
    const onAbort = (): void => done('critical', 'no answer in time')
    socket.once('connect', () => done('passing', 'Success'))
    socket.once('error', (error) => done('critical', error.message))
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
}
