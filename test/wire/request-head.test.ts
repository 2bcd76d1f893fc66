import fc from 'fast-check'
import t from 'tap'
import { RequestHead } from '../../src/wire/request-head.ts'
import { Refusal } from '../../src/wire/syntax.ts'
import {
  accepted,
  headText,
  likelyRequest,
  nearlyHttp,
  type ReadRequest,
  readRequest,
  verdict,
} from '../fixtures/heads.ts'

const get = (...lines: readonly string[]): string => headText('GET / HTTP/1.1', 'Host: a.test', ...lines)
const post = (...lines: readonly string[]): string => headText('POST / HTTP/1.1', 'Host: a.test', ...lines)
const line = (text: string): string => headText(text, 'Host: a.test')
const old = (...lines: readonly string[]): string => headText('GET / HTTP/1.0', ...lines)

const refused: readonly (readonly [name: string, text: string, verdict: string, options?: ReadRequest])[] = [
  ['no version', line('GET /'), '400 request-line'],
  ['empty line', line(''), '400 request-line'],
  ['one word', line('GET'), '400 request-line'],
  ['three spaces', line('GET / HTTP/1.1 '), '400 version'],
  ['two spaces after the method', line('GET  / HTTP/1.1'), '400 version'],
  ['tab for a space', line('GET\t/ HTTP/1.1'), '400 request-line'],
  ['no method', line(' / HTTP/1.1'), '400 method'],
  ['method of 33 letters', line(`${'A'.repeat(33)} / HTTP/1.1`), '400 method'],
  ['method that is no token', line('G(T / HTTP/1.1'), '400 method'],
  ['version in small letters', line('GET / http/1.1'), '400 version'],
  ['version 1.10', line('GET / HTTP/1.10'), '400 version'],
  ['version 0.9', line('GET / HTTP/0.9'), '400 version'],
  ['version 2.0', line('GET / HTTP/2.0'), '505 version'],
  ['the preface of HTTP/2', line('PRI * HTTP/2.0'), '400 version'],
  ['target too long', line(`GET /${'a'.repeat(20)} HTTP/1.1`), '414 target-length', { limits: { targetBytes: 20 } }],
  ['fragment', line('GET /#a HTTP/1.1'), '400 target'],
  ['backslash', line('GET /\\a HTTP/1.1'), '400 target'],
  ['quotation mark', line('GET /" HTTP/1.1'), '400 target'],
  ['byte above ASCII', line('GET /\xe9 HTTP/1.1'), '400 target'],
  ['DEL', line('GET /\x7f HTTP/1.1'), '400 target'],
  ['CONNECT', line('CONNECT a.test:80 HTTP/1.1'), '405 connect'],
  ['CONNECT with a path', line('CONNECT / HTTP/1.1'), '405 connect'],
  ['asterisk with GET', line('GET * HTTP/1.1'), '400 asterisk-form'],
  ['bare word', line('GET admin HTTP/1.1'), '400 target-form'],
  ['authority-form', line('GET a.test:80 HTTP/1.1'), '400 target-form'],
  ['other scheme', line('GET https://a.test/ HTTP/1.1'), '400 target-form'],
  ['no authority', line('GET http:///x HTTP/1.1'), '400 target-form'],
  ['user information', line('GET http://u@a.test/ HTTP/1.1'), '400 host'],
  ['authority with an odd port', line('GET http://a.test:000000080/ HTTP/1.1'), '400 host'],
  ['authority that is not Host', line('GET http://b.test/ HTTP/1.1'), '400 host-mismatch'],
  ['no Host', headText('GET / HTTP/1.1'), '400 host-missing'],
  ['no Host in 1.2', headText('GET / HTTP/1.2'), '400 host-missing'],
  ['two Host lines', get('host: a.test'), '400 host-twice'],
  ['empty Host', headText('GET / HTTP/1.1', 'Host:'), '400 host'],
  ['NUL', get('x: a\0b'), '400 header-section'],
  ['DEL in a value', get('x: a\x7fb'), '400 header-section'],
  ['blank before the colon', get('x : a'), '400 header-section'],
  ['folded line', get('x: a', ' b'), '400 header-section'],
  ['no name', get(': a'), '400 header-section'],
  ['no colon', get('abc'), '400 header-section'],
  ['name above ASCII', get('\xe9: a'), '400 header-section'],
  ['bare CR', get('x: a\rb'), '400 header-section'],
  ['bare LF', get('x: a\ny: b'), '400 header-section'],
  ['too many lines', get('a: 1', 'b: 2'), '431 header-lines', { limits: { headerLines: 2 } }],
  ['underscore twin', get('Content_Length: 5'), '400 underscore-name'],
  ['length: sign', post('Content-Length: +5'), '400 content-length'],
  ['length: empty', post('Content-Length:'), '400 content-length'],
  ['length: list of equals', post('Content-Length: 5, 5'), '400 content-length'],
  ['length: twice, equal', post('Content-Length: 5', 'Content-Length: 5'), '400 content-length-twice'],
  ['length: twice, not equal', post('Content-Length: 5', 'content-length: 6'), '400 content-length-twice'],
  ['length and coding', post('Content-Length: 5', 'Transfer-Encoding: chunked'), '400 length-and-coding'],
  ['coding and length', post('Transfer-Encoding: chunked', 'Content-Length: 0'), '400 length-and-coding'],
  ['coding: twice', post('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'), '400 coding-twice'],
  ['coding: empty', post('Transfer-Encoding:'), '400 coding'],
  ['coding: identity', post('Transfer-Encoding: identity'), '400 coding'],
  ['coding: with another', post('Transfer-Encoding: gzip, chunked'), '501 coding'],
  ['coding: chunked not last', post('Transfer-Encoding: chunked, gzip'), '400 coding'],
  ['coding: list with nothing', post('Transfer-Encoding: ,chunked'), '400 coding'],
  ['coding: parameter', post('Transfer-Encoding: chunked;x=y'), '400 coding'],
  ['coding: quoted', post('Transfer-Encoding: "chunked"'), '400 coding'],
  ['coding in 1.0', headText('POST / HTTP/1.0', 'Transfer-Encoding: chunked'), '400 coding-in-1.0'],
  ['expectation', get('Expect: 200-ok'), '417 expect'],
  ['expectation: empty', post('Expect:', 'Content-Length: 5'), '417 expect'],
  ['expectation: two', post('Expect: 100-continue', 'Expect: 100-continue', 'Content-Length: 5'), '417 expect'],
  ['Connection that is no list', get('Connection: a b'), '400 connection'],
  ['Connection names Host', get('Connection: close, host'), '400 nominated'],
  ['Connection names Content-Length', post('Connection: Content-Length', 'Content-Length: 5'), '400 nominated'],
  ['Connection names Transfer-Encoding', get('Connection: transfer-encoding'), '400 nominated'],
  ['Max-Forwards: word', headText('OPTIONS / HTTP/1.1', 'Host: a', 'Max-Forwards: x'), '400 max-forwards'],
  ['Max-Forwards: twice', headText('OPTIONS / HTTP/1.1', 'Host: a', 'Max-Forwards: 1', 'Max-Forwards: 1'), '400 max-forwards'],
] // prettier-ignore

