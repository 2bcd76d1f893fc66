/**
 * The parts of the WebSocket handshake a gateway must check before and after it lets bytes through unread.
 * Source: RFC 6455 sections 4.1, 4.2 and 1.3; RFC 9110 section 7.8.
 */
import { createHash } from 'node:crypto'
import type { RequestHead } from '../wire/request-head.ts'
import type { ResponseHead } from '../wire/response-head.ts'
import { fieldValue } from '../wire/syntax.ts'

/** True when the request asks for WebSocket in a way we pass on: GET, no body, nothing but `websocket`. */
export function asksForWebSocket(head: RequestHead): boolean {
  return head.upgrade.toLowerCase() === 'websocket' && head.method === 'GET' && !head.hasBody
}

/** The key of the handshake; undefined when it is missing or not 16 bytes in base64. */
export function webSocketKey(head: RequestHead): string | undefined {
  const key = fieldValue(head.lines, 'sec-websocket-key')
  return key !== undefined && /^[A-Za-z0-9+/]{22}==$/.test(key) ? key : undefined
}

/** True when the answer's Sec-WebSocket-Accept is the one that belongs to `key`. */
export function isAccepted(answerLines: string, key: string): boolean {
  const expected = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
  return fieldValue(answerLines, 'sec-websocket-accept') === expected
}

/** The head that tells the client of the switch; `added` are lines of ours. */
export function switchingHead(head: ResponseHead, added: string): string {
  return `HTTP/1.1 101 Switching Protocols\r\n${head.lines}${added}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`
}
