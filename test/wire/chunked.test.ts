import fc from 'fast-check'
import t from 'tap'
import { ChunkedDecoder, chunkHeader, lastChunk } from '../../src/wire/chunked.ts'
import { defaultWireLimits, type WireLimits } from '../../src/wire/limits.ts'
import { Refusal } from '../../src/wire/syntax.ts'
import { cut, nearlyHttp, places } from '../fixtures/heads.ts'

interface Outcome {
  body: string
  /** `rule` of the refusal, `done`, or `more`. */
  state: string
  trailers: string
  /** Bytes used, counted over all pieces; -1 after a refusal. */
  used: number
  total: number
}

function decode(pieces: readonly string[], limits: Partial<WireLimits> = {}): Outcome {
  const decoder = new ChunkedDecoder({ ...defaultWireLimits, ...limits })
  let body = ''
  let used = 0
  const sink = { onChunk: (bytes: Buffer): void => void (body += bytes.toString('latin1')) }
  for (const piece of pieces) {
    // Two bytes before it, so that an index that forgets where it began is noticed.
    const at = decoder.decode(Buffer.from(`??${piece}`, 'latin1'), 2, sink)
    if (at instanceof Refusal) {
      if (at.status !== 400) throw new Error(`status ${at.status}`)
      return { body, state: at.rule, trailers: '', used: -1, total: body.length }
    }
    used += at - 2
    if (decoder.done) break
    if (at - 2 !== piece.length) throw new Error(`stopped at ${at - 2} of ${piece.length}`)
  }
  const { done, trailers, total } = decoder
  return { body, state: done ? 'done' : 'more', trailers, used, total }
}

const bytes = (text: string): string[] => Array.from(text)

interface Sample {
  readonly name: string
  readonly text: string
  readonly state: string
  readonly body?: string
  readonly trailers?: string
  readonly limits?: Partial<WireLimits>
}

const done = (name: string, text: string, body: string, trailers = ''): Sample => ({
  name,
  text,
  state: 'done',
  body,
  trailers,
})
const bad = (name: string, text: string, state: string, limits?: Partial<WireLimits>): Sample =>
  limits ? { name, text, state, limits } : { name, text, state }

