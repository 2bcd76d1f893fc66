/** The metrics: names, labels and values; judged by promtool, and scraped by a real Prometheus. */
import { execFile, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { newVersionStats } from '../../src/live/registry.ts'
import { newEndpointState } from '../../src/live/endpoint-state.ts'
import { differenceBucketsMs, durationBucketsMs, type BoundTable, type VersionStats } from '../../src/live/runtime.ts'
import { linesMax } from '../../src/telemetry/exposition.ts'
import { createMetrics, type ControlFigures, type Metrics, type MetricsOptions } from '../../src/telemetry/metrics.ts'
import { freePort } from '../fixtures/app.ts'
import { boundOf, endpoint, noFigures, tableOf } from '../fixtures/data-plane.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { ensureDebianCommand } from '../fixtures/install.ts'
import { scriptedLedger } from '../fixtures/kills.ts'
import { fakePool } from '../fixtures/tables.ts'
import { until } from '../fixtures/until.ts'

const control: ControlFigures = {
  sources: [
    { name: 'consul', lastSuccessMs: 500 },
    { name: 'file', lastSuccessMs: undefined },
  ],
  catalogLagMs: 12,
  tableBuildMs: 3,
  problems: 2,
  configReloadOk: false,
  accessLogDropped: 7,
}

/** Bound with run-time state, as the data plane would: those that the catalog allows. */
function withState(bound: BoundTable): BoundTable {
  const services = new Map(
    [...bound.services].map(([name, service]) => {
      const groups = service.table.groups.map(({ version, weight, endpoints }) => ({
        version,
        seed: 0,
        weight,
        endpoints: endpoints
          .filter((one) => one.weight > 0)
          .map((one) => ({ endpoint: one, state: newEndpointState(one, fakePool(one)), hash: 0, token: '' })),
        zones: undefined,
        stats: newVersionStats(name, version),
      }))
      return [name, { ...service, groups }]
    }),
  )
  return { ...bound, services }
}

const health: NonNullable<MetricsOptions['health']> = ({ handle }) =>
  handle === 'unknown'
    ? undefined
    : {
        state: handle === 'e' || handle === 'observed' ? 'ejected' : 'healthy',
        cause: undefined,
        sinceMs: 0,
        ejections: 0,
        applied: handle !== 'observed',
      }

function full(): Metrics {
  const durationCounts = Array.from({ length: durationBucketsMs.length + 1 }, () => 0)
  durationCounts[0] = 5
  durationCounts[3] = 2
  durationCounts[durationBucketsMs.length] = 1
  return createMetrics({
    clock: new FakeClock(),
    version: '1.2.3',
    control: () => control,
    kills: scriptedLedger(),
    dataPlane: {
      current: () =>
        boundOf(
          tableOf('shop', [
            endpoint({ service: 'shop', version: '9.8.0', handle: 'a' }),
            endpoint({ service: 'shop', version: '9.8.0', handle: 'b' }),
            endpoint({ service: 'shop', version: '9.8.0', handle: 'c', status: 'critical', weight: 0 }),
          ]),
        ),
      figures: () => ({
        ...noFigures,
        tableVersion: 4,
        versions: [
          {
            service: 'shop',
            version: '9.8.0"\n\\',
            codes: new Map([
              [200, 7],
              [1_502, 1],
            ]),
            durationCounts,
            durationSumMs: 1_500,
            attempts: new Map([['ok', 8]]),
            mirrored: {
              inFlight: 1,
              outcomes: new Map([
                ['same', 4],
                ['different', 1],
              ]),
              failures: new Map([['timeout', 2]]),
              classes: new Map([
                [22, 4],
                [25, 1],
              ]),
              differenceCounts: [1, ...differenceBucketsMs.slice(1).map(() => 0), 2],
              differenceSumMs: -500,
            },
          },
        ],
        services: [
          {
            service: 'shop',
            inFlight: 3,
            retrying: 0,
            rescuing: 0,
            rescued: 0,
            retries: new Map([['refused', 2]]),
            retryBudgetExhausted: 1,
            pipeliningPauses: new Map([['slow', 2]]),
          },
        ],
        downstream: { open: 5, idle: 2 },
        upstream: { open: 4, idle: 4 },
        unrouted: new Map([[404, 9]]),
      }),
    },
  })
}

const textOf = async (metrics: Metrics): Promise<string> => (await metrics.pieces()).join('')

/** Samples by their line without the value. */
function samples(text: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  )
}

