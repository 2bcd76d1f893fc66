import t from 'tap'
import { asksForWebSocket, isAccepted, webSocketKey } from '../../src/proxy/websocket.ts'
import type { RequestHead } from '../../src/wire/request-head.ts'
import { accepted, headText, readRequest } from '../fixtures/heads.ts'

const key = 'dGhlIHNhbXBsZSBub25jZQ=='
const accept = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='

const request = (line: string, ...lines: readonly string[]): RequestHead =>
  accepted(readRequest(headText(line, 'Host: a', ...lines)))

const asks: readonly (readonly [name: string, line: string, lines: readonly string[], wanted: boolean])[] = [
  ['as usual', 'GET / HTTP/1.1', ['Connection: Upgrade', 'Upgrade: websocket'], true],
  ['in other cases', 'GET / HTTP/1.1', ['Connection: keep-alive, UPGRADE', 'Upgrade: WebSocket'], true],
  ['with a body of nothing', 'GET / HTTP/1.1', ['Connection: Upgrade', 'Upgrade: websocket', 'Content-Length: 0'], true],
  ['without Connection', 'GET / HTTP/1.1', ['Upgrade: websocket'], false],
  ['without Upgrade', 'GET / HTTP/1.1', ['Connection: Upgrade'], false],
  ['for h2c', 'GET / HTTP/1.1', ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: x'], false],
  ['for one of two', 'GET / HTTP/1.1', ['Connection: Upgrade', 'Upgrade: websocket, h2c'], false],
  ['with POST', 'POST / HTTP/1.1', ['Connection: Upgrade', 'Upgrade: websocket'], false],
  ['with a body', 'GET / HTTP/1.1', ['Connection: Upgrade', 'Upgrade: websocket', 'Content-Length: 5'], false],
  ['with a body in chunks', 'GET / HTTP/1.1', ['Connection: Upgrade', 'Upgrade: websocket', 'Transfer-Encoding: chunked'], false],
  ['in 1.0', 'GET / HTTP/1.0', ['Connection: Upgrade', 'Upgrade: websocket'], false],
] // prettier-ignore

t.test('who asks for WebSocket', async (t) => {
  for (const [name, line, lines, wanted] of asks) t.equal(asksForWebSocket(request(line, ...lines)), wanted, name)
})

t.test('the key', async (t) => {
  const from = (...lines: readonly string[]): string | undefined => webSocketKey(request('GET / HTTP/1.1', ...lines))
  t.equal(from(`Sec-WebSocket-Key: ${key}`), key)
  t.equal(from(`sec-websocket-key:${key} `), key)
  t.equal(from(), undefined)
  for (const bad of [
    '',
    'abc',
    key.slice(1),
    `${key}=`,
    key.replace('d', '-'),
    `${key}, ${key}`,
    'dGhlIHNhbXBsZSBub25jZQ',
  ])
    t.equal(from(`Sec-WebSocket-Key: ${bad}`), undefined, bad)
  t.equal(from(`Sec-WebSocket-Key: ${key}`, `Sec-WebSocket-Key: ${key}`), undefined, 'twice')
})

t.test('the answer to the key, by the example of RFC 6455', async (t) => {
  t.ok(isAccepted(`Sec-WebSocket-Accept: ${accept}\r\n`, key))
  t.ok(isAccepted(`A: b\r\nsec-websocket-accept:  ${accept}\t\r\n`, key))
  for (const lines of [
    '',
    `Sec-WebSocket-Accept: ${key}\r\n`,
    `Sec-WebSocket-Accept: ${accept.toLowerCase()}\r\n`,
    `X-Sec-WebSocket-Accept: ${accept}\r\n`,
  ])
    t.notOk(isAccepted(lines, key), lines)
  t.notOk(isAccepted(`Sec-WebSocket-Accept: ${accept}\r\n`, 'x3JJHMbDL1EzLkh9GBhXDw=='))
})
