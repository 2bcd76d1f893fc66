/** `fairlead status`, `why`, `history` and `problems`: as processes that ask a whole proxy, and how their texts look. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { HistoryView } from '../../src/admin/history-view.ts'
import type { RequestView } from '../../src/admin/request-view.ts'
import { historyText } from '../../src/cli/history/run.ts'
import { problemCount } from '../../src/core/problem.ts'
import { problemsText } from '../../src/cli/problems/run.ts'
import type { EndpointStatus, ServiceStatus } from '../../src/cli/status/answer.ts'
import { serviceText, tableText } from '../../src/cli/status/text.ts'
import { watch, type Display } from '../../src/cli/watch.ts'
import { whyText } from '../../src/cli/why/text.ts'
import { ask, backend, configOf, definitions, freePort, proxyPort, quiet, rigApp } from '../fixtures/app.ts'
import { fairlead } from '../fixtures/command.ts'
import { until } from '../fixtures/until.ts'

const wide = { color: false, width: Infinity }
const narrow = { color: false, width: 40 }
const colored = { color: true, width: Infinity }

/** A proxy with one service `web` whose one instance is dead, and its admin address. */
async function proxy(t: Pick<Test, 'teardown'>): Promise<{ readonly admin: string; readonly port: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-tell-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const services = join(folder, 'services.json')
  writeFileSync(services, definitions('web', [await freePort()]))
  const { app } = rigApp(
    t,
    configOf(
      `${quiet}catalog: { file: "${services}" }\nroutes: [{ service: web }, { path: /gone, service: gone }]\nservices: { web: { health: { mode: off } } }\n`,
    ),
  )
  await app.start()
  return { admin: app.addresses().admin ?? '', port: proxyPort(app) }
}

async function run(...args: readonly string[]): Promise<{ code: number | string; out: string; err: string }> {
  const command = fairlead(args)
  const code = await command.exit
  return { code, out: command.out(), err: command.err() }
}

t.test('as processes: what each says of a running proxy', async (t) => {
  const { admin, port } = await proxy(t)
  await ask(port, '/x', { headers: { 'x-request-id': 'r-1' } })
  const [status, one, json, why, never, history, problems, failing] = await Promise.all([
    run('status', '-a', admin),
    run('status', 'gone', '-a', admin),
    run('status', '--json', '-a', admin),
    run('why', 'r-1', '-a', admin),
    run('why', 'never', '-a', admin),
    run('history', 'web', '-n', '1', '-a', admin),
    run('problems', '-a', admin),
    run('problems', '--fail', '--json', '-a', admin),
  ])
  t.match(status, {
    code: 0,
    err: '',
    out: /^table \d+, 2 routes, 2 services, 1 problem \(fairlead problems tells\)\n\n/,
  })
  t.match(status.out, /\n {2}VERSION {2}SHARE {2}ENDPOINT {6}ADDRESS +STATE +WEIGHT {2}IN FLIGHT\n {2}1 +100 % {2}web-/)
  t.match(one, {
    code: 0,
    out: 'gone  0 in flight\n  */gone\n  weights from its instances (the default)\n  0 rules, not sticky, fallback others\n  no instance is registered: its routes answer 503\n',
  })
  t.match(JSON.parse(json.out), { routes: [{}, {}], services: [{}, {}] })
  t.match(why, {
    code: 0,
    err: '',
    out: /^r-1 .*\n {2}GET 127.0.0.1:\d+\/x\n {2}route \*\/ to web 1\n {2}answered 503 by the proxy/,
  })
  t.match(why.out, / lost: refused \(nothing of it was sent\)\n$/)
  t.match(await run('status', 'gonne', '-a', admin), {
    code: 1,
    err: /leads to a service of this name\. Did you mean gone\?\n$/,
  })
  t.match(never, { code: 1, out: '', err: /^fairlead: the proxy at .* says: No request of this id is kept\./ })
  t.match(history, { code: 0, out: /\n1 table of web listed; \d+ kept since / })
  t.match(problems, { code: 0, out: /^no-such-service {2}.*\n {2}.*\n\n1 problem\n$/ })
  t.match(failing, { code: 1, err: '' })
  t.match(JSON.parse(failing.out), { problems: [{ code: 'no-such-service' }] })
})