t.test('names, labels and values', async (t) => {
  const metrics = full()
  t.teardown(() => metrics.stop())
  const got = samples(await textOf(metrics))
  const version = 'version="9.8.0\\"\\n\\\\"'
  const expected: Record<string, number> = {
    [`fairlead_requests_total{service="shop",${version},code="200",origin="upstream"}`]: 7,
    [`fairlead_requests_total{service="shop",${version},code="502",origin="proxy"}`]: 1,
    'fairlead_requests_total{service="",version="",code="404",origin="proxy"}': 9,
    [`fairlead_request_duration_seconds_bucket{le="0.001",service="shop",${version}}`]: 5,
    [`fairlead_request_duration_seconds_bucket{le="0.01",service="shop",${version}}`]: 7,
    [`fairlead_request_duration_seconds_bucket{le="30",service="shop",${version}}`]: 7,
    [`fairlead_request_duration_seconds_bucket{le="+Inf",service="shop",${version}}`]: 8,
    [`fairlead_request_duration_seconds_sum{service="shop",${version}}`]: 1.5,
    [`fairlead_request_duration_seconds_count{service="shop",${version}}`]: 8,
    'fairlead_requests_in_flight{service="shop"}': 3,
    [`fairlead_attempts_total{service="shop",${version},outcome="ok"}`]: 8,
    [`fairlead_mirrored_requests_total{service="shop",${version},outcome="same"}`]: 4,
    [`fairlead_mirrored_requests_total{service="shop",${version},outcome="different"}`]: 1,
    [`fairlead_mirror_failures_total{service="shop",${version},reason="timeout"}`]: 2,
    [`fairlead_mirror_compared_total{service="shop",${version},client="2xx",mirror="2xx"}`]: 4,
    [`fairlead_mirror_compared_total{service="shop",${version},client="2xx",mirror="5xx"}`]: 1,
    [`fairlead_mirror_latency_difference_seconds_bucket{le="-1",service="shop",${version}}`]: 1,
    [`fairlead_mirror_latency_difference_seconds_bucket{le="10",service="shop",${version}}`]: 1,
    [`fairlead_mirror_latency_difference_seconds_bucket{le="+Inf",service="shop",${version}}`]: 3,
    [`fairlead_mirror_latency_difference_seconds_sum{service="shop",${version}}`]: -0.5,
    [`fairlead_mirrored_requests_in_flight{service="shop",${version}}`]: 1,
    'fairlead_retries_total{service="shop",reason="refused"}': 2,
    'fairlead_retry_budget_exhausted_total{service="shop"}': 1,
    'fairlead_pipelining_pauses_total{service="shop",reason="slow"}': 2,
    'fairlead_endpoints{service="shop",version="9.8.0",state="passing"}': 2,
    'fairlead_endpoints{service="shop",version="9.8.0",state="critical"}': 1,
    'fairlead_connections{side="downstream",state="active"}': 3,
    'fairlead_connections{side="downstream",state="idle"}': 2,
    'fairlead_connections{side="upstream",state="active"}': 0,
    'fairlead_connections{side="upstream",state="idle"}': 4,
    // The source answered 500 ms before the clock's 1,000; the wall stands at 1,700,000,001.
    'fairlead_catalog_last_success_timestamp_seconds{source="consul"}': 1_700_000_000.5,
    // Never, which is what an alert on the age must notice.
    'fairlead_catalog_last_success_timestamp_seconds{source="file"}': 0,
    fairlead_catalog_lag_seconds: 0.012,
    fairlead_table_version: 4,
    fairlead_table_build_seconds: 0.003,
    fairlead_config_last_reload_success: 0,
    fairlead_problems: 2,
    fairlead_access_log_dropped_total: 7,
    [`fairlead_build_info{version="1.2.3",node="${process.versions.node}"}`]: 1,
  }
  for (const [line, value] of Object.entries(expected)) t.equal(got.get(line), value, line)
  t.ok((got.get('fairlead_event_loop_lag_seconds{at="p99"}') ?? -1) >= 0)
  t.ok((got.get('process_resident_memory_bytes') ?? 0) > 0)
})

