import fc from 'fast-check'
import t from 'tap'
import { type ResponseHead, framing } from '../../src/wire/response-head.ts'
import { Refusal } from '../../src/wire/syntax.ts'
import { headText, nearlyHttp, type ReadResponse, readResponse, verdict } from '../fixtures/heads.ts'

const ok = (...lines: readonly string[]): string => headText('HTTP/1.1 200 OK', ...lines)
const status = (code: number, ...lines: readonly string[]): string => headText(`HTTP/1.1 ${code} X`, ...lines)

const refused: readonly (readonly [name: string, text: string, rule: string, options?: ReadResponse])[] = [
  ['another protocol', headText('SSH-2.0-OpenSSH'), 'status-line'],
  ['nothing', headText(''), 'status-line'],
  ['small letters', headText('http/1.1 200 OK'), 'status-line'],
  ['HTTP/2.0', headText('HTTP/2.0 200 OK'), 'status-line'],
  ['HTTP/1.10', headText('HTTP/1.10 200 OK'), 'status-line'],
  ['status of two digits', headText('HTTP/1.1 20 OK'), 'status-line'],
  ['status of four digits', headText('HTTP/1.1 2000 OK'), 'status-line'],
  ['status 099', headText('HTTP/1.1 099 OK'), 'status-line'],
  ['two spaces', headText('HTTP/1.1  200 OK'), 'status-line'],
  ['tab', headText('HTTP/1.1\t200 OK'), 'status-line'],
  ['CR in the reason', headText('HTTP/1.1 200 a\rb'), 'status-line'],
  ['LF after the line', 'HTTP/1.1 200 OK\nA: b\r\n\r\n', 'status-line'],
  ['status 600', status(600), 'status'],
  ['status 999', status(999), 'status'],
  ['NUL', ok('a: b\0'), 'header-section'],
  ['folded line', ok('a: b', ' c'), 'header-section'],
  ['blank before the colon', ok('a : b'), 'header-section'],
  ['no colon', ok('abc'), 'header-section'],
  ['bare CR', ok('a: b\rc'), 'header-section'],
  ['bare LF', ok('a: b\nc: d'), 'header-section'],
  ['too many lines', ok('a: 1', 'b: 2', 'c: 3'), 'header-lines', { limits: { headerLines: 2 } }],
  ['length: sign', ok('Content-Length: -1'), 'content-length'],
  ['length: list', ok('Content-Length: 5, 5'), 'content-length'],
  ['length: two that differ', ok('Content-Length: 5', 'Content-Length: 6'), 'content-length-twice'],
  ['length: leading zero', ok('Content-Length: 05'), 'content-length'],
  ['length and coding', ok('Content-Length: 5', 'Transfer-Encoding: chunked'), 'length-and-coding'],
  ['length and coding of a HEAD', ok('Content-Length: 5', 'Transfer-Encoding: chunked'), 'length-and-coding', { isHead: true }],
  ['coding: another', ok('Transfer-Encoding: gzip'), 'coding'],
  ['coding: with another', ok('Transfer-Encoding: gzip, chunked'), 'coding'],
  ['coding: twice', ok('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'), 'coding'],
  ['coding: empty', ok('Transfer-Encoding:'), 'coding'],
  ['coding in 1.0', headText('HTTP/1.0 200 OK', 'Transfer-Encoding: chunked'), 'coding-in-1.0'],
  ['Connection that is no list', ok('Connection: a b', 'Content-Length: 0'), 'connection'],
  ['Connection names Content-Length', ok('Connection: content-length', 'Content-Length: 0'), 'nominated'],
  ['Connection names Transfer-Encoding', ok('Connection: Transfer-Encoding', 'Transfer-Encoding: chunked'), 'nominated'],
] // prettier-ignore

t.test('answers that are refused, and why', async (t) => {
  for (const [name, text, rule, options] of refused) t.equal(verdict(readResponse(text, options)), `502 ${rule}`, name)
})

