import fc from 'fast-check'
import t from 'tap'
import { answerHead, delivery, deliveryOf, informationalHead, ownAnswer } from '../../src/proxy/answer-head.ts'
import { own, refusalAnswer } from '../../src/proxy/answers.ts'
import { framing, type ResponseHead } from '../../src/wire/response-head.ts'
import { accepted, headText, readResponse } from '../fixtures/heads.ts'
import { parseAnswer, parseHead, value, values } from '../fixtures/wire-message.ts'

const dateLine = 'Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n'
const read = (lines: readonly string[], isHead = false): ResponseHead =>
  accepted(readResponse(headText(...lines), { isHead }))

function sent(lines: readonly string[], options: { minor?: number; isHead?: boolean; persist?: boolean } = {}): string {
  const head = read(lines, options.isHead)
  return answerHead(
    head,
    deliveryOf(head, options.minor ?? 1),
    options.persist ?? true,
    head.hasDate ? '' : dateLine,
    '',
  )
}

t.test('how the body goes on', async (t) => {
  const head = read(['HTTP/1.1 200 OK'])
  for (const [how, minor, wanted] of [
    [framing.none, 1, delivery.none],
    [framing.none, 0, delivery.none],
    [framing.length, 1, delivery.length],
    [framing.length, 0, delivery.length],
    [framing.chunked, 1, delivery.chunked],
    [framing.chunked, 0, delivery.close],
    [framing.close, 1, delivery.chunked],
    [framing.close, 0, delivery.close],
  ] as const) {
    head.framing = how
    t.equal(deliveryOf(head, minor), wanted, `framing ${how} to 1.${minor}`)
  }
})

const heads: readonly (readonly [name: string, lines: readonly string[], options: Parameters<typeof sent>[1], wanted: readonly string[]])[] = [
  ['of a length', ['HTTP/1.1 200 OK', 'A: b', 'Content-Length: 5'], {}, ['HTTP/1.1 200 OK', 'A: b', dateLine.trim(), 'Content-Length: 5']],
  ['with its own date', ['HTTP/1.1 200 OK', 'Date: then', 'Content-Length: 5'], {}, ['HTTP/1.1 200 OK', 'Date: then', 'Content-Length: 5']],
  ['from 1.0', ['HTTP/1.0 404 Nope', 'Date: d', 'Content-Length: 5'], {}, ['HTTP/1.1 404 Nope', 'Date: d', 'Content-Length: 5']],
  ['in chunks', ['HTTP/1.1 200 OK', 'Date: d', 'Transfer-Encoding: chunked'], {}, ['HTTP/1.1 200 OK', 'Date: d', 'Transfer-Encoding: chunked']],
  ['to the end', ['HTTP/1.1 200 OK', 'Date: d'], {}, ['HTTP/1.1 200 OK', 'Date: d', 'Transfer-Encoding: chunked']],
  ['in chunks to 1.0', ['HTTP/1.1 200 OK', 'Date: d', 'Transfer-Encoding: chunked'], { minor: 0, persist: false }, ['HTTP/1.1 200 OK', 'Date: d', 'Connection: close']],
  ['the last', ['HTTP/1.1 200 OK', 'Date: d', 'Content-Length: 0'], { persist: false }, ['HTTP/1.1 200 OK', 'Date: d', 'Content-Length: 0', 'Connection: close']],
  ['to a HEAD', ['HTTP/1.1 200 OK', 'Date: d', 'Content-Length: 5'], { isHead: true }, ['HTTP/1.1 200 OK', 'Date: d', 'Content-Length: 5']],
  ['in chunks to a HEAD', ['HTTP/1.1 200 OK', 'Date: d', 'Transfer-Encoding: chunked'], { isHead: true }, ['HTTP/1.1 200 OK', 'Date: d']],
  ['204', ['HTTP/1.1 204 No Content', 'Date: d', 'Content-Length: 5'], {}, ['HTTP/1.1 204 No Content', 'Date: d']],
  ['205', ['HTTP/1.1 205 Reset Content', 'Date: d'], {}, ['HTTP/1.1 205 Reset Content', 'Date: d', 'Content-Length: 0']],
  ['304', ['HTTP/1.1 304 Not Modified', 'Date: d', 'Content-Length: 5'], {}, ['HTTP/1.1 304 Not Modified', 'Date: d', 'Content-Length: 5']],
  ['without a reason', ['HTTP/1.1 200', 'Date: d', 'Content-Length: 1'], {}, ['HTTP/1.1 200 ', 'Date: d', 'Content-Length: 1']],
] // prettier-ignore

