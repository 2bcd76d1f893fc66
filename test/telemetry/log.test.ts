/** Lines of the log and the access log: shape, modes, what hostile text becomes, and what a person sees. */
import fc from 'fast-check'
import t from 'tap'
import type { RequestRecord } from '../../src/proxy/options.ts'
import { accessLine, createAccessLog } from '../../src/telemetry/access-log.ts'
import { escapeField } from '../../src/telemetry/escape.ts'
import type { LineWriter } from '../../src/telemetry/line-writer.ts'
import { createLogger } from '../../src/telemetry/log.ts'
import { prettyLine } from '../../src/telemetry/pretty.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'

const record: RequestRecord = {
  requestId: 'r-1',
  clientAddress: '10.0.0.1',
  method: 'GET',
  host: 'shop.example.com',
  target: '/cart?a=1',
  status: 200,
  origin: 'upstream',
  service: 'shop',
  version: '9.8.0',
  endpoint: '10.0.0.9:80',
  handle: 'shop-1',
  attempts: 1,
  durationMs: 1.23456,
  bytesReceived: 0,
  bytesSent: 64,
  cause: '',
}

function collector(room = Infinity): { lines: string[]; writer: LineWriter } {
  const lines: string[] = []
  return {
    lines,
    writer: {
      write: (line) => lines.length < room && lines.push(line) > 0,
      dropped: () => 0,
      flush: () => Promise.resolve(true),
    },
  }
}

t.test('an access line is one line of JSON with every field of the record', async (t) => {
  const line = accessLine(record, '2026-01-02T03:04:05.678Z')
  t.ok(line.endsWith('}\n'))
  t.same(JSON.parse(line), {
    level: 'access',
    time: '2026-01-02T03:04:05.678Z',
    id: 'r-1',
    client: '10.0.0.1',
    method: 'GET',
    host: 'shop.example.com',
    target: '/cart?a=1',
    status: 200,
    origin: 'upstream',
    service: 'shop',
    version: '9.8.0',
    endpoint: '10.0.0.9:80',
    handle: 'shop-1',
    attempts: 1,
    ms: 1.235,
    in: 0,
    out: 64,
    cause: '',
  })
})

t.test('whatever stands in a field, the line stays one harmless line that parses back', async () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
      const line = accessLine({ ...record, target: text, cause: text }, 'now')
      const bad =
        // oxlint-disable-next-line no-control-regex -- the control characters are the point
        /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029]/.test(line) || line.indexOf('\n') !== line.length - 1
      const parsed = JSON.parse(line) as { target: string; cause: string }
      return !bad && parsed.target === text && parsed.cause === text
    }),
    { numRuns: 500 },
  )
})

t.test('long fields are cut, and the cut shows', async (t) => {
  const parsed = JSON.parse(accessLine({ ...record, target: `/${'a'.repeat(9_000)}` }, 'now')) as { target: string }
  t.equal(parsed.target.length, 2_049)
  t.ok(parsed.target.endsWith('\u2026'))
  t.equal(escapeField('a\u2028b\u2029c\ud800d'), 'a\\u2028b\\u2029c\\ud800d')
  t.equal(escapeField('\u007f\u0085"\\\n'), '\\u007f\\u0085\\"\\\\\\u000a')
})

t.test('modes', async (t) => {
  const { lines, writer } = collector()
  const log = createAccessLog({ writer, clock: new FakeClock(), pretty: false })
  t.equal(log.observer('off'), undefined, 'nobody listens, so no records are made')
  log.observer('all')?.requestDone(record)
  t.equal(lines.length, 1)
  const errors = log.observer('errors')
  errors?.requestDone(record)
  errors?.requestDone({ ...record, status: 404 })
  t.equal(lines.length, 1, 'the application may answer 404 as it likes')
  errors?.requestDone({ ...record, status: 502, origin: 'proxy', cause: 'connection_refused' })
  errors?.requestDone({ ...record, status: 499 })
  errors?.requestDone({ ...record, status: 404, origin: 'proxy', cause: 'no_route' })
  errors?.requestDone({ ...record, status: 0 })
  errors?.requestDone({ ...record, cause: 'upstream_cut' })
  t.equal(lines.length, 6)
})

t.test('times follow the clock, to the millisecond', async (t) => {
  const { lines, writer } = collector()
  const clock = new FakeClock()
  const log = createAccessLog({ writer, clock, pretty: false })
  const seen: string[] = []
  for (const step of [0, 7, 993, 1_500]) {
    clock.advance(step)
    log.observer('all')?.requestDone(record)
    const { time } = JSON.parse(lines.at(-1) ?? '') as { time: string }
    t.equal(time, new Date(clock.wall()).toISOString())
    seen.push(time)
  }
  t.equal(new Set(seen).size, 4)
})

t.test('lines that find no room are counted', async (t) => {
  const { writer } = collector(1)
  const log = createAccessLog({ writer, clock: new FakeClock(), pretty: false })
  for (let i = 0; i < 3; i++) log.observer('all')?.requestDone(record)
  t.equal(log.dropped(), 2)
})

t.test('the log: JSON with level word and ISO time, levels that change, escaped text', async (t) => {
  const { lines, writer } = collector()
  const log = createLogger({ writer, level: 'info', pretty: false })
  log.debug({}, 'unseen')
  log.info({ service: 'web\u0085' }, 'route added')
  t.equal(lines.length, 1)
  t.notOk(lines[0]?.includes('\u0085'))
  const parsed = JSON.parse(lines[0] ?? '') as Record<string, string>
  t.match(parsed, { level: 'info', msg: 'route added', service: 'web\u0085' })
  t.match(parsed['time'], /^\d{4}-.*Z$/)
  t.same(Object.keys(parsed).toSorted(), ['level', 'msg', 'service', 'time'])
  log.setLevel('debug')
  log.debug({}, 'seen')
  t.equal(lines.length, 2)
})

t.test('for a person: time, level, sentence, fields; no control character reaches the terminal', async (t) => {
  const { lines, writer } = collector()
  const log = createLogger({ writer, level: 'info', pretty: true })
  log.warn({ service: 'web', instances: 3, name: '\u001b[31m' }, 'the catalog is away')
  t.match(lines[0], /^\d\d:\d\d:\d\d\.\d{3} warn {3}the catalog is away service=web instances=3 name=\\u001b\[31m\n$/)
  log.error({ err: new Error('boom') }, 'failed')
  t.match(lines[1], /error {2}failed err=Error: boom\n {4,}at /, 'an error shows its stack')
  t.match(prettyLine('{"level":"error","msg":"x"}\n', true), '\u001b[31m')
  t.equal(prettyLine('not json\u0007\n', false), 'not json\\u0007\n')
  t.equal(
    prettyLine(accessLine(record, '2026-01-02T03:04:05.678Z'), false),
    '03:04:05.678 access 10.0.0.1 GET shop.example.com/cart?a=1 -> 200 1.235ms shop 9.8.0 10.0.0.9:80\n',
  )
  t.match(
    prettyLine(
      accessLine({ ...record, service: '', endpoint: '', attempts: 0, status: 404, cause: 'no_route' }, ''),
      false,
    ),
    / -> 404 1\.235ms - - attempts=0 no_route\n$/,
  )
})
