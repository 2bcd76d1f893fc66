import fc from 'fast-check'
import t from 'tap'
import { ForwardingFacts, isLoop, isSaneRequestId, plainAddress, upstreamHead } from '../../src/proxy/upstream-head.ts'
import type { RequestHead } from '../../src/wire/request-head.ts'
import type { ServerConnection } from '../../src/wire/server-connection.ts'
import { Refusal } from '../../src/wire/syntax.ts'
import { accepted, headText, latin1, likelyRequest, readRequest } from '../fixtures/heads.ts'
import { parseRequest, type Message, value, values } from '../fixtures/wire-message.ts'

interface Peer {
  readonly remote?: string
  readonly local?: string
  readonly trusted?: boolean
  readonly trusts?: (address: string) => boolean
}

/** What of a connection goes into a head. */
function connection(peer: Peer = {}): ServerConnection {
  const { remote = '9.8.7.6', local = '10.0.0.1', trusted = false } = peer
  const parts = {
    remoteAddress: remote,
    remotePort: 4_321,
    localAddress: local,
    localPort: 8_080,
    trusted,
    trusts: peer.trusts ?? (() => trusted),
  }
  return parts as unknown as ServerConnection
}

function sent(text: string, peer: Peer = {}, upgrade = false): Message {
  const client = connection(peer)
  const head = accepted(readRequest(text, { trusted: client.trusted }))
  const request = parseRequest(
    `${upstreamHead(head, client, new ForwardingFacts(client), 'id-1', upgrade)}${'x'.repeat(99)}`,
    0,
  )
  if (!request) throw new Error('not a whole request')
  return request
}

const get = (...lines: readonly string[]): string => headText('GET /a HTTP/1.1', 'Host: a.test', ...lines)

t.test('the whole head of a plain request', async (t) => {
  const { startLine, fields } = sent(get('Accept: */*', 'Cookie: a=b'))
  t.equal(startLine, 'GET /a HTTP/1.1')
  t.strictSame(fields, [
    ['Host', 'a.test'],
    ['Accept', '*/*'],
    ['Cookie', 'a=b'],
    ['X-Forwarded-For', '9.8.7.6'],
    ['X-Forwarded-Proto', 'http'],
    ['X-Forwarded-Port', '8080'],
    ['X-Real-IP', '9.8.7.6'],
    ['X-Forwarded-Host', 'a.test'],
    ['Forwarded', 'for=9.8.7.6;host="a.test";proto=http'],
    ['Via', '1.1 fairlead'],
    ['X-Request-Id', 'id-1'],
  ])
})