t.test('heads that are refused, and why', async (t) => {
  for (const [name, text, wanted, options] of refused) t.equal(verdict(readRequest(text, options)), wanted, name)
})

const read: readonly (readonly [name: string, text: string, wanted: Partial<RequestHead>, options?: ReadRequest])[] = [
  ['the simplest', get(), { method: 'GET', target: '/', minor: 1, host: 'a.test', routingHost: 'a.test', lines: '', keepAlive: true }],
  ['1.0 without Host', old(), { minor: 0, host: '', routingHost: '', keepAlive: false }],
  ['1.0 that asks for more', old('Connection: keep-alive'), { keepAlive: false }],
  ['1.2 counts as 1.1', headText('GET / HTTP/1.2', 'Host: a.test'), { minor: 1, keepAlive: true }],
  ['a method nobody knows', line('X-Y / HTTP/1.1'), { method: 'X-Y' }],
  ['a method of 32 letters', line(`${'A'.repeat(32)} / HTTP/1.1`), { method: 'A'.repeat(32) }],
  ['a target as long as it may be', line(`GET /${'a'.repeat(19)} HTTP/1.1`), {}, { limits: { targetBytes: 20 } }],
  ['host for routing', headText('GET / HTTP/1.1', 'Host: A.Test.:81'), { host: 'A.Test.:81', routingHost: 'a.test' }],
  ['absolute-form', headText('GET http://A.test/x?y HTTP/1.1', 'Host: a.test:80'), { target: '/x?y', host: 'A.test', routingHost: 'a.test' }],
  ['absolute-form without path', line('GET http://a.test HTTP/1.1'), { target: '/' }],
  ['absolute-form with a query only', line('GET http://a.test?q=/ HTTP/1.1'), { target: '/?q=/' }],
  ['absolute-form of OPTIONS *', line('OPTIONS http://a.test HTTP/1.1'), { target: '*' }],
  ['absolute-form in 1.0', headText('GET http://a.test/ HTTP/1.0'), { host: 'a.test', routingHost: 'a.test' }],
  ['OPTIONS *', line('OPTIONS * HTTP/1.1'), { target: '*' }],
  ['lines as they came', get('B: 1', 'a:\t2 ', 'B: \xff'), { lines: 'B: 1\r\na:\t2 \r\nB: \xff\r\n' }],
  ['lines between those that go', get('a: 1', 'TE: x', 'b: 2', 'Keep-Alive: 5', 'Trailer: c', 'c: 3'), { lines: 'a: 1\r\nb: 2\r\nc: 3\r\n' }],
  ['as many lines as may be', get('b: 2'), { lines: 'b: 2\r\n' }, { limits: { headerLines: 2 } }],
  ['length', post('Content-Length: 5'), { contentLength: 5, hasBody: true, chunked: false, lines: '' }],
  ['length 0', post('Content-Length: 0'), { contentLength: 0, hasBody: false }],
  ['coding in capitals', post('Transfer-Encoding:\t CHUNKED '), { chunked: true, hasBody: true, contentLength: -1, lines: '' }],
  ['expectation with a body', post('Expect: 100-Continue', 'Content-Length: 5'), { expectContinue: true, lines: '' }],
  ['expectation without a body', get('Expect: 100-continue'), { expectContinue: false }],
  ['expectation in 1.0', headText('POST / HTTP/1.0', 'Expect: x', 'Content-Length: 5'), { expectContinue: false }],
  ['close', get('Connection: Close'), { keepAlive: false }],
  ['close among others', get('Connection: x', 'connection: , CLOSE'), { keepAlive: false }],
  ['nominated lines go', get('Connection: X-A , b', 'x-a: 1', 'B: 2', 'c: 3'), { lines: 'c: 3\r\n' }],
  ['nominated before they stand', get('x-a: 1', 'Connection: x-a'), { lines: '' }],
  ['protected lines stay', get('Connection: cookie, authorization, via', 'Cookie: a', 'Authorization: b', 'Via: 1.1 c'), { lines: 'Cookie: a\r\nAuthorization: b\r\nVia: 1.1 c\r\n' }],
  ['trailers', get('TE: gzip;q=0.5, Trailers'), { trailers: true, lines: '' }],
  ['trailers with a weight', get('TE: trailers;q=0.5'), { trailers: false }],
  ['upgrade', get('Connection: Upgrade', 'Upgrade: WebSocket'), { upgrade: 'WebSocket', lines: '' }],
  ['upgrade not in Connection', get('Upgrade: websocket'), { upgrade: '', lines: '' }],
  ['upgrade in 1.0', old('Connection: upgrade', 'Upgrade: websocket'), { upgrade: '' }],
  ['Via of several lines', get('Via: 1.1 a', 'via: 1.0 b'), { via: '1.1 a, 1.0 b', lines: 'Via: 1.1 a\r\nvia: 1.0 b\r\n' }],
  ['request id', get('X-Request-ID: r1'), { requestId: 'r1', lines: '' }],
  ['request id twice', get('X-Request-ID: r1', 'X-Request-ID: r1'), { requestId: '', lines: '' }],
  ['Max-Forwards of OPTIONS', headText('OPTIONS / HTTP/1.1', 'Host: a', 'Max-Forwards: 10'), { maxForwards: 10, lines: '' }],
  ['Max-Forwards of GET', get('Max-Forwards: x'), { maxForwards: -1, lines: 'Max-Forwards: x\r\n' }],
  ['identity of a stranger', get('X-Forwarded-For: 9.9.9.9', 'Forwarded: for=x', 'X-Real-IP: 9.9.9.9', 'X-Original-URL: /', 'X-Forwarded-Prefix: /'), { lines: '', forwardedFor: '', forwarded: '', realIp: '' }],
  ['identity of a friend', get('X-Forwarded-For: 1.1.1.1', 'x-forwarded-for: 2.2.2.2', 'X-Forwarded-Proto: https', 'X-Original-URL: /'), { lines: 'X-Original-URL: /\r\n', forwardedFor: '1.1.1.1, 2.2.2.2', forwardedProto: 'https' }, { trusted: true }],
  ['names of objects', get('__proto__: a', 'constructor: b'), { lines: '__proto__: a\r\nconstructor: b\r\n' }],
] // prettier-ignore

