/**
 * Question: what does a request cost from its path to its version, with 5,000 routes that have five rules each: its route, then
 * the rules in order, then weights? It should stay below 2 µs. What runs is what requests run: `routingPath`, the table's
 * `match`, `steer`.
 * Run: node bench/micro/rules.ts [--routes 5000] [--rounds 200]
 */
import { Command } from 'commander'
import { instanceKey, type Instance, type Snapshot } from '../../src/catalog/snapshot.ts'
import { seededRandom } from '../../src/core/random.ts'
import { createCurrent } from '../../src/live/current.ts'
import { createRegistry } from '../../src/live/registry.ts'
import type { BoundTable } from '../../src/live/runtime.ts'
import { emptyPolicy, type Policy, type RoutePolicy } from '../../src/policy/policy.ts'
import type { Condition, Rule } from '../../src/policy/traffic.ts'
import { routingPath } from '../../src/proxy/path.ts'
import { steer, SteeredRequest } from '../../src/proxy/steer.ts'
import { buildTable, emptyTable } from '../../src/table/build.ts'
import { defaultWireLimits } from '../../src/wire/limits.ts'
import { parseRequestHead, type RequestHead } from '../../src/wire/request-head.ts'
import type { Pool } from '../../src/wire/pool.ts'
import { Refusal } from '../../src/wire/syntax.ts'
import { numberFrom } from '../lib/options.ts'
import { markdownTable } from '../lib/report.ts'
import { median } from '../lib/statistics.ts'
import { runProgram } from '../lib/program.ts'

const goalNs = 2_000
const warmUpRounds = 20
const services = 1_000
const versions = ['1', '2'] as const

// === The table ===

function instances(service: string): readonly Instance[] {
  return versions.map((version) => {
    const parts = { source: 'consul', node: 'n1', service, id: `${service}-${version}`, address: '10.0.0.1', port: 80 }
    const rest = { tags: [], meta: { version }, nodeMeta: {}, agentLost: false, createIndex: 1 }
    return { key: instanceKey(parts), ...parts, ...rest, weights: { passing: 1, warning: 1 }, status: 'passing' }
  })
}

/** Five rules of seven conditions: headers, a cookie, globs, one of several, paths. `own`: what makes them no other route's. */
function rules(path: string, own: string): readonly Rule[] {
  const to = (version: string, ...when: readonly Condition[]): Rule => ({ when, action: { kind: 'version', version } })
  const testers = Array.from({ length: 8 }, (_, k) => `tester-${k}${own}`)
  return [
    to('2', { subject: 'header', name: `x-canary${own}`, match: { kind: 'equals', value: 'always' } }),
    to('2', { subject: 'cookie', name: `tester${own}`, match: { kind: 'oneOf', values: testers } }),
    to(
      '1',
      { subject: 'path', match: { kind: 'prefix', value: `${path}/legacy${own}/` } },
      { subject: 'method', match: { kind: 'oneOf', values: ['GET', 'HEAD'] } },
    ),
    to('2', { subject: 'path', match: { kind: 'glob', value: `${path}/*/preview${own}` } }),
    to('2', { subject: 'header', name: 'user-agent', match: { kind: 'glob', value: `*ShopApp/4${own}.*` } }),
  ]
}

/** As in `match.ts`: most with a host of their own and a path or two, some wildcards, some for any host. */
function routes(count: number, hasOwn = false): readonly RoutePolicy[] {
  return Array.from({ length: count }, (_, i) => {
    const host = i % 10 === 0 ? '' : i % 10 === 1 ? `*.zone${i}.example.com` : `service${i >> 1}.example.com`
    const path = i % 2 === 0 ? `/api/v${i % 7}/service-${i}` : '/'
    const traffic = { rules: rules(path === '/' ? '' : path, hasOwn ? `-${i}` : '') }
    return { origin: `config:routes[${i}]`, host, path, service: `service-${i % services}`, traffic }
  })
}

function tableOf(count: number, policies: readonly RoutePolicy[]): BoundTable {
  const names = Array.from({ length: Math.min(count, services) }, (_, i) => `service-${i}`)
  const snapshot: Snapshot = {
    version: 1,
    services: new Map(names.map((name) => [name, { name, instances: instances(name) }])),
    problems: [],
  }
  const policy: Policy = { ...emptyPolicy, routes: policies }
  // A pool that opens nothing: the question ends where a version is chosen.
  const noPool = { open: 0, idle: 0, useTls() {}, close() {}, destroy() {} } as unknown as Pool
  const current = createCurrent(createRegistry(() => noPool))
  current.apply(buildTable(emptyTable, snapshot, policy).table)
  return current.get()
}

// === The requests ===

interface Case {
  readonly name: string
  /** Below the route's own path. */
  readonly path: string
  /** Behind what every request has of them. */
  readonly cookies: string
  readonly agent: string
  readonly lines: readonly string[]
  /** Undefined: chance decides. */
  readonly version: string | undefined
}