const samples: readonly Sample[] = [
  done('nothing', '0\r\n\r\n', ''),
  done('zeros', '000\r\n\r\n', ''),
  done('sixteen zeros', `${'0'.repeat(16)}\r\n\r\n`, ''),
  done('one chunk', '3\r\nabc\r\n0\r\n\r\n', 'abc'),
  done('two chunks', '3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n', 'abcd'),
  done(
    'hexadecimal, both cases',
    `a\r\n${'x'.repeat(10)}\r\nB\r\n${'y'.repeat(11)}\r\n0\r\n\r\n`,
    'x'.repeat(10) + 'y'.repeat(11),
  ),
  done('leading zeros', '0000000000000003\r\nabc\r\n0\r\n\r\n', 'abc'),
  done('data that looks like an end', '7\r\n0\r\n\r\nab\r\n0\r\n\r\n', '0\r\n\r\nab'),
  done('extension without value', '3;a\r\nabc\r\n0\r\n\r\n', 'abc'),
  done('extension with a token', '3;a=b\r\nabc\r\n0;c=d\r\n\r\n', 'abc'),
  done('extension with a quoted string', '3;a="b;\\"\xe9 ="\r\nabc\r\n0\r\n\r\n', 'abc'),
  done('extensions with bad white space', '3 ; a = b\t;c\r\nabc\r\n0\r\n\r\n', 'abc'),
  done('trailers', '0\r\nX-A: b\r\nx-c:d\r\n\r\n', '', 'X-A: b\r\nx-c:d\r\n'),
  done(
    'trailers that must not be',
    '0\r\nContent-Length: 5\r\nX-A: b\r\nCookie: c\r\nx_forwarded_for: 1\r\nVia: 1.1 a\r\n\r\n',
    '',
    'X-A: b\r\n',
  ),
  bad('size: empty', '\r\n', 'chunk-size'),
  bad('size: no digit', 'g\r\n', 'chunk-size'),
  bad('size: hexadecimal prefix', '0x5\r\nabcde\r\n', 'chunk-size'),
  bad('size: sign', '+5\r\n', 'chunk-size'),
  bad('size: minus', '-5\r\n', 'chunk-size'),
  bad('size: blank before', ' 5\r\n', 'chunk-size'),
  bad('size: blank after', '5 \r\n', 'chunk-extension'),
  bad('size: underscore', '5_\r\n', 'chunk-size'),
  bad('size: bare LF', '5\nabcde', 'chunk-size'),
  bad('size: CR and no LF', '5\rabcde', 'chunk-size-end'),
  bad('size: nine significant digits', '100000000\r\n', 'chunk-size-overflow'),
  bad('size: beyond 2^64', 'f0000000000000003\r\n', 'chunk-size-overflow'),
  bad('size: seventeen digits', `${'0'.repeat(17)}\r\n`, 'chunk-size-digits'),
  bad('size: NUL', '5\0\r\n', 'chunk-size'),
  bad('extension: lone semicolon', '5;\r\nabcde', 'chunk-extension'),
  bad('extension: no name', '5;=b\r\nabcde', 'chunk-extension'),
  bad('extension: no value', '5;a=\r\nabcde', 'chunk-extension'),
  bad('extension: open quote', '5;a="b\r\nabcde', 'chunk-extension'),
  bad('extension: bare LF', '5;a=b\nabcde\r\n', 'chunk-extension'),
  bad('extension: control character', '5;a=\x01\r\nabcde', 'chunk-extension'),
  bad('extension: CR and no LF', '5;a=b\rX', 'chunk-size-end'),
  bad('extension: bytes of one', `5;${'a'.repeat(20)}\r\nabcde`, 'chunk-extension-bytes', { chunkExtensionBytes: 20 }),
  bad('extension: bytes of all together', `${'1;aaaa\r\nx\r\n'.repeat(5)}0\r\n\r\n`, 'chunk-extension-bytes', {
    chunkExtensionBytes: 20,
  }),
  bad('data: longer than said', '3\r\nabcd\r\n', 'chunk-end'),
  bad('data: shorter than said', '3\r\nab\r\n0\r\n\r\n', 'chunk-end'),
  bad('data: LF alone', '3\r\nabc\n0\r\n\r\n', 'chunk-end'),
  bad('data: CR alone', '3\r\nabc\r0\r\n\r\n', 'chunk-end'),
  bad('trailer: no colon', '0\r\nabc\r\n\r\n', 'trailer'),
  bad('trailer: no name', '0\r\n: b\r\n\r\n', 'trailer'),
  bad('trailer: blank before the colon', '0\r\na : b\r\n\r\n', 'trailer'),
  bad('trailer: folded', '0\r\na: b\r\n c\r\n\r\n', 'trailer'),
  bad('trailer: bare LF', '0\r\na: b\nc: d\r\n\r\n', 'trailer'),
  bad('trailer: bare CR', '0\r\na: b\rc: d\r\n\r\n', 'trailer'),
  bad('trailer: control character', '0\r\na: \x02\r\n\r\n', 'trailer'),
  bad('trailer: LF ends the body', '0\r\n\n', 'trailer'),
  bad('trailer: too many lines', `0\r\n${'a: b\r\n'.repeat(4)}\r\n`, 'trailer-lines', { headerLines: 3 }),
  bad('trailer: too many bytes', `0\r\na: ${'b'.repeat(30)}\r\n\r\n`, 'trailer-bytes', { trailerBytes: 32 }),
  { name: 'unfinished', text: '5\r\nabc', state: 'more', body: 'abc' },
]

t.test('bodies and what is no body', async (t) => {
  for (const { name, text, state, body, trailers, limits } of samples)
    for (const [how, pieces] of [
      ['whole', [text]],
      ['byte by byte', bytes(text)],
    ] as const) {
      const outcome = decode(pieces, limits)
      t.equal(outcome.state, state, `${name}, ${how}`)
      if (body !== undefined) t.equal(outcome.body, body, `${name}, body, ${how}`)
      if (trailers !== undefined) t.equal(outcome.trailers, trailers, `${name}, trailers, ${how}`)
    }
})