t.test('heads of answers', async (t) => {
  for (const [name, lines, options, wanted] of heads) t.equal(sent(lines, options), headText(...wanted), name)
  t.equal(
    informationalHead(read(['HTTP/1.1 103 Early Hints', 'Link: </a>', 'Content-Length: 5'])),
    headText('HTTP/1.1 103 Early Hints', 'Link: </a>'),
  )
})

t.test('an answer sent on is read as the same answer', async (t) => {
  const line = fc.constantFrom(
    'A: b',
    'Set-Cookie: c',
    'Connection: x-y',
    'X-Y: z',
    'Keep-Alive: timeout=5',
    'Content-Type: a/b',
    'Date: d',
  )
  const body = fc.constantFrom('Content-Length: 5', 'Content-Length: 0', 'Transfer-Encoding: chunked', 'X: y')
  fc.assert(
    fc.property(
      fc.constantFrom(200, 204, 205, 304, 404, 500),
      fc.array(line, { maxLength: 5 }),
      body,
      fc.boolean(),
      (status, lines, how, isHead) => {
        const first = read([`HTTP/1.1 ${status} X`, ...lines, how], isHead)
        const text = answerHead(first, deliveryOf(first, 1), true, first.hasDate ? '' : dateLine, '')
        const again = accepted(readResponse(text, { isHead }))
        const toEnd = first.framing === framing.close
        return (
          again.status === first.status &&
          again.contentLength === first.contentLength &&
          again.framing === (toEnd ? framing.chunked : first.framing) &&
          again.lines === (first.hasDate ? first.lines : first.lines + dateLine)
        )
      },
    ),
    { numRuns: 500 },
  )
  t.pass()
})

const all = [
  ...Object.values(own),
  ...[400, 405, 408, 413, 414, 417, 431, 501, 505].map((status) => refusalAnswer(status)),
]

t.test('answers of our own are complete, say who made them and may not be stored', async (t) => {
  for (const answer of all)
    for (const isHead of [false, true])
      for (const persist of [false, true]) {
        const text = ownAnswer(answer, 'id-1', 'web-1', isHead, persist, dateLine, undefined)
        const message = parseAnswer(text, 0, { method: isHead ? 'HEAD' : 'GET', closed: false })
        if (!message) throw new Error(`incomplete: ${text}`)
        const { fields } = message
        const name = `${answer.status} ${answer.error} ${isHead ? 'HEAD' : 'GET'} ${persist ? 'stays' : 'closes'}`
        t.equal(message.end, text.length, name)
        t.equal(message.startLine, `HTTP/1.1 ${answer.status} ${answer.reason}`, name)
        t.equal(message.body, isHead ? '' : `${answer.status} ${answer.reason}\n`, name)
        t.equal(value(fields, 'content-length'), String(`${answer.status} ${answer.reason}\n`.length), name)
        t.equal(value(fields, 'cache-control'), 'no-store', name)
        t.equal(value(fields, 'x-request-id'), 'id-1', name)
        t.equal(value(fields, 'date'), dateLine.slice(6, -2), name)
        t.equal(value(fields, 'connection'), persist ? undefined : 'close', name)
        const says = answer.error === '' ? undefined : `fairlead; error=${answer.error}; details="web-1"`
        t.equal(value(fields, 'proxy-status'), says, name)
        t.equal(values(fields, 'retry-after').length, answer.status === 503 ? 1 : 0, name)
        t.equal(values(fields, 'allow').length, answer.status === 405 || answer.status === 200 ? 1 : 0, name)
      }
})

t.test('what is told to those who are not trusted', async (t) => {
  const text = ownAnswer(own.refused, '', '', false, true, dateLine, undefined)
  const { fields } = parseHead(text, 0) ?? { fields: [] }
  t.equal(value(fields, 'proxy-status'), 'fairlead; error=connection_refused')
  t.equal(value(fields, 'x-request-id'), undefined)
})

t.test('a page in place of the text is sent byte for byte', async (t) => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index))
  const text = ownAnswer(own.noEndpoint, 'i', '', false, true, dateLine, { body: bytes, contentType: 'image/png' })
  const message = parseAnswer(text, 0, { method: 'GET', closed: false })
  t.equal(message?.body, bytes.toString('latin1'))
  t.equal(value(message?.fields ?? [], 'content-type'), 'image/png')
  t.equal(value(message?.fields ?? [], 'content-length'), '256')
  const head = ownAnswer(own.noEndpoint, 'i', '', true, true, dateLine, { body: bytes, contentType: 'image/png' })
  t.ok(head.endsWith('\r\n\r\n'))
})

t.test('a status that refuses nothing in particular is a bad request', async (t) => {
  t.equal(refusalAnswer(499).status, 400)
  for (const answer of all) t.match(answer.error, /^[a-z_]*$/)
})
