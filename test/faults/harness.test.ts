/** The harness itself: that it finds what it is there to find, and says nothing where there is nothing. */
import { createServer, type Server, type Socket } from 'node:net'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { AnswerReader } from './lib/answer-reader.ts'
import { answerBody, judgeBody } from './lib/answer.ts'
import { type Execution, logLine, parseLog, type Step } from './lib/backend-log.ts'
import { askOnce, mixed, type Outcome, type Sent, startLoad } from './lib/client.ts'
import { figuresOf, returnOf, throughput, timesOf, windows } from './lib/figures.ts'
import { heavyTailMs, tailMs } from './lib/heavy-tail.ts'
import { type Invariant, type Limits, type RunFacts, violations } from './lib/invariants.ts'
import { type Kill, type Ledger, parseLedger, reconcile } from './lib/ledger.ts'
import { metricIn, residentBytesIn, troublesIn } from './lib/proxy.ts'
import { seededRandom } from '../../src/core/random.ts'

const sentOf = (id: string, more: Partial<Sent> = {}): Sent => ({
  id,
  method: 'GET',
  path: '/work',
  startMs: 0,
  endMs: 5,
  outcome: 'good',
  status: 200,
  instance: 'web-1',
  retryAfter: undefined,
  detail: '',
  ...more,
})

const ran = (id: string, instance = 'web-1', method = 'GET', step: Step = 'answered'): Execution => ({
  id,
  method,
  instance,
  step,
})