t.test('deaths and ejections', async (t) => {
  const metrics = full()
  t.teardown(() => metrics.stop())
  const got = samples(await textOf(metrics))
  const expected: Record<string, number> = {
    'fairlead_rescued_requests_total{service="shop"}': 9,
    'fairlead_rescued_requests_total{service="cart"}': 0,
    'fairlead_death_lost_requests_total{service="shop"}': 2,
    'fairlead_death_lost_requests_total{service="cart"}': 0,
    'fairlead_ejections_total{service="shop",cause="silence"}': 1,
    'fairlead_ejections_total{service="shop",cause="refused"}': 1,
    'fairlead_endpoint_deaths_total{service="shop",signal="silence"}': 1,
    'fairlead_endpoint_deaths_total{service="shop",signal="refused"}': 1,
    'fairlead_observed_ejections_total{service="cart",cause="closed-unanswered"}': 1,
  }
  for (const [line, value] of Object.entries(expected)) t.equal(got.get(line), value, line)
  const names = /^fairlead_(rescued|death|ejections|endpoint_deaths|observed)/
  t.same(
    [...got.keys()].filter((line) => names.test(line) && !(line in expected)),
    [],
    'and nothing else',
  )
})

t.test('endpoints are told by their health where the catalog allows them traffic', async (t) => {
  const parts = { service: 'shop', version: '9.8.0' }
  const table = tableOf('shop', [
    endpoint({ ...parts, handle: 'a' }),
    endpoint({ ...parts, handle: 'b', status: 'warning' }),
    endpoint({ ...parts, handle: 'e' }),
    endpoint({ ...parts, handle: 'observed' }),
    endpoint({ ...parts, handle: 'unknown' }),
    endpoint({ ...parts, handle: 'c', status: 'critical', weight: 0 }),
    endpoint({ ...parts, handle: 'm', status: 'maintenance', weight: 0 }),
    endpoint({ ...parts, handle: 'standby', status: 'critical', agentLost: true }),
  ])
  const bound = withState(boundOf(table))
  const dataPlane = { current: () => bound, figures: () => noFigures }
  const metrics = createMetrics({ clock: new FakeClock(), version: '', control: () => control, dataPlane, health })
  t.teardown(() => metrics.stop())
  const lines = [...samples(await textOf(metrics))].filter(([line]) => line.startsWith('fairlead_endpoints{'))
  t.same(Object.fromEntries(lines.map(([line, value]) => [/state="(\w+)"/.exec(line)?.[1], value])), {
    healthy: 4,
    ejected: 1,
    passing: 1,
    critical: 1,
    maintenance: 1,
  })
})

/** Many versions, and how often others had their turn while they were told of. */
function many(
  count: number,
  onPause: (versions: VersionStats[]) => void = () => {},
): { readonly metrics: Metrics; readonly pauses: () => number } {
  const versions = Array.from({ length: count }, (_, i) => newVersionStats('shop', `9.${i}.0`))
  let pauses = 0
  const pause = (): Promise<void> => {
    pauses++
    onPause(versions)
    return Promise.resolve()
  }
  const dataPlane = { current: () => boundOf(tableOf('shop', [])), figures: () => ({ ...noFigures, versions }) }
  const metrics = createMetrics({ clock: new FakeClock(), version: '', control: () => control, dataPlane, pause })
  return { metrics, pauses: () => pauses }
}