t.test('heads that are read, and as what', async (t) => {
  for (const [name, text, wanted, options] of read) t.match(readRequest(text, options), wanted, name)
})

t.test('a head may stand anywhere in its text, and what was read before leaves no trace', async (t) => {
  fc.assert(
    fc.property(likelyRequest, likelyRequest, fc.boolean(), (before, text, trusted) => {
      const first = readRequest(text, { trusted })
      readRequest(before, { trusted: !trusted })
      return JSON.stringify(readRequest(text, { trusted })) === JSON.stringify(first)
    }),
    { numRuns: 500 },
  )
  t.pass()
})

t.test('anything at all is read or refused, never thrown at', async (t) => {
  const text = fc.oneof(nearlyHttp, likelyRequest, fc.tuple(likelyRequest, fc.nat(), nearlyHttp).map(([head, at, junk]) => {
    const place = at % head.length
    return head.slice(0, place) + junk.slice(0, 3) + head.slice(place)
  })) // prettier-ignore
  fc.assert(
    fc.property(text, fc.boolean(), (some, trusted) => {
      const end = some.indexOf('\r\n\r\n')
      const head = readRequest(end < 0 ? `${some}\r\n\r\n` : some, { trusted })
      if (head instanceof Refusal)
        return [400, 405, 414, 417, 431, 501, 505].includes(head.status) && /^[a-z0-9.-]+$/.test(head.rule)
      const names = head.lines.split('\r\n').map((each) => each.slice(0, each.indexOf(':')).toLowerCase())
      for (const name of [
        'host',
        'content-length',
        'transfer-encoding',
        'connection',
        'te',
        'upgrade',
        'expect',
        'keep-alive',
      ])
        if (names.includes(name)) return false
      return head.contentLength < 0 || !head.chunked
    }),
    { numRuns: 1_000 },
  )
  t.pass()
})

t.test('the generator of heads is worth its name', async (t) => {
  const sample = fc.sample(likelyRequest, { numRuns: 300, seed: 1 })
  const taken = sample.filter((text) => !(readRequest(text) instanceof Refusal)).length
  t.ok(taken > 60 && taken < 290, `${taken} of 300 are valid`)
  t.ok(accepted(readRequest(get())) instanceof RequestHead)
})
