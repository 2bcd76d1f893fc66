/**
 * Question: what does it cost to find the route of a request, with 10 routes and with 5,000? It should stay below 1 µs.
 * Run: node bench/micro/match.ts
 */
import { createMatcher } from '../../src/table/match.ts'

const warmUp = 200_000
const rounds = 1_000_000

/** Routes in the mix of a fleet: most with a host of their own and a path or two, some wildcards, some for any host. */
function routes(count: number): { host: string; path: string; value: number }[] {
  return Array.from({ length: count }, (_, i) => {
    const host = i % 10 === 0 ? '' : i % 10 === 1 ? `*.zone${i}.example.com` : `service${i >> 1}.example.com`
    return { host, path: i % 2 === 0 ? `/api/v${i % 7}/service-${i}` : '/', value: i }
  })
}

function measure(name: string, count: number, requests: readonly (readonly [string, string])[]): void {
  const match = createMatcher(routes(count))
  let found = 0
  const run = (times: number): void => {
    for (let i = 0; i < times; i++) {
      const request = requests[i % requests.length]
      if (request && match(request[0], request[1]) !== undefined) found++
    }
  }
  run(warmUp)
  const start = performance.now()
  run(rounds)
  const nanoseconds = ((performance.now() - start) * 1e6) / rounds
  console.log(`${String(count).padStart(6)} routes  ${name.padEnd(34)} ${nanoseconds.toFixed(0).padStart(6)} ns/match`)
  if (found < 0) throw new Error('unreachable; keeps the loop')
}

for (const count of [10, 5_000]) {
  const last = count - 2
  measure('exact host, short path', count, [[`service${(count - 3) >> 1}.example.com`, '/']])
  measure('exact host, long path', count, [
    [`service${last >> 1}.example.com`, `/api/v1/service-${last}/items/42/parts/7`],
  ])
  measure('wildcard', count, [['a.b.zone1.example.com', '/some/path/of/a/page']])
  measure('any host, prefix', count, [['unknown.example.org', '/api/v0/service-0/items/42']])
  measure('no route', count, [['unknown.example.org', '/nothing/here/to/be/found']])
}