t.test('a page of any length is made in turns of bounded work, and is one page', async (t) => {
  const { metrics, pauses } = many(1_000)
  t.teardown(() => metrics.stop())
  const pieces = await metrics.pieces()
  for (const piece of pieces) t.ok(piece.split('\n').length <= linesMax + 5)
  const text = pieces.join('')
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  t.ok(pauses() >= Math.floor((1_000 * (durationBucketsMs.length + 3)) / linesMax))
  t.equal(new Set(lines.map((line) => line.slice(0, line.lastIndexOf(' ')))).size, lines.length, 'none twice')
  for (const kind of ['HELP', 'TYPE']) {
    const said = text.match(new RegExp(`^# ${kind} fairlead_request_duration_seconds `, 'gm')) ?? []
    t.equal(said.length, 1)
  }
  t.equal(text.match(/^fairlead_request_duration_seconds_count/gm)?.length, 1_000)
  t.notMatch(text, /\n\n\n/)
  t.ok(text.endsWith('\n'))
})

t.test('a histogram is of one moment, whatever happens while the page is made', async (t) => {
  const { metrics } = many(50, (versions) => {
    for (const stats of versions) {
      stats.durationCounts[0] = (stats.durationCounts[0] ?? 0) + 1
      stats.durationSumMs += 1_000
    }
    versions.splice(10, 1)
  })
  t.teardown(() => metrics.stop())
  const got = samples(await textOf(metrics))
  for (let i = 0; i < 50; i++) {
    const labels = `service="shop",version="9.${i}.0"`
    const of = (suffix: string, more = ''): number | undefined =>
      got.get(`fairlead_request_duration_seconds_${suffix}{${more}${labels}}`)
    t.ok(of('count') !== undefined, 'those that go while it is made are on it')
    t.equal(of('sum'), of('count'))
    t.equal(of('bucket', 'le="0.001",'), of('count'))
  }
})

t.test('promtool finds nothing to say', async (t) => {
  const promtool = await ensureDebianCommand('promtool', 'prometheus')
  if (promtool.path === undefined) {
    t.plan(0, promtool.reason)
    return
  }
  const metrics = full()
  t.teardown(() => metrics.stop())
  // Only our own names are ours to answer for; prom-client's process and nodejs ones do not follow promtool's taste.
  const text = (await textOf(metrics))
    .split('\n')
    .filter((line) => /^(# \w+ )?fairlead_/.test(line))
    .join('\n')
  const said = await new Promise<{ code: number; output: string }>((resolve) => {
    const child = execFile(promtool.path ?? '', ['check', 'metrics'], (error, stdout, stderr) =>
      resolve({ code: error ? 1 : 0, output: stdout + stderr }),
    )
    child.stdin?.end(`${text}\n`)
  })
  t.equal(said.output, '')
  t.equal(said.code, 0)
})

t.test('a real Prometheus scrapes it', async (t) => {
  const prometheus = await ensureDebianCommand('prometheus', 'prometheus')
  if (prometheus.path === undefined) {
    t.plan(0, prometheus.reason)
    return
  }
  const metrics = full()
  const server = createServer((req, res) => {
    t.equal(req.url, '/metrics')
    void textOf(metrics).then((text) => res.setHeader('content-type', metrics.contentType).end(text))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-prometheus-'))
  writeFileSync(
    join(folder, 'prometheus.yml'),
    `scrape_configs: [{ job_name: fairlead, scrape_interval: 200ms, scrape_timeout: 200ms, static_configs: [{ targets: ["127.0.0.1:${port}"] }] }]`,
  )
  const own = await freePort()
  const child = spawn(
    prometheus.path,
    [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${own}`,
    ],
    { stdio: 'ignore' },
  )
  const gone = new Promise<void>((resolve) => child.on('exit', () => resolve()))
  t.teardown(async () => {
    child.kill('SIGKILL')
    await gone
    metrics.stop()
    server.closeAllConnections()
    server.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const query = async (text: string): Promise<string | undefined> => {
    const answer = await fetch(`http://127.0.0.1:${own}/api/v1/query?query=${encodeURIComponent(text)}`).catch(
      () => undefined,
    )
    if (!answer?.ok) return undefined
    const body = (await answer.json()) as { data: { result: { value: [number, string] }[] } }
    return body.data.result[0]?.value[1]
  }
  const wait = { timeoutMs: 20_000 }
  t.equal(await until(() => query('sum(fairlead_requests_total{service="shop"})'), wait), '8')
  t.equal(await until(() => query('histogram_quantile(0.5, fairlead_request_duration_seconds_bucket)'), wait), '0.0008')
})