t.test('as a process: watching goes on until it is interrupted', async (t) => {
  const { admin } = await proxy(t)
  const command = fairlead(['status', '--watch', '-a', admin])
  t.teardown(() => command.child.kill('SIGKILL'))
  await until(() => command.out().split('table ').length > 2, { timeoutMs: 20_000 })
  t.notMatch(command.out(), '\u001b', 'no terminal: one below the other')
  command.child.kill('SIGINT')
  t.equal(await command.exit, 0)
  t.equal(command.err(), '')
})

t.test('misused, or nobody there', async (t) => {
  const [limit, missing, nobody] = await Promise.all([
    run('history', '--limit', '0'),
    run('why'),
    run('status', '--watch', '-a', '127.0.0.1:1'),
  ])
  t.match(limit, { code: 2, err: /It is a whole number from 1 to 1000/ })
  t.match(missing, { code: 2, err: /missing required argument/ })
  t.match(nobody, { code: 1, err: /^fairlead: no proxy answers at 127.0.0.1:1: nothing listens there/ })
})

t.test('health: what answers cannot steer a terminal', async (t) => {
  const port = await backend(t, (_, res) => void res.end('{"live":true}\n\u001b[2J\u202e'))
  t.same(await run('health', '-s', `127.0.0.1:${String(port)}`), {
    code: 0,
    out: '{"live":true}\n\\u001b[2J\\u202e',
    err: '',
  })
  t.match(await run('health', '-s', '127.0.0.1:1'), {
    code: 1,
    err: /^fairlead health: 127\.0\.0\.1:1 does not answer: nothing listens there; --status/,
  })
})

// === status ===

const endpoint = (handle: string, parts: Partial<EndpointStatus> = {}): EndpointStatus => ({
  handle,
  address: '10.0.0.1',
  port: 80,
  status: 'passing',
  weight: 1,
  inFlight: 0,
  health: { state: 'healthy', cause: null, applied: true },
  pipeliningPause: null,
  order: null,
  ...parts,
})

const shop: ServiceStatus = {
  name: 'shop',
  inFlight: 12,
  steering: {
    weights: { origin: 'kv:fairlead/services/shop', by: 'al\u001bce', revision: 3, over: ['config:services.shop'] },
    rules: 1,
    sticky: 'cookie fairlead',
    fallback: 'none',
  },
  routes: ['shop.example.com/', '/cart'],
  shared: [],
  ownWeights: [],
  mirrorings: [],
  versions: [
    {
      version: '9.7.0',
      weight: 90,
      share: 0.9,
      endpoints: [
        endpoint('shop-1', { inFlight: 10 }),
        endpoint('shop-2', { order: { kind: 'drain', until: '2024-05-01T12:00:00.000Z', by: 'alice' }, inFlight: 2 }),
        endpoint('shop-3', { health: { state: 'ejected', cause: 'refused', applied: false } }),
        endpoint('shop-4', { status: 'critical', weight: 0, health: null }),
      ],
    },
    {
      version: '9.8.0',
      weight: 10,
      share: 0.1,
      endpoints: [
        endpoint('shop-5', { health: { state: 'ejected', cause: 'silence', applied: true }, status: 'warning' }),
      ],
    },
    { version: '', weight: 0, share: 0, endpoints: [endpoint('shop-6', { health: null, address: '::1' })] },
  ],
}

t.test('status: why nothing is pipelined to an instance for now', async (t) => {
  const paused = [{ version: '1', weight: 1, share: 1, endpoints: [endpoint('shop-1', { pipeliningPause: 'slow' })] }]
  t.match(serviceText({ ...shop, versions: paused }, wide), 'healthy, not pipelined for now (slow)  ')
})

t.test('status: a table where it fits', async (t) => {
  t.equal(
    serviceText(shop, wide),
    `shop  12 in flight
  shop.example.com/, */cart
  weights from kv:fairlead/services/shop (revision 3 by al\\u001bce), over config:services.shop
  1 rule, sticky by cookie fairlead, fallback none
  VERSION  SHARE  ENDPOINT  ADDRESS      STATE                                        WEIGHT  IN FLIGHT
  9.7.0     90 %  shop-1    10.0.0.1:80  healthy                                           1         10
                  shop-2    10.0.0.1:80  drained by alice until 2024-05-01 12:00:00Z       1          2
                  shop-3    10.0.0.1:80  ejected (refused), only observed                  1          0
                  shop-4    10.0.0.1:80  critical                                          0          0
  9.8.0     10 %  shop-5    10.0.0.1:80  ejected (silence), warning in the catalog         1          0
  (none)     0 %  shop-6    [::1]:80     passing                                           1          0
  9.8.0 is not available: its 10 % go to nobody: 503 (fallback none)
`,
  )
})