const lines: readonly (readonly [name: string, text: string, field: string, wanted: readonly string[], peer?: Peer])[] = [
  ['Host as it came', headText('GET / HTTP/1.1', 'Host: A.test.:80'), 'host', ['A.test.:80']],
  ['Host of absolute-form', headText('GET http://A.test/ HTTP/1.1', 'Host: a.test'), 'host', ['A.test']],
  ['no Host in 1.0', headText('GET / HTTP/1.0'), 'host', ['10.0.0.1:8080']],
  ['no Host in 1.0 over IPv6', headText('GET / HTTP/1.0'), 'host', ['[::1]:8080'], { local: '::1' }],
  ['no Host in 1.0 over mapped IPv4', headText('GET / HTTP/1.0'), 'host', ['10.0.0.1:8080'], { local: '::ffff:10.0.0.1' }],
  ['Via after others', get('Via: 1.0 a'), 'via', ['1.0 a', '1.1 fairlead']],
  ['Via of 1.0', headText('GET / HTTP/1.0'), 'via', ['1.0 fairlead']],
  ['length', get('Content-Length: 5'), 'content-length', ['5']],
  ['length 0', get('Content-Length: 0'), 'content-length', ['0']],
  ['no framing', get(), 'content-length', []],
  ['TE', get('TE: trailers'), 'te', ['trailers']],
  ['TE in Connection', get('TE: trailers'), 'connection', ['TE']],
  ['other TE', get('TE: gzip'), 'te', []],
  ['Connection goes', get('Connection: keep-alive'), 'connection', []],
  ['Expect', get('Expect: 100-Continue', 'Content-Length: 5'), 'expect', ['100-continue']],
  ['Max-Forwards', headText('OPTIONS / HTTP/1.1', 'Host: a', 'Max-Forwards: 10'), 'max-forwards', ['9']],
  ['IPv6 client, mapped', get(), 'x-forwarded-for', ['1.2.3.4'], { remote: '::ffff:1.2.3.4' }],
  ['IPv6 client', get(), 'forwarded', ['for="[2001:db8::1]";host="a.test";proto=http'], { remote: '2001:db8::1' }],
  ['IPv6 zone', get(), 'x-real-ip', ['fe80::1'], { remote: 'fe80::1%eth0' }],
  ['stranger', get('X-Forwarded-For: 1.1.1.1', 'X-Forwarded-Proto: https'), 'x-forwarded-for', ['9.8.7.6']],
  ['stranger, other name', get('X-Forwarded-Prefix: /x'), 'x-forwarded-prefix', []],
  ['friend', get('X-Forwarded-For: 1.1.1.1, 2.2.2.2', 'X-Forwarded-For: 3.3.3.3'), 'x-forwarded-for', ['1.1.1.1, 2.2.2.2, 3.3.3.3, 9.8.7.6'], { trusted: true }],
  ['friend, zone', get('X-Forwarded-For: fe80::1%eth0'), 'x-forwarded-for', ['fe80::1, 9.8.7.6'], { trusted: true }],
  ['friend, https', get('X-Forwarded-Proto: HTTPS'), 'x-forwarded-proto', ['https'], { trusted: true }],
  ['friend, other scheme', get('X-Forwarded-Proto: javascript'), 'x-forwarded-proto', ['http'], { trusted: true }],
  ['friend, port', get('X-Forwarded-Port: 443'), 'x-forwarded-port', ['443'], { trusted: true }],
  ['friend, odd port', get('X-Forwarded-Port: 443; x'), 'x-forwarded-port', ['8080'], { trusted: true }],
  ['friend, host', get('X-Forwarded-Host: shop'), 'x-forwarded-host', ['shop'], { trusted: true }],
  ['friend, Forwarded', get('Forwarded: for=1.1.1.1'), 'forwarded', ['for=1.1.1.1, for=9.8.7.6;host="a.test";proto=http'], { trusted: true }],
  ['friend, real address', get('X-Real-IP: 5.5.5.5'), 'x-real-ip', ['5.5.5.5'], { trusted: true }],
  ['friend, none behind it', get(), 'x-real-ip', ['9.8.7.6'], { trusted: true }],
  ['friend, the nearest that is none', get('X-Forwarded-For: 1.1.1.1, 2.2.2.2, 10.0.0.5'), 'x-real-ip', ['2.2.2.2'], { trusted: true, trusts: (address) => address.startsWith('10.') }],
  ['friend, all are friends', get('X-Forwarded-For: 10.1.1.1, 10.0.0.5'), 'x-real-ip', ['10.1.1.1'], { trusted: true, trusts: (address) => address.startsWith('10.') }],
  ['friend, no address', get('X-Forwarded-For: 1.1.1.1, unknown'), 'x-real-ip', ['9.8.7.6'], { trusted: true }],
] // prettier-ignore

t.test('lines', async (t) => {
  for (const [name, text, field, wanted, peer] of lines)
    t.strictSame(values(sent(text, peer).fields, field), wanted, name)
})

t.test('a WebSocket handshake goes on as one', async (t) => {
  const { fields } = sent(
    get('Connection: upgrade', 'Upgrade: WebSocket', 'TE: trailers', 'Sec-WebSocket-Key: k'),
    {},
    true,
  )
  t.equal(value(fields, 'connection'), 'Upgrade')
  t.equal(value(fields, 'upgrade'), 'websocket')
  t.equal(value(fields, 'te'), undefined)
  t.equal(value(fields, 'sec-websocket-key'), 'k')
})

