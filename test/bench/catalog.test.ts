import { once } from 'node:events'
import { createServer } from 'node:http'
import type { RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { Client, startNamedBackend, whenAnswers, whenShown } from '../../bench/catalog/clients.ts'
import { CountingRelay, requestKinds, requestsBetween } from '../../bench/catalog/counting-relay.ts'
import { type ChurnResult, replaceInstances } from '../../bench/catalog/churn.ts'
import { fill, fillOperations, serviceName } from '../../bench/catalog/fill.ts'
import { parseCatalogOptions } from '../../bench/catalog/options.ts'
import { metricSum } from '../../bench/catalog/proxy.ts'
import {
  catalogGoals,
  describeRequests,
  renderArrivals,
  renderChurn,
  renderDisturbed,
  renderScale,
} from '../../bench/catalog/report.ts'
import type { ScaleResult } from '../../bench/catalog/report.ts'
import { overlapMs } from '../../bench/catalog/turns.ts'
import type { OpenLoopFigures } from '../../bench/lib/load.ts'
import { until } from '../fixtures/until.ts'

async function serve(
  t: { readonly teardown: (fn: () => unknown) => void },
  listener: RequestListener,
): Promise<number> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

t.test('requests are told apart by the first two segments', (t) => {
  const head = (line: string): string => `${line}\r\nhost: consul\r\n\r\n`
  t.same(requestKinds(head('GET /v1/health/service/web?index=4&wait=60s HTTP/1.1')), ['health/service'])
  t.same(requestKinds(head('GET /v1/catalog/services?stale HTTP/1.1')), ['catalog/services'])
  t.same(requestKinds(head('PUT /v1/txn HTTP/1.1')), ['txn'])
  t.same(
    requestKinds('PUT\r\n\r\n{"path":"GET /v1/kv/x HTTP/1.1\r\n"}'),
    [],
    'what stands within a line is no request line',
  )
  t.end()
})

t.test('the relay counts and changes nothing', async (t) => {
  const port = await serve(t, (req, res) => void res.end(`you asked ${req.url ?? ''}`))
  const relay = new CountingRelay(port)
  const relayPort = await relay.listen()
  const client = new Client()
  const before = relay.counts()
  const paths = ['/v1/catalog/services', '/v1/health/service/a', '/v1/health/service/b']
  const answers = await Promise.all(paths.map((path) => client.get(relayPort, path)))
  t.same(
    answers.map((answer) => answer.body),
    paths.map((path) => `you asked ${path}`),
  )
  const after = relay.counts()
  t.equal(after.openPeak, 3)
  t.same(Object.fromEntries(requestsBetween(before, after)), { 'catalog/services': 1, 'health/service': 2 })
  await client.get(relayPort, '/v1/catalog/services')
  t.same(Object.fromEntries(requestsBetween(after, relay.counts())), { 'catalog/services': 1 })
  t.equal(relay.counts().accepted, 3, 'a kept connection is counted once')
  client.close()
  await until(() => relay.counts().open === 0)
  await relay.close()
})

t.test(
  'a filling names each instance once, its node before it and its check after it, 64 to a transaction',
  async (t) => {
    const filling = { services: 3, instancesPerService: 50, real: { service: serviceName(1), port: 4321 } }
    const batches: (readonly unknown[])[] = []
    await fill(filling, (path, body) => {
      t.equal(path, '/v1/txn')
      return Promise.resolve(batches.push(body as readonly unknown[]))
    })
    t.ok(batches.every((batch, index) => batch.length === 64 || index === batches.length - 1))
    const operations = [...fillOperations(filling)] as readonly {
      readonly Node?: { readonly Node: { readonly Node: string } }
      readonly Service?: {
        readonly Node: string
        readonly Service: { readonly ID: string; readonly Address: string; readonly Port: number }
      }
      readonly Check?: { readonly Check: { readonly ServiceID: string } }
    }[]
    t.same(batches.flat(), operations)
    const nodes = new Set<string>()
    const places = new Map<string, string>()
    for (const { Node, Service, Check } of operations) {
      if (Node) nodes.add(Node.Node.Node)
      if (Service) {
        t.ok(nodes.has(Service.Node))
        t.notOk(places.has(Service.Service.ID))
        places.set(Service.Service.ID, `${Service.Service.Address}:${Service.Service.Port}`)
      }
      if (Check) t.ok(places.has(Check.Check.ServiceID))
    }
    t.equal(places.size, 150)
    t.equal([...places.values()].filter((place) => place === '127.0.0.1:4321').length, 50)
    t.equal(new Set(places.values()).size, 101, 'all others stand at addresses of their own')
  },
)

t.test('an instance is shown when a blocking query has it', async (t) => {
  const asked: string[] = []
  const port = await serve(t, (req, res) => {
    asked.push(req.url ?? '')
    const ids = asked.length < 3 ? ['a'] : ['a', 'b']
    res.setHeader('x-consul-index', 10 + asked.length)
    res.end(JSON.stringify(ids.map((ID) => ({ Service: { ID } }))))
  })
  const client = new Client()
  await whenShown(client, port, 'web', 'b')
  client.close()
  const query = (index: number): string => `/v1/health/service/web?wait=10s&index=${index}`
  t.same(asked, [query(0), query(11), query(12)], 'each asks from the index of the one before')
})

t.test('an instance is routed when an answer of its own comes', async (t) => {
  const [old, fresh] = await Promise.all([startNamedBackend('lasting'), startNamedBackend('arriving')])
  let asked = 0
  const port = await serve(t, (_, res) => {
    asked++
    if (asked === 1) return res.writeHead(503, { 'x-instance': 'arriving' }).end()
    return res.writeHead(200, { 'x-instance': asked === 2 ? 'lasting' : 'arriving' }).end()
  })
  const client = new Client()
  await whenAnswers(client, port, '/', 'arriving')
  t.equal(asked, 3)
  await whenAnswers(client, old.port, '/', 'lasting')
  await whenAnswers(client, fresh.port, '/', 'arriving')
  client.close()
  old.close()
  fresh.close()
})

t.test('a metric is summed over its labels, and only it', (t) => {
  const page = '# TYPE a gauge\na{x="1"} 2\na{x="y z"} 3\na_total 100\nb 0.5\n'
  t.equal(metricSum(page, 'a'), 5)
  t.equal(metricSum(page, 'b'), 0.5)
  t.equal(metricSum(page, 'c'), undefined)
  t.end()
})

t.test('options', (t) => {
  t.match(parseCatalogOptions([]), { registrations: 30, services: 1_000, instancesPerService: 10, json: undefined })
  t.match(parseCatalogOptions(['--registrations', '0', '--window', '500']), { registrations: 0, windowMs: 500 })
  t.end()
})

const scale: ScaleResult = {
  services: 1_000,
  instances: 10_000,
  readyMs: [900],
  completeMs: [1_000, 5_000, 2_000],
  startRequests: new Map([['health/service', 1_000]]),
  connectionsPeak: 14,
  quiet: { requests: new Map(), open: 2, seconds: 5 },
  changes: [18, 19, 90].map((mainThreadMs) => ({
    kind: 'registered',
    mainThreadMs,
    allThreadsMs: mainThreadMs + 10,
    buildMs: 1,
    requests: new Map([['health/service', 1]]),
  })),
  sweep: { requests: new Map([['health/service', 1_000]]), lastedMs: 4_200, mainThreadMs: 300, allThreadsMs: 500 },
  arrivals: [],
  residentBytes: 100 * 1_048_576,
}

t.test('the goals are judged at the median', (t) => {
  const arrivals = [10, 40, 900].map((ms) => ({ shownMs: 5, routedAfterShownMs: ms, routedMs: ms + 5 }))
  const met = (...args: Parameters<typeof catalogGoals>): unknown => catalogGoals(...args).map((goal) => goal.met)
  t.same(met(arrivals, scale), [true, true, true, true])
  t.same(met(arrivals.slice(1), undefined), [false])
  t.same(met(undefined, { ...scale, completeMs: [3_001], connectionsPeak: 200 }), [false, true, false])
  t.same(met(undefined, { ...scale, changes: [] }), [true, undefined, true])
  t.end()
})

t.test('the tables', (t) => {
  t.match(renderArrivals([{ shownMs: 5, routedAfterShownMs: 7.25, routedMs: 12.25 }]), /to routed, ms +\| +7\.3 \|/)
  const text = renderScale(scale)
  t.match(text, /### 1000 services, 10000 instances/)
  t.match(text, /every instance in the table, ms +\| +2000 \| +5000 \| +1000 \| +5000 \|/)
  t.match(text, /health\/service 1000 within 4\.2 s, CPU 300 ms/)
  t.match(text, /Requests in 5 s of quiet: none\./)
  t.match(text, /per change, the median of each kind: health\/service 1\./)
  t.equal(
    describeRequests(
      new Map([
        ['b', 1],
        ['a', 2],
      ]),
    ),
    'a 2, b 1',
  )
  t.end()
})

t.test('a change replaces one instance by another, services in turn', async (t) => {
  const services = Array.from({ length: 10 }, (_, i) => serviceName(i))
  const options = { services, instancesPerService: 2, seconds: 10, rate: 1_000_000, workers: 1 }
  const bodies: unknown[] = []
  const enough = new Error('enough')
  const put = async (path: string, body: unknown): Promise<void> => {
    t.equal(path, '/v1/txn')
    bodies.push(body)
    if (bodies.length === 21) throw enough
  }
  await t.rejects(replaceInstances(options, 0, put), enough)
  const gone = bodies.map((body) => {
    const last = (body as readonly { readonly Service?: object }[]).at(-1)?.Service
    return (last as { readonly Service: { readonly ID: string } }).Service.ID
  })
  const filled = [...fillOperations({ services: 10, instancesPerService: 2, real: { service: '', port: 1 } })].flatMap(
    (operation) => (operation as { Service?: { Service: { ID: string } } }).Service?.Service.ID ?? [],
  )
  t.same(gone.slice(0, 20).toSorted(), filled.toSorted(), 'each of those that were there, once')
  t.equal(gone[20], 'svc-0001-0-1', 'then the ones that took their places')
  t.match(bodies[0], [
    { Service: { Verb: 'set', Service: { ID: 'svc-0001-0-1', Service: 'svc-0001' } } },
    { Check: { Verb: 'set', Check: { ServiceID: 'svc-0001-0-1', Status: 'passing' } } },
    { Service: { Verb: 'delete', Service: { ID: 'svc-0001-0' } } },
  ])
})

t.test('collections are taken off a turn as far as they lie in it', async (t) => {
  t.equal(overlapMs({ fromMs: 10, toMs: 20 }, []), 0)
  t.equal(
    overlapMs({ fromMs: 10, toMs: 20 }, [
      [0, 5],
      [8, 11],
      [13, 15],
      [19, 30],
      [40, 50],
    ]),
    4,
  )
})

t.test('turns are told and judged', async (t) => {
  const process = { role: 'whole', busy: 0.1, heapBefore: 80_000_000, heapAfter: 81_000_000 }
  const turns = { ownMs: [1, 4, 2], longestMs: [3, 9, 4], wallMs: [5, 50, 6] }
  const result = { instances: 10_000, seconds: 30, rate: 50, tables: 6 }
  const good: ChurnResult = { ...result, workers: 1, processes: [{ ...process, ...turns }] }
  const bad: ChurnResult = {
    ...result,
    workers: 2,
    processes: [{ ...process, ...turns, role: 'control', ownMs: [1, 6] }],
  }
  const text = renderChurn([good, bad])
  t.match(
    text,
    /one process: whole +\| +2\.0 \/ 4\.0 +\| +4\.0 \/ 9\.0 +\| +6\.0 \/ 50\.0 +\| +10 % +\| +8\.00 -> 8\.10/,
  )
  t.match(text, /2 workers: control/)
  t.match(catalogGoals(undefined, undefined, [good, bad]), [
    { text: /one process: 4\.0 ms/, met: true },
    { text: /2 workers: 6\.0 ms/, met: false },
  ])
})

t.test('latency beside what goes on: a row for each phase, medians of its rounds, what failed of all', (t) => {
  t.match(parseCatalogOptions([]), { latencySeconds: 0, latencyRounds: 3, latencyRequests: 5_000 })
  t.match(parseCatalogOptions(['--latency', '20s', '--rounds', '5']), { latencySeconds: 20, latencyRounds: 5 })
  const round = (p99Ms: number, errors: number): OpenLoopFigures => ({
    requests: 100,
    seconds: 1,
    p50Ms: 0.1,
    p99Ms,
    p999Ms: 9,
    maxMs: 10,
    ownLatenessP99Ms: 0.05,
    errors,
  })
  const text = renderDisturbed({
    instances: 10_000,
    requests: 5_000,
    seconds: 4,
    phases: new Map([['scrapes', [round(4, 1), round(1, 0), round(2, 2)]]]),
  })
  t.match(text, /scrape of `\/metrics`.*\| +0\.10 .*\| +2\.00 \(1\.00–4\.00\) \|.*\| +0\.05 \| +3 \|/)
  t.match(text, /\| nothing +\| +NaN/, 'a phase without rounds claims nothing')
  t.end()
})

t.test('changes end when they are told to', async (t) => {
  let made = 0
  const put = (): Promise<void> => {
    made++
    return Promise.resolve()
  }
  const options = { services: ['svc-0001'], instancesPerService: 2, seconds: Infinity, rate: 1_000, workers: 1 }
  t.equal(await replaceInstances(options, 0, put, () => made >= 5), 5)
})