t.test('status: who has the share of a version that cannot answer, and what goes elsewhere', async (t) => {
  const drain = { kind: 'drain', until: null, by: 'alice' } as const
  const group = (version: string, share: number, ...out: readonly boolean[]): ServiceStatus['versions'][number] => ({
    version,
    weight: 1,
    share,
    endpoints: out.map((one) => endpoint('x', { order: one ? drain : null })),
  })
  const linesOf = (parts: Partial<ServiceStatus>): readonly string[] =>
    serviceText({ ...shop, ...parts }, wide)
      .split('\n')
      .filter((line) => /^ {2}\S+( is |: | at )/.test(line))
  t.same(linesOf({ versions: [group('1', 0, true, true), group('2', 0.5, true, false), group('3', 0.5, false)] }), [
    '  1 is drained: its 33.3 % go to 2 and 3',
  ])
  t.same(linesOf({ versions: [group('1', 0), group('2', 0, true), group('', 1, false)] }), [
    '  1 is not available: its 33.3 % go to (none)',
    '  2 is drained: its 33.3 % go to (none)',
  ])
  const unweighed = [true, false].map((out) => ({ ...group('9', 0, out), weight: 0 }))
  t.same(linesOf({ versions: [...unweighed, group('1', 0, true), group('2', 1, false)] }), [
    '  1 is drained: its 50 % go to 2',
  ])
  t.same(linesOf({ versions: [group('1', 0, true)] }), ['  1 is drained: its 100 % go to nobody: 503'])
  const part = (service: string, version: string | null, share: number, standby = false): object => ({
    service,
    version,
    share,
    standby,
  })
  const shared = [
    {
      routes: ['/a', 'x.y/b'],
      parts: [part('shop', '1', 0), part('next', null, 0.25), part('eu', null, 0, true)],
      unanswered: 0.75,
    },
  ] as ServiceStatus['shared']
  const mirrorings = [{ routes: ['/'], version: '9\u001b', share: 0.1 }]
  const text = linesOf({ versions: [group('1', 0, true)], shared, mirrorings })
  t.same(text, [
    '  1 is drained: its 100 % go to other services, where they share or stand by (see below)',
    '  shared at */a, x.y/b: shop 1 0 %, next 25 %, else eu 0 %, nobody (503) 75 %',
    '  mirrored: 10 % of the safe requests to */ also go to 9\\u001b',
  ])
})

t.test('status: short lines where it does not, colour where it may be', async (t) => {
  const text = serviceText(shop, narrow)
  t.match(text, '  9.7.0  90 %\n    shop-1  10.0.0.1:80\n      healthy, weight 1, 10 in flight\n    shop-2')
  t.notMatch(text, '\u001b')
  const painted = serviceText(shop, colored)
  t.match(painted, '\u001b[31mcritical\u001b[0m')
  t.match(painted, '\u001b[33mdrained by alice')
  t.match(painted, '\u001b[31m10 %\u001b[0m', 'nobody of that version can answer')
  t.notMatch(painted, '\u001b[31m90 %')
  const [version] = shop.versions
  t.match(serviceText({ ...shop, versions: version ? [{ ...version, version: '\u001b[2J' }] : [] }, wide), '\\u001b[2J')
})

t.test('status: all of it', async (t) => {
  const none = { ...shop, name: 'none', routes: [], versions: [] }
  const many = { ...shop, routes: Array.from({ length: 10 }, (_, i) => `/${i}`) }
  const text = tableText({ version: 7, problems: 1, routes: 10, services: [many, none] }, wide)
  t.match(text, /^table 7, 10 routes, 2 services, 1 problem \(fairlead problems tells\)\n\nshop {2}12 in flight\n/)
  t.match(text, '*/7 and 2 more\n')
  t.match(
    text,
    /\n\nnone {2}12 in flight\n {2}no route leads here\n {2}weights.*\n.*\n {2}no instance is registered: its routes answer 503\n/,
  )
  const gone = { ...none, routes: ['/a', '/own'], shared: [{ routes: ['/a'], parts: [], unanswered: 0 }] }
  t.match(
    serviceText(gone, wide),
    '  no instance is registered: others have its requests (see below); */own answers 503\n',
  )
  t.match(
    serviceText({ ...gone, routes: ['/a'] }, wide),
    '  no instance is registered: others have its requests (see below)\n',
  )
  t.equal(tableText({ version: 1, problems: 0, routes: 0, services: [] }, wide), 'table 1, 0 routes, 0 services\n')
})

