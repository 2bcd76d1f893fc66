/**
 * One instance of the sample service, a process of its own: registers itself in the catalog with plain fetch, as any
 * program in any language would, and answers. It lives no longer than its parent: when the pipe that is its standard
 * input ends, however the parent ended, so does it. Arguments: catalog URL, service, instance id, version.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { sleep, systemClock } from '../../core/clock.ts'
import { systemRandom } from '../../core/random.ts'

const [catalog = '', service = '', id = '', version = ''] = process.argv.slice(2)

process.stdin.resume()
process.stdin.on('error', () => process.exit(0))
process.stdin.on('close', () => process.exit(0))
// Ctrl-C at a terminal reaches the whole group; the parent ends us when it has stopped asking.
process.on('SIGINT', () => {})

const server = createServer((req, res) => void answer(req, res))
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo
  register(port).catch((error: unknown) => {
    process.stderr.write(`${id}: ${String(error)}\n`)
    process.exit(1)
  })
})

async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
  if (req.url === '/healthz') {
    res.end('ok\n')
    return
  }
  req.resume()
  // As long as a request of a real service takes, so that there is something to lose.
  await sleep(systemClock, 4 + systemRandom() * 12)
  res.setHeader('content-type', 'application/json')
  res.end(`${JSON.stringify({ service, version, instance: id })}\n`)
}

async function register(port: number): Promise<void> {
  const body = {
    ID: id,
    Name: service,
    Address: '127.0.0.1',
    Port: port,
    Tags: ['urlprefix-/'],
    Meta: { version },
    Check: {
      HTTP: `http://127.0.0.1:${port}/healthz`,
      Interval: '1s',
      Timeout: '5s',
      // We are up already; without this the first probe is awaited.
      Status: 'passing',
      DeregisterCriticalServiceAfter: '1m',
    },
  }
  const url = `${catalog}/v1/agent/service/register`
  const response = await fetch(url, { method: 'PUT', body: JSON.stringify(body) })
  if (!response.ok) throw new Error(`the catalog refused the registration: ${response.status} ${await response.text()}`)
}