const plain = { path: '/items/42', cookies: '', agent: '', lines: [] }
const cases: readonly Case[] = [
  { ...plain, name: 'the first rule matches (header)', lines: ['X-Canary: always'], version: '2' },
  { ...plain, name: 'the second (cookie, one of 8)', cookies: '; tester=tester-5', version: '2' },
  { ...plain, name: 'the third (path, method)', path: '/legacy/items', version: '1' },
  { ...plain, name: 'the fourth (path glob)', path: '/items/42/preview', version: '2' },
  { ...plain, name: 'the last (header glob)', agent: ' ShopApp/4.2', version: '2' },
  { ...plain, name: 'none: by weight', version: undefined },
]

/** Asked of rules that have no condition in common with those of other routes: the processor has seen none of them lately. */
const strange: Case = { ...plain, name: 'none, of rules of their own', version: undefined }

/**
 * A browser's request for each route. All have the very same header lines: those of a real one have just been read, and are as
 * near to the processor; its route and rules may not be.
 */
function headsFor(policies: readonly RoutePolicy[], asked: Case): readonly RequestHead[] {
  const heads = policies.map(({ host, path }) => {
    const name = host === '' ? 'unknown.example.org' : host.replace('*', 'www')
    const text = [
      `GET ${path === '/' ? '' : path}${asked.path} HTTP/1.1`,
      `Host: ${name}`,
      'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
      'Accept-Language: en-GB,en;q=0.5',
      'Accept-Encoding: gzip, deflate, br, zstd',
      `User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0${asked.agent}`,
      `Cookie: session=4f1c9a7be0d24c6f8a53d1b2; theme=dark; consent=1.0.1${asked.cookies}`,
      ...asked.lines,
      'Upgrade-Insecure-Requests: 1',
      'Sec-Fetch-Mode: navigate',
      '',
      '',
    ].join('\r\n')
    const head = parseRequestHead(text, 0, text.indexOf('\r\n\r\n'), defaultWireLimits, false)
    if (head instanceof Refusal) throw new Error(`refused: ${head.rule}`)
    return head
  })
  const lines = heads[0]?.lines ?? ''
  for (const head of heads) head.lines = lines
  return heads
}

// === The measurement ===

const random = seededRandom(1)

/** The version that a request gets; undefined: none. */
function versionFor(bound: BoundTable, head: RequestHead): string | undefined {
  const path = routingPath(head.target)
  const route = path === undefined ? undefined : bound.match(head.routingHost, path)
  if (path === undefined || route?.plan === undefined) return undefined
  const steered = steer(bound, random, route, route.plan, new SteeredRequest(head, path, '192.0.2.7'))
  return steered.kind === 'forward' ? steered.group?.version : undefined
}

/** Nanoseconds per request of each round; every round asks each route once. Throws when an answer is not the case's. */
function measure(bound: BoundTable, heads: readonly RequestHead[], asked: Case, rounds: number): readonly number[] {
  for (const head of heads) {
    const version = versionFor(bound, head)
    if (version === undefined || (asked.version !== undefined && version !== asked.version))
      throw new Error(`${asked.name}: ${head.routingHost}${head.target} got version ${String(version)}`)
  }
  const figures: number[] = []
  for (let round = -warmUpRounds; round < rounds; round++) {
    let found = 0
    const start = performance.now()
    for (const head of heads) if (versionFor(bound, head) !== undefined) found++
    const ns = ((performance.now() - start) * 1e6) / heads.length
    if (found !== heads.length) throw new Error('unreachable; keeps the loop')
    if (round >= 0) figures.push(ns)
  }
  return figures
}

interface Row {
  readonly name: string
  readonly median: number
  readonly least: number
  readonly most: number
}

function main(): void {
  const { routes: count, rounds } = new Command('node bench/micro/rules.ts')
    .option('--routes <n>', 'routes of the table', numberFrom(1, 100_000, true), 5_000)
    .option('--rounds <n>', 'rounds per case, each asking every route once', numberFrom(1, 100_000, true), 200)
    .exitOverride()
    .parse()
    .opts<{ readonly routes: number; readonly rounds: number }>()
  const rowsOf = (policies: readonly RoutePolicy[], all: readonly Case[]): readonly Row[] => {
    const bound = tableOf(count, policies)
    return all.map((asked) => {
      const figures = measure(bound, headsFor(policies, asked), asked, rounds)
      return { name: asked.name, median: median(figures), least: Math.min(...figures), most: Math.max(...figures) }
    })
  }
  const rows = [...rowsOf(routes(count), cases), ...rowsOf(routes(count, true), [strange])]
  console.log(`${count} routes with 5 rules each; ns per request, of ${rounds} rounds\n`)
  const cells = rows.map((row) => [row.name, ...[row.median, row.least, row.most].map((ns) => ns.toFixed(0))])
  console.log(markdownTable(['', 'median', 'least', 'most'], cells))
  const worst = Math.max(...rows.map((row) => row.median))
  const verdict = worst < goalNs ? 'met' : 'MISSED'
  console.log(`\n- Route and rules, the dearest case: ${worst.toFixed(0)} ns (goal: under ${goalNs} ns): ${verdict}`)
}

await runProgram(main)