// === watch ===

function display(
  terminal: boolean,
  times: number,
  rows = 4,
): Display & { readonly shown: string[]; readonly end: AbortController } {
  const shown: string[] = []
  const end = new AbortController()
  return {
    terminal,
    rows: () => rows,
    shown,
    end,
    print: (text) => void shown.push(text),
    rest: async () => {
      if (shown.length >= times) end.abort()
    },
  }
}

t.test('watch: in place on a terminal, without what does not fit', async (t) => {
  const seen = display(true, 2)
  const texts = ['a\nb\n', '1\n2\n3\n4\n5\n']
  await watch(async () => texts.shift() ?? '', { display: seen, signal: seen.end.signal })
  t.same(seen.shown, [
    '\u001b[2J\u001b[Ha\u001b[K\nb\u001b[K\n\u001b[J',
    '\u001b[H1\u001b[K\n2\u001b[K\nand 3 more lines\u001b[K\n\u001b[J',
  ])
})

t.test('watch: elsewhere one below the other; what fails later is shown and it goes on', async (t) => {
  const seen = display(false, 3)
  let count = 0
  const show = async (): Promise<string> => {
    if (++count === 2) throw new Error('nobody there')
    return `${count}\n`
  }
  await watch(show, { display: seen, signal: seen.end.signal })
  t.same(seen.shown, ['1\n', '\nnobody there\n', '\n3\n'])
  const plain = display(true, 2)
  await watch(async () => '{}\n', { plain: true, display: plain, signal: plain.end.signal })
  t.same(plain.shown, ['{}\n', '{}\n'])
  const failing = watch(() => Promise.reject(new Error('nobody there')), {
    display: seen,
    signal: new AbortController().signal,
  })
  await t.rejects(failing, { message: 'nobody there' })
})

t.test('watch: nothing is shown once it is interrupted', async (t) => {
  const seen = display(false, 9)
  await watch(
    async () => {
      seen.end.abort()
      return 'late'
    },
    { display: seen, signal: seen.end.signal },
  )
  t.same(seen.shown, [])
})

// === why, history, problems ===

const request: RequestView = {
  id: 'r-1',
  at: '2024-05-01T12:03:07.123Z',
  count: 1,
  client: '10.9.9.9',
  method: 'GET',
  host: 'shop.example.com',
  target: '/cart\u001b[2J',
  route: 'shop.example.com/cart',
  service: 'shop',
  version: '9.8.0',
  status: 200,
  origin: 'upstream',
  cause: '',
  durationMs: 12.34,
  attemptsTotal: 2,
  attempts: [
    { handle: 'shop-1', address: '10.0.0.1', port: 80, version: '9.7.0', startedMs: 0, endedMs: 2, outcome: 'retried', reason: 'refused', reused: false, unsent: true }, // prettier-ignore
    { handle: 'shop-2', address: '10.0.0.2', port: 80, version: '9.8.0', startedMs: 2, endedMs: 12.34, outcome: 'answered', reason: '', reused: true, unsent: false }, // prettier-ignore
  ],
}

t.test('why: where it was tried and what came of it', async (t) => {
  t.equal(
    whyText(request, wide),
    `r-1  2024-05-01 12:03:07Z  from 10.9.9.9
  GET shop.example.com/cart\\u001b[2J
  route shop.example.com/cart to shop 9.8.0
  answered 200 by the service after 12.3 ms

#  ENDPOINT            VERSION  FROM       TO  CONNECTION  OUTCOME
1  shop-1 10.0.0.1:80  9.7.0    0 ms     2 ms  new         retried: refused (nothing of it was sent)
2  shop-2 10.0.0.2:80  9.8.0    2 ms  12.3 ms  reused      answered
`,
  )
  t.match(
    whyText(request, narrow),
    '1. shop-1 10.0.0.1:80 (9.7.0)\n   0 ms to 2 ms, new connection\n   retried: refused',
  )
  t.match(whyText(request, colored), '\u001b[33mretried: refused')
})