t.test('the lines of a connection follow its host from request to request', async (t) => {
  const client = connection()
  const facts = new ForwardingFacts(client)
  for (const host of ['a.test', 'b.test', 'b.test', 'a.test']) {
    const head = accepted(readRequest(headText('GET / HTTP/1.1', `Host: ${host}`)))
    const request = parseRequest(upstreamHead(head, client, facts, 'i', false), 0)
    t.equal(value(request?.fields ?? [], 'x-forwarded-host'), host)
    t.match(value(request?.fields ?? [], 'forwarded'), `host="${host}"`)
  }
})

const kept = (head: RequestHead): object => ({
  method: head.method,
  target: head.target,
  routingHost: head.routingHost,
  contentLength: head.contentLength,
  chunked: head.chunked,
  expectContinue: head.expectContinue,
  trailers: head.trailers,
  keepAlive: true,
  upgrade: '',
})

t.test('whatever is accepted means the same to a strict reader when it is sent on, and again', async (t) => {
  let taken = 0
  fc.assert(
    fc.property(likelyRequest, fc.boolean(), (text, trusted) => {
      const client = connection({ trusted })
      const head = readRequest(text, { trusted })
      if (head instanceof Refusal || head.maxForwards === 0) return
      taken++
      const framing = head.chunked ? 'Transfer-Encoding: chunked\r\n\r\n' : ''
      const emitted = upstreamHead(head, client, new ForwardingFacts(client), 'id-1', false) + framing
      // The other parser throws at what a strict backend would refuse.
      const request = parseRequest(
        head.chunked ? `${emitted}0\r\n\r\n` : emitted + 'x'.repeat(Math.max(0, head.contentLength)),
        0,
      )
      if (request?.startLine !== `${head.method} ${head.target} HTTP/1.1`) throw new Error(request?.startLine)
      const again = accepted(readRequest(emitted, { trusted }))
      const host = head.host === '' ? '10.0.0.1' : head.routingHost
      t.strictSame({ ...kept(again) }, { ...kept(head), routingHost: host }, text)
      if (again.lines !== `${head.lines}Via: 1.${head.minor} fairlead\r\n`) throw new Error(again.lines)
      if (again.maxForwards !== (head.maxForwards > 0 ? head.maxForwards - 1 : -1)) throw new Error('max-forwards')
    }),
    { numRuns: 600 },
  )
  t.ok(taken > 100, `${taken} were accepted`)
})

t.test('addresses without zone and mapping', async (t) => {
  for (const [address, plain] of [
    ['1.2.3.4', '1.2.3.4'],
    ['::ffff:1.2.3.4', '1.2.3.4'],
    ['::ffff:102:304', '::ffff:102:304'],
    ['fe80::1%eth0', 'fe80::1'],
    ['::1', '::1'],
    ['', ''],
  ] as const)
    t.equal(plainAddress(address), plain, address)
})

t.test('loops', async (t) => {
  for (const [via, loop] of [
    ['', false],
    ['1.1 fairlead', false],
    ['1.1 fairlead, 1.1 fairlead', false],
    ['1.1 fairlead, 1.0 x, 1.1 FAIRLEAD,HTTP/1.1  fairlead (comment)', true],
    ['1.1 fairlead2, 1.1 afairlead, 1.1 x (fairlead), fairlead, fairlead', false],
    ['1.1 fairlead,1.1 fairlead,1.1 fairlead', true],
  ] as const)
    t.equal(isLoop(via), loop, via)
})

t.test('request ids that are passed on', async (t) => {
  for (const id of ['a', 'A-1.b_2~c:d/e+f=g@h', 'x'.repeat(128)]) t.ok(isSaneRequestId(id), id)
  for (const id of ['', 'a b', 'a"b', 'a\tb', '<', 'x'.repeat(129), '\xe9', 'a\n', 'a,b', 'a;b'])
    t.notOk(isSaneRequestId(id), id)
  fc.assert(fc.property(latin1, (id) => !isSaneRequestId(id) || /^[\x21-\x7e]+$/.test(id)))
})