t.test(
  'a trailer section, its empty line included, that is exactly at the limit is accepted however it is cut',
  async (t) => {
    const lines = 'a: b\r\nc: d\r\n\r\n'
    const text = `0\r\n${lines}`
    for (const pieces of [[text], bytes(text)]) {
      t.equal(decode(pieces, { trailerBytes: lines.length }).state, 'done')
      t.equal(decode(pieces, { trailerBytes: lines.length - 1 }).state, 'trailer-bytes')
    }
  },
)

t.test('what follows the body is left alone', async (t) => {
  const outcome = decode(['3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\n'])
  t.match(outcome, { state: 'done', body: 'abc', used: 13, total: 3 })
  t.match(decode(['0\r\na: b\r\n', '\r', '\n\r\nGET']), { state: 'done', trailers: 'a: b\r\n', used: 11 })
})

t.test('a decoder that is done takes nothing more', async (t) => {
  const decoder = new ChunkedDecoder(defaultWireLimits)
  const sink = { onChunk: (): void => void t.fail('a chunk after the end') }
  t.equal(decoder.decode(Buffer.from('0\r\n\r\n'), 0, sink), 5)
  t.equal(decoder.decode(Buffer.from('3\r\nabc\r\n'), 0, sink), 0)
})

const limits = { chunkExtensionBytes: 24, trailerBytes: 24, headerLines: 3 }

const body = fc
  .record({
    chunks: fc.array(
      fc.tuple(
        fc.string({ minLength: 1, maxLength: 20, unit: 'binary-ascii' }),
        fc.constantFrom('', ';a', ';a=b', ' ; c="d"'),
      ),
      {
        maxLength: 5,
      },
    ),
    trailers: fc.array(fc.constantFrom('X-A: b', 'cookie: x', 'x-cc:', 'a: \xff'), { maxLength: 3 }),
    after: fc.constantFrom('', 'GET / HTTP/1.1\r\n', '\r\n'),
    size: fc.constantFrom(
      (n: number) => n.toString(16),
      (n: number) => `00${n.toString(16).toUpperCase()}`,
    ),
  })
  .map(({ chunks, trailers, after, size }) => {
    const data = chunks.map(([text, extension]) => `${size(text.length)}${extension}\r\n${text}\r\n`).join('')
    return `${data}0\r\n${trailers.map((line) => `${line}\r\n`).join('')}\r\n${after}`
  })

/** A valid body with one character changed, added or taken away. */
const damaged = fc
  .tuple(body, fc.nat(), fc.constantFrom('', '\r', '\n', ' ', '0', 'g', ';', '"', '\0', '\r\n'))
  .map(([text, place, what]) => {
    const at = place % (text.length + 1)
    return text.slice(0, at) + what + text.slice(at + (place % 2))
  })

t.test('segments do not matter', async (t) => {
  fc.assert(
    fc.property(fc.oneof(body, damaged, nearlyHttp), places, (text, at) => {
      const whole = decode([text], limits)
      for (const pieces of [cut(text, at), bytes(text)]) {
        const parts = decode(pieces, limits)
        if (whole.used < 0 || parts.used < 0) {
          // Which of two mistakes is named first may differ; that it is refused may not.
          if (whole.used !== parts.used) return false
        } else if (JSON.stringify(whole) !== JSON.stringify(parts)) return false
      }
      return true
    }),
    { numRuns: 1_000 },
  )
  t.pass()
})

t.test('what we encode we decode', async (t) => {
  const parts = fc.array(fc.string({ minLength: 1, maxLength: 300, unit: 'binary-ascii' }), { maxLength: 6 })
  fc.assert(
    fc.property(parts, fc.constantFrom('', 'X-A: b\r\n'), (texts, trailers) => {
      const text = texts.map((each) => `${chunkHeader(each.length)}${each}\r\n`).join('') + lastChunk(trailers)
      const outcome = decode([text])
      return (
        outcome.state === 'done' &&
        outcome.body === texts.join('') &&
        outcome.trailers === trailers &&
        outcome.used === text.length
      )
    }),
    { numRuns: 200 },
  )
  t.pass()
})