t.test('why: what more is known of an attempt', (t) => {
  const [first, second] = request.attempts
  if (!first || !second) throw new Error('no attempts')
  const detail = 'ERR_TLS_CERT_ALTNAME_INVALID: it is not for b.test; it is for DNS:a.test\u001b[2J'
  const text = whyText({ ...request, attempts: [{ ...first, reason: 'certificate', detail }, { ...second, detail: '' }] }, wide)
  t.ok(text.endsWith('answered\n1: ERR_TLS_CERT_ALTNAME_INVALID: it is not for b.test; it is for DNS:a.test\\u001b[2J\n'))
  t.end()
}) // prettier-ignore

t.test('why: how it ended', async (t) => {
  const ends: readonly (readonly [Partial<RequestView>, string])[] = [
    [{ cause: 'closed' }, 'cut after 12.3 ms, status 200: closed\n'],
    [{ status: 0, origin: 'proxy', cause: 'shutdown' }, 'cut after 12.3 ms, status 0: shutdown\n'],
    [{ status: 499, origin: 'proxy', cause: 'client-gone' }, 'the client left after 12.3 ms (499)\n'],
    [{ status: 502, origin: 'proxy', cause: 'closed' }, 'answered 502 by the proxy after 12.3 ms: closed\n'],
    [{ count: 3 }, '3 requests of this id had trouble; this is the last of them\n'],
    [{ attempts: [], attemptsTotal: 0 }, '\nIt was sent nowhere.\n'],
    [{ attemptsTotal: 5 }, '\nand 3 more attempts\n'],
    [{ service: '', version: '' }, '\n  no route\n'],
    [{ route: '' }, '\n  route (not known) to shop 9.8.0\n'],
  ]
  for (const [parts, text] of ends) t.match(whyText({ ...request, ...parts }, wide), text)
})

t.test('history: a block for each table', async (t) => {
  const view: HistoryView = {
    kept: 9,
    since: '2024-05-01T11:00:00.000Z',
    entries: [
      {
        at: '2024-05-01T12:03:07.123Z',
        table: 41,
        causes: [
          { kind: 'catalog', text: 'catalog consul: service shop (index 7)' },
          { kind: 'x', text: 'e\u001bvil' },
        ],
        changes: [{ services: ['shop'], text: 'service shop: +1 endpoint (9.8.0)' }],
        more: 0,
      },
      {
        at: '2024-05-01T12:00:00.000Z',
        table: 40,
        causes: [],
        changes: Array.from({ length: 25 }, (_, i) => ({ services: ['a'], text: `change ${i}` })),
        more: 10,
      },
    ],
  }
  const text = historyText(view, undefined, wide)
  t.ok(
    text.startsWith(`2024-05-01 12:03:07Z  table 41
  catalog consul: service shop (index 7); e\\u001bvil
    service shop: +1 endpoint (9.8.0)

2024-05-01 12:00:00Z  table 40
  no cause was told
    change 0
`),
    text,
  )
  t.ok(
    text.endsWith('    change 19\n    and 15 more changes\n\n2 tables listed; 9 kept since 2024-05-01 11:00:00Z\n'),
    text,
  )
  t.match(historyText(view, undefined, colored), '\u001b[1m2024-05-01 12:03:07Z\u001b[0m')
  t.equal(historyText({ kept: 0, since: null, entries: [] }, 'shop', wide), 'No change of shop is known.\n')
})

t.test('problems: each with what it is', async (t) => {
  const found = [{ code: 'bad-tag', where: 'consul:web-1 tag \u001b', message: 'it is bad' }]
  t.equal(problemsText(found, wide), 'bad-tag  consul:web-1 tag \\u001b\n  it is bad\n\n1 problem\n')
  t.match(problemsText(found, colored), '\u001b[33mbad-tag\u001b[0m')
  t.equal(problemsText([], wide), 'No problems.\n')
  const told = [{ code: 'versions-overridden', where: 'service web', message: 'hidden', notice: true as const }]
  t.equal(problemsText(told, wide), 'notice versions-overridden  service web\n  hidden\n\n0 problems\n')
  t.equal(problemCount([...told, ...found]), 1, 'what need not be mended is not counted')
})