t.test('an answer is read alike however it is split, and never before it is whole', async (t) => {
  const cases = [
    ['by length', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello', 'hello', true],
    ['chunked', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n', 'hello', true],
    ['after 1xx', 'HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx', 'x', true],
    ['closing', 'HTTP/1.1 503 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n', '', false],
  ] as const
  for (const [name, text, body, reusable] of cases) {
    const whole = new AnswerReader('GET').push(Buffer.from(text))
    t.match(whole, { body, reusable }, name)
    const reader = new AnswerReader('GET')
    const answers = text.split('').map((byte) => reader.push(Buffer.from(byte)))
    t.strictSame(answers.slice(0, -1).filter(Boolean), [], `${name}: not before its last byte`)
    t.match(answers.at(-1), { body, reusable }, `${name}, byte by byte`)
    for (let end = 0; end < text.length; end++) {
      const cut = new AnswerReader('GET')
      cut.push(Buffer.from(text.slice(0, end)))
      t.equal(cut.end(), undefined, `${name}, cut after ${end} bytes`)
    }
  }
  const head = new AnswerReader('HEAD').push(Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'))
  t.equal(head?.body, '')
  const close = new AnswerReader('GET')
  t.equal(close.push(Buffer.from('HTTP/1.1 200 OK\r\n\r\nhel')), undefined)
  t.match(close.end(), { body: 'hel', reusable: false })
})

t.test('what is no answer is not taken for one', async (t) => {
  const bad = [
    'nonsense\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy',
    'HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx',
    'HTTP/1.1 200 OK\r\nno header\r\n\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxyz\r\n',
  ]
  for (const text of bad) t.throws(() => new AnswerReader('GET').push(Buffer.from(text)), text)
})

t.test('a body tells who answered what, and that it is whole', async (t) => {
  const facts = { id: 'a-1', service: 'web', instance: 'web-2', method: 'POST', received: 7 }
  const expected = { id: 'a-1', service: 'web', method: 'POST', received: 7 }
  const body = answerBody(facts, 30)
  t.strictSame(judgeBody(body, expected), { kind: 'right', instance: 'web-2' })
  for (let end = 0; end < body.length; end++)
    t.not(judgeBody(body.slice(0, end), expected).kind, 'right', `${end} bytes`)
  t.equal(judgeBody(body, { ...expected, id: 'a-2' }).kind, 'wrong-request')
  t.equal(judgeBody(body, { ...expected, received: 8 }).kind, 'wrong-request')
  t.equal(judgeBody(body, { ...expected, method: 'GET' }).kind, 'wrong-request')
  t.equal(judgeBody(body, { ...expected, service: 'shop' }).kind, 'wrong-service')
})

t.test("a backend's log: each execution as far as it came, also when its last line is torn", async (t) => {
  const lines = [
    logLine('began', 'a', 'GET'),
    logLine('ran', 'a', 'GET'),
    logLine('began', 'b', 'POST'),
    logLine('answered', 'a', 'GET'),
    logLine('began', 'a', 'GET'),
    'r b PO',
  ]
  t.strictSame(parseLog(lines.join(''), 'web-1'), [
    ran('a', 'web-1', 'GET', 'answered'),
    ran('b', 'web-1', 'POST', 'began'),
    ran('a', 'web-1', 'GET', 'began'),
  ])
  t.strictSame(parseLog('', 'web-1'), [])
  t.throws(() => parseLog('x a GET\n', 'web-1'), /web-1 logged/)
  t.throws(() => parseLog('r a GET\n', 'web-1'), /without its beginning/)
})

/** A server that does the same to each connection; ended with its test. */
async function serverThat(t: Test, handle: (socket: Socket, head: string, nth: number) => void): Promise<number> {
  let connections = 0
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    const nth = connections++
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: Buffer) => handle(socket, chunk.toString('latin1'), nth))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

const idIn = (head: string): string => /x-check-id: (\S+)/i.exec(head)?.[1] ?? ''

function good(head: string, more: Partial<Parameters<typeof answerBody>[0]> = {}): string {
  const method = head.slice(0, head.indexOf(' '))
  const received = head.length - head.indexOf('\r\n\r\n') - 4
  const body = answerBody({ id: idIn(head), service: 'web', instance: 'web-1', method, received, ...more })
  return `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`
}

t.test('the client writes down what became of each request, and never sends one again', async (t) => {
  const cases: readonly (readonly [Outcome, (socket: Socket, head: string) => void])[] = [
    ['good', (socket, head) => void socket.write(good(head))],
    ['status', (socket) => void socket.write('HTTP/1.1 503 No\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n')],
    ['cut', (socket, head) => void socket.end(good(head).slice(0, -3))],
    ['cut', (socket) => void socket.end('HTTP/1.1 2')],
    ['no-answer', (socket) => void socket.end()],
    ['no-answer', (socket) => void socket.resetAndDestroy()],
    ['invalid', (socket) => void socket.write('garbage\r\n\r\n')],
    ['wrong-request', (socket, head) => void socket.write(good(head, { id: 'another' }))],
    ['wrong-service', (socket, head) => void socket.write(good(head, { service: 'shop' }))],
    ['short', (socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhe')],
    ['timeout', () => {}],
  ]
  for (const [outcome, handle] of cases) {
    const heads: string[] = []
    const port = await serverThat(t, (socket, head) => {
      heads.push(head)
      handle(socket, head)
    })
    const sent = await askOnce(port, {}, { timeoutMs: 200 })
    t.equal(sent.outcome, outcome, sent.detail)
    t.equal(heads.length, 1, `${outcome}: sent once`)
    t.equal(idIn(heads[0] ?? ''), sent.id)
    if (outcome === 'status') t.match(sent, { status: 503, retryAfter: '1' })
  }
  t.equal((await askOnce(1)).outcome, 'no-connection')
})

t.test('a load: bounded, paced, mixed, over connections that are kept', async (t) => {
  const methods: string[] = []
  let opened = 0
  const port = await serverThat(t, (socket, head, nth) => {
    opened = Math.max(opened, nth + 1)
    methods.push(head.slice(0, head.indexOf(' ')))
    socket.write(good(head))
  })
  const load = startLoad({ port, connections: 3, requests: 50, ask: mixed() })
  await load.done
  t.equal(load.sent.length, 50)
  t.equal(new Set(load.sent.map(({ id }) => id)).size, 50, 'each with an id of its own')
  t.equal(methods.filter((method) => method === 'POST').length, 10, 'a fifth of them POSTs')
  t.equal(opened, 3)
  t.ok(load.sent.every(({ outcome }) => outcome === 'good'))
  t.equal(load.underWay(), 0)

  const begunMs = performance.now()
  const paced = startLoad({ port, connections: 2, rate: 100, requests: 11 })
  await paced.done
  const times = paced.sent.map(({ startMs }) => startMs).toSorted((a, b) => a - b)
  // A timer may be a millisecond early, and a busy machine makes all of them late.
  t.ok(
    times.every((atMs, index) => atMs >= begunMs + index * 10 - 2),
    'none before its time, at a hundred per second',
  )
  const stopped = startLoad({ port, connections: 2, rate: 0.001 })
  await stopped.stop()
  t.ok(stopped.sent.length <= 2, 'a load at rest ends when it is told to')
})

t.test('a slow upload arrives in pieces, whole', async (t) => {
  let text = ''
  let pieces = 0
  const port = await serverThat(t, (socket, chunk) => {
    text += chunk
    pieces++
    if (text.length - text.indexOf('\r\n\r\n') - 4 === 1_005) socket.write(good(text))
  })
  const sent = await askOnce(port, { method: 'POST', bodyBytes: 1_005, bodyOverMs: 40 })
  t.equal(sent.outcome, 'good', sent.detail)
  t.ok(pieces > 5, `${pieces} pieces`)
})

t.test('a load that is stopped abandons what is never answered', async (t) => {
  const port = await serverThat(t, () => {})
  const load = startLoad({ port, connections: 2 })
  await load.stop(50)
  t.strictSame(
    load.sent.map(({ outcome }) => outcome),
    ['abandoned', 'abandoned'],
  )
})

t.test('figures count by what happened, and by what backends saw', async (t) => {
  const sent = [
    sentOf('a', { endMs: 40 }),
    sentOf('b', { method: 'POST', outcome: 'status', status: 502, endMs: 90 }),
    sentOf('c', { outcome: 'cut' }),
    sentOf('d', { outcome: 'abandoned' }),
    sentOf('e', { method: 'POST' }),
  ]
  const executions = [
    ran('a'),
    ran('a', 'web-2'),
    ran('e', 'web-1', 'POST'),
    ran('c'),
    ran('c', 'web-2'),
    ran('e', 'web-2', 'POST'),
    ran('probe'),
    ran('probe'),
  ]
  t.match(figuresOf(sent, executions), {
    requests: 5,
    good: 2,
    failedSafe: 1,
    failedUnsafe: 1,
    outcomes: { good: 2, status: 1, cut: 1, abandoned: 1 },
    seenTwice: 3,
    postsSeenTwice: 1,
    seenMost: 2,
    slowestSafeMs: 40,
    slowestMs: 90,
  })
})

t.test('throughput, windows, and times after a fault', async (t) => {
  // One good answer each 10 ms; after the fault at 1,000 half of them for a second.
  const sent = Array.from({ length: 300 }, (_, at) =>
    sentOf(String(at), { startMs: at * 10, endMs: at * 10 + 1 }),
  ).filter(({ startMs }, at) => startMs < 1_000 || startMs >= 2_000 || at % 2 === 0)
  t.equal(throughput(sent, 0, 1_000), 100)
  t.equal(throughput(sent, 5, 5), 0)
  t.strictSame(windows(sent, 0, 500), [50, 50, 25, 25, 50, 50])
  const fault = { what: 'kill', atMs: 1_000, endMs: undefined }
  const late = sentOf('late', { outcome: 'status', startMs: 1_100, endMs: 1_250 })
  const times = timesOf([...sent, late, sentOf('end', { endMs: 3_000 })], [fault])
  t.match(times, { errorWindowMs: 250, firstSecond: 0.5, nextSecond: 1 })
  t.match(timesOf([late], []), { errorWindowMs: 0, firstSecond: NaN })
  t.equal(
    timesOf([sentOf('early', { outcome: 'cut', endMs: 10 })], [fault]).errorWindowMs,
    Infinity,
    'before any fault',
  )
})

t.test('when throughput is back after a fault', async (t) => {
  const run = (share: (ms: number) => number): ReturnType<typeof returnOf> => {
    const sent = Array.from({ length: 600 }, (_, at) => sentOf(String(at), { startMs: at * 10, endMs: at * 10 + 1 }))
    return returnOf(
      sent.filter(({ startMs }, at) => (at % 10) / 10 < share(startMs - 3_000)),
      3_000,
      0.75,
    )
  }
  t.equal(run(() => 1).backMs, 0, 'it never fell')
  const fell = run((ms) => (ms < 0 || ms >= 800 ? 0.8 : ms < 200 ? 0.7 : 0))
  t.strictSame(
    fell.shares.slice(0, 10).map((share) => Number(share.toFixed(2))),
    [0.88, 0.88, 0, 0, 0, 0, 0, 0, 1, 1],
  )
  t.equal(fell.backMs, 700, 'from there on five slices have it on average')
  t.equal(run((ms) => (ms < 0 ? 1 : 0.7)).backMs, Infinity)
})

const calm: RunFacts = {
  sent: Array.from({ length: 40 }, (_, at) => sentOf(`s${at}`, { startMs: at, endMs: at + 5 })),
  executions: Array.from({ length: 40 }, (_, at) => ran(`s${at}`)),
  faults: [{ what: 'kill', atMs: 10, endMs: undefined }],
  before: { descriptors: 30, residentBytes: 1e8 },
  after: { descriptors: 32, residentBytes: 1.2e8 },
  troubles: [],
}

t.test('each invariant is found broken when it is, and only then', async (t) => {
  const withSent = (...more: Sent[]): RunFacts => ({ ...calm, sent: [...more, ...calm.sent] })
  const withRuns = (...more: Execution[]): RunFacts => ({ ...calm, executions: [...calm.executions, ...more] })
  const post = { method: 'POST', endMs: 15 } as const
  const cases: readonly (readonly [string, RunFacts, Limits, readonly Invariant[]])[] = [
    ['calm', calm, {}, []],
    ['another service', withSent(sentOf('x', { outcome: 'wrong-service' })), { failedSafeMax: 1 }, ['wrong-service']],
    ['another request', withSent(sentOf('x', { outcome: 'wrong-request' })), { failedSafeMax: 1 }, ['wrong-service']],
    ['short', withSent(sentOf('x', { outcome: 'short' })), { failedSafeMax: 1 }, ['looks-whole']],
    [
      'also what is exempt',
      withSent(sentOf('x', { outcome: 'short' })),
      { exempt: () => true, goodTail: 0 },
      ['looks-whole'],
    ],
    ['a GET fails', withSent(sentOf('x', { outcome: 'cut' })), {}, ['error-window']],
    ['a GET fails, as it may', withSent(sentOf('x', { outcome: 'cut' })), { failedSafeMax: 1 }, []],
    ['a GET fails, exempt', withSent(sentOf('x', { outcome: 'cut' })), { exempt: ({ id }) => id === 'x' }, []],
    ['a POST fails', withSent(sentOf('x', { ...post, outcome: 'status' })), {}, []],
    [
      'a POST must not',
      withSent(sentOf('x', { ...post, outcome: 'status' })),
      { failedUnsafeMax: 0 },
      ['error-window'],
    ],
    [
      'late',
      withSent(sentOf('x', { ...post, outcome: 'cut', endMs: 900 })),
      { errorWindowMsMax: 100 },
      ['error-window'],
    ],
    ['abandoned', withSent(sentOf('x', { outcome: 'abandoned' })), {}, []],
    ['a GET twice', withRuns(ran('s1', 'web-2')), {}, []],
    ['a GET thrice', withRuns(ran('s1', 'web-2'), ran('s1', 'web-3')), {}, ['at-most-once']],
    ['too many twice', withRuns(ran('s1', 'web-2')), { seenTwiceShareMax: 0.01 }, ['at-most-once']],
    [
      'a POST twice',
      { ...withSent(sentOf('x', post)), executions: [ran('x', 'a', 'POST'), ran('x', 'b', 'POST')] },
      {},
      ['at-most-once'],
    ],
    [
      'a PUT twice',
      {
        ...withSent(sentOf('x', { ...post, method: 'PUT' })),
        executions: [ran('x', 'a', 'PUT'), ran('x', 'b', 'PUT')],
      },
      {},
      [],
    ],
    ['a leak', { ...calm, after: { ...calm.after, descriptors: 50 } }, {}, ['footprint']],
    ['memory', { ...calm, after: { ...calm.after, residentBytes: 1e9 } }, {}, ['footprint']],
    ['a fault of ours', { ...calm, troubles: ['boom'] }, {}, ['fault-of-ours']],
    [
      'no recovery',
      { ...calm, sent: [...calm.sent, sentOf('x', { outcome: 'status', startMs: 99 })] },
      { failedSafeMax: 1 },
      ['recovery'],
    ],
    ['nothing sent', { ...calm, sent: [] }, {}, ['recovery']],
  ]
  for (const [name, facts, limits, expected] of cases) {
    const found = violations(facts, limits)
    t.strictSame(
      found.map(({ invariant }) => invariant),
      expected,
      `${name}: ${found.map(({ text }) => text).join('; ')}`,
    )
  }
  const [told] = violations(withSent(sentOf('x-7', { outcome: 'status', status: 502, detail: 'error=refused' })))
  t.equal(told?.text, '1 safe requests failed (at most 0): x-7 GET status 502 after 5 ms error=refused')
})

const kill: Kill = {
  service: 'web',
  address: '127.0.0.1',
  port: 9_001,
  signal: 'refused',
  inFlight: 3,
  rescued: 1,
  retried: 1,
  lost: 1,
  lostRequests: [{ id: 'p', method: 'POST', reason: 'closed', unsent: false }],
  consulKnewAfterMs: undefined,
}

t.test('the ledger is held against what happened', async (t) => {
  const facts = {
    sent: [sentOf('a'), sentOf('b'), sentOf('p', { method: 'POST', outcome: 'status', status: 502 })],
    executions: [ran('a'), ran('a', 'web-2'), ran('b'), ran('b', 'web-2'), ran('p', 'web-1', 'POST')],
    victims: [{ name: 'web-1', host: '127.0.0.1', port: 9_001 }],
  }
  const ledger = (...kills: Kill[]): Ledger => ({ kills, strays: [], strayRescued: 0 })
  const lost = (...names: string[]): Pick<Kill, 'lost' | 'lostRequests'> => ({
    lost: names.length,
    lostRequests: names.map((id) => ({ id, method: id === 'p' ? 'POST' : 'GET', reason: 'closed', unsent: false })),
  })
  const cases: readonly (readonly [string, Ledger, Partial<typeof facts>, readonly RegExp[]])[] = [
    ['as it was', ledger(kill), {}, []],
    ['nothing told', ledger(), {}, [/1 of 1 failed .* no entry: p/, /death of web-1/, /2 requests twice.*knows of 0/]],
    ['the lost one is missing', ledger({ ...kill, ...lost() }), {}, [/no entry: p/]],
    ['counted, though no longer named', ledger({ ...kill, lostRequests: [] }), {}, []],
    [
      'told as lost, and was not',
      ledger({ ...kill, ...lost('p', 'a') }),
      {},
      [/2 are told as lost, and 1/, /answered well: a/],
    ],
    ['a stranger', ledger({ ...kill, ...lost('p', 'z') }), {}, [/2 are told/, /never sent: z/]],
    ['twice', ledger({ ...kill, ...lost('p', 'p') }), {}, [/2 are told/, /lost in two entries/]],
    [
      'a wrong method',
      ledger({ ...kill, lostRequests: [{ id: 'p', method: 'PUT', reason: '', unsent: false }] }),
      {},
      [/p was a POST/],
    ],
    [
      'told as never sent, and was seen',
      ledger({ ...kill, lostRequests: [{ id: 'p', method: 'POST', reason: '', unsent: true }] }),
      {},
      [/never sent were seen by backends: p/],
    ],
    ['a stray', { kills: [{ ...kill, ...lost() }], strays: kill.lostRequests, strayRescued: 0 }, {}, [/no entry: p/]],
    [
      'a false alarm',
      ledger(kill, { ...kill, port: 9_002, ...lost() }),
      {},
      [/1 entries for endpoints that lived: 9002 refused/],
    ],
    ['repeats nobody told', ledger({ ...kill, rescued: 0 }), {}, [/2 requests twice, and the ledger knows of 1/]],
    ['repeats of one that lived on', { ...ledger({ ...kill, rescued: 0 }), strayRescued: 1 }, {}, []],
    ['probes do not count', ledger(kill), { executions: [...facts.executions, ran('-'), ran('-')] }, []],
    ['nobody died', ledger(), { sent: [sentOf('a')], executions: [ran('a')], victims: [] }, []],
  ]
  for (const [name, told, more, expected] of cases) {
    const problems = reconcile(told, { ...facts, ...more })
    t.equal(problems.length, expected.length, `${name}: ${problems.join('; ')}`)
    for (const [at, pattern] of expected.entries()) t.match(problems[at] ?? '', pattern, name)
  }
  const strays = { kills: [], strays: kill.lostRequests, strayRescued: 0 }
  t.strictSame(reconcile(strays, { ...facts, executions: [], unseenMax: 1 }), [], 'a death seen as a leave')
  t.strictSame(reconcile(ledger(), { ...facts, executions: [], exempt: () => true, unseenMax: 1 }), [])
  t.strictSame(reconcile(ledger({ ...kill, ...lost() }), { ...facts, exempt: () => true }), [])
  t.strictSame(reconcile(ledger(kill, { ...kill, port: 1, ...lost() }), { ...facts, falseAlarmsMax: 1 }), [])
})

t.test('the answer of /v1/kills is read, and another shape is refused', async (t) => {
  const lost = {
    total: 1,
    byMethod: { POST: 1 },
    requests: [{ id: 'p', method: 'POST', reason: 'closed', unsent: false }],
  }
  const { lostRequests: _, ...plain } = kill
  const json = {
    totals: { strayRescued: 3 },
    strays: [{ id: 'q', method: 'GET', reason: 'reset' }],
    kills: [{ ...plain, lost, consulKnewAfterMs: null }],
  }
  t.strictSame(parseLedger(JSON.parse(JSON.stringify(json))), {
    strayRescued: 3,
    kills: [kill],
    strays: [{ id: 'q', method: 'GET', reason: 'reset', unsent: false }],
  })
  t.equal(parseLedger({ ...json, kills: [{ ...plain, lost, consulKnewAfterMs: 40 }] }).kills[0]?.consulKnewAfterMs, 40)
  t.throws(() => parseLedger({ kills: [], totals: { strayRescued: 0 } }), /strays is no list/)
  t.throws(() => parseLedger({ ...json, kills: undefined }), /kills is no list/)
  t.throws(() => parseLedger({ ...json, kills: [{ ...plain, lost: 1 }] }), /lost is 1/)
  t.throws(() => parseLedger({ ...json, kills: [{ ...plain, lost, rescued: undefined }] }), /rescued is no count/)
  t.throws(() => parseLedger(null), /it is null/)
})

t.test('what is read of the process', async (t) => {
  const text = 'a_total{x="1",y="2"} 3\na_total{x="1",y="3"} 4\na_total_more{x="1"} 50\nb 6\n'
  t.equal(metricIn(text, 'a_total', ''), 7)
  t.equal(metricIn(text, 'a_total', 'y="3"'), 4)
  t.equal(metricIn(text, 'b', ''), 6)
  t.equal(metricIn(text, 'c', ''), undefined)
  t.equal(residentBytesIn('Name:\tnode\nVmRSS:\t   100 kB\n'), 102_400)
  const fault = { level: 'error', msg: 'a fault of ours ends this process: boom' }
  t.strictSame(troublesIn([{ level: 'warn', msg: 'all is well' }, {} as never], '', null), [])
  t.equal(troublesIn([fault], 'Warning: leak', 1).length, 3)
})

t.test('heavy tails: the median is 20 ms, one in a thousand is the tail', async (t) => {
  const random = seededRandom(7)
  const all = Array.from({ length: 20_000 }, () => heavyTailMs(random)).sort((a, b) => a - b)
  const median = all[10_000] ?? 0
  t.ok(median > 18 && median < 22, String(median))
  const tail = all.filter((ms) => ms === tailMs).length
  t.ok(tail >= 10 && tail <= 35, String(tail))
  t.ok((all[0] ?? 0) > 0)
})