const read: readonly (readonly [name: string, text: string, wanted: Partial<ResponseHead>, options?: ReadResponse])[] = [
  ['to the end', ok(), { status: 200, reason: 'OK', minor: 1, framing: framing.close, contentLength: -1, keepAlive: true, keepAliveSeconds: -1, lines: '' }],
  ['of a length', ok('content-length: 5 '), { framing: framing.length, contentLength: 5, lines: '' }],
  ['of a length said twice', ok('Content-Length: 5', 'Content-Length: 5'), { framing: framing.length, contentLength: 5 }],
  ['of no length', ok('Content-Length: 0'), { framing: framing.none, contentLength: 0 }],
  ['in chunks', ok('transfer-encoding:\tChunked'), { framing: framing.chunked, contentLength: -1, lines: '' }],
  ['1.0', headText('HTTP/1.0 200 OK', 'Content-Length: 5'), { minor: 0, keepAlive: false }],
  ['1.0 that stays', headText('HTTP/1.0 200 OK', 'Connection: Keep-Alive'), { keepAlive: true }],
  ['1.0 that stays, in small letters', headText('HTTP/1.0 200 OK', 'Connection: keep-alive'), { keepAlive: true }],
  ['1.0 that says both', headText('HTTP/1.0 200 OK', 'Connection: keep-alive, close'), { keepAlive: false }],
  ['1.9 counts as 1.1', headText('HTTP/1.9 200 OK'), { minor: 1, keepAlive: true }],
  ['no reason', headText('HTTP/1.1 200 '), { status: 200, reason: '' }],
  ['no reason and no space', headText('HTTP/1.1 404'), { status: 404, reason: '' }],
  ['a reason with spaces', headText('HTTP/1.1 404 Not  Found '), { reason: 'Not  Found ' }],
  ['a reason above ASCII', headText('HTTP/1.1 200 \xe9'), { reason: '' }],
  ['status 599', status(599), { status: 599 }],
  ['HEAD with a length', ok('Content-Length: 5'), { framing: framing.none, contentLength: 5 }, { isHead: true }],
  ['HEAD in chunks', ok('Transfer-Encoding: chunked'), { framing: framing.none, contentLength: -1 }, { isHead: true }],
  ['HEAD to the end', ok(), { framing: framing.none, keepAlive: true }, { isHead: true }],
  ['204 with a length', status(204, 'Content-Length: 5'), { framing: framing.none, contentLength: -1 }],
  ['204 in chunks', status(204, 'Transfer-Encoding: chunked'), { framing: framing.none, contentLength: -1 }],
  ['205', status(205, 'Content-Length: 5'), { framing: framing.none, contentLength: -1 }],
  ['304 with a length', status(304, 'Content-Length: 5'), { framing: framing.none, contentLength: 5 }],
  ['100', status(100, 'Content-Length: 5'), { framing: framing.none, contentLength: -1 }],
  ['103 with lines', status(103, 'Link: </a>'), { framing: framing.none, lines: 'Link: </a>\r\n' }],
  ['close', ok('Connection: close'), { keepAlive: false, lines: '' }],
  ['close among others', ok('Connection: x', 'Connection: Close'), { keepAlive: false }],
  ['nominated lines go', ok('Connection: X-A, b', 'x-a: 1', 'B: 2', 'c: 3'), { lines: 'c: 3\r\n' }],
  ['Set-Cookie and Date stay', ok('Connection: set-cookie, date', 'Set-Cookie: a', 'Date: now'), { lines: 'Set-Cookie: a\r\nDate: now\r\n', hasDate: true }],
  ['hop-by-hop lines go', ok('a: 1', 'Keep-Alive: timeout=7, max=5', 'Proxy-Authenticate: Basic', 'Trailer: x', 'b: 2'), { lines: 'a: 1\r\nb: 2\r\n', keepAliveSeconds: 7 }],
  ['Keep-Alive: timeout second', ok('Keep-Alive: max=5, Timeout=12'), { keepAliveSeconds: 12 }],
  ['Keep-Alive without timeout', ok('Keep-Alive: max=5'), { keepAliveSeconds: -1 }],
  ['Keep-Alive with another word', ok('Keep-Alive: mytimeout=5'), { keepAliveSeconds: -1 }],
  ['upgrade', status(101, 'Connection: Upgrade', 'Upgrade: WebSocket'), { upgrade: 'websocket', lines: '' }],
  ['upgrade not in Connection', status(101, 'Upgrade: websocket'), { upgrade: '' }],
  ['equal names in order', ok('Set-Cookie: a', 'x: y', 'Set-Cookie: b'), { lines: 'Set-Cookie: a\r\nx: y\r\nSet-Cookie: b\r\n' }],
] // prettier-ignore

t.test('answers that are read, and as what', async (t) => {
  for (const [name, text, wanted, options] of read) t.match(readResponse(text, options), wanted, name)
})

t.test('the common status line reads like any other', async (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('a: b', 'Content-Length: 3', 'Connection: close', 'a', 'x: \x01')),
      (lines) => {
        const common = JSON.stringify(readResponse(headText('HTTP/1.1 200 OK', ...lines)))
        const other = JSON.stringify(readResponse(headText('HTTP/1.1 200 ok', ...lines)))
        return common === other.replace('"reason":"ok"', '"reason":"OK"')
      },
    ),
  )
  t.pass()
})

t.test('anything at all is read or refused, never thrown at', async (t) => {
  fc.assert(
    fc.property(
      fc.constantFrom('', 'HTTP/1.1 200 OK\r\n', 'HTTP/1.0 '),
      nearlyHttp,
      fc.boolean(),
      (start, some, isHead) => {
        const text = start + some
        const head = readResponse(text.includes('\r\n\r\n') ? text : `${text}\r\n\r\n`, { isHead })
        if (head instanceof Refusal) return head.status === 502 && /^[a-z0-9.-]+$/.test(head.rule)
        const names = head.lines.split('\r\n').map((each) => each.slice(0, each.indexOf(':')).toLowerCase())
        for (const name of [
          'content-length',
          'transfer-encoding',
          'connection',
          'keep-alive',
          'upgrade',
          'te',
          'trailer',
        ])
          if (names.includes(name)) return false
        return head.status >= 100 && head.status <= 599 && /^[\x20-\x7e]*$/.test(head.reason)
      },
    ),
    { numRuns: 1_000 },
  )
  t.pass()
})
