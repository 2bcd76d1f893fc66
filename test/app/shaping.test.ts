/** What routes change on the way and whom they admit, at a backend that shows what reached it. */
import { createHash } from 'node:crypto'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ask, configOf, proxyPort, quiet, rigApp } from '../fixtures/app.ts'

interface Seen {
  readonly url: string
  /** Name and value in turn, as they came. */
  readonly raw: readonly string[]
}

/** Answers with what it was asked, and with two headers of its own. */
async function mirror(t: Test): Promise<number> {
  const server = createServer((req, res) => {
    res.setHeader('X-Powered-By', 'mirror')
    res.setHeader('X-Keep', 'kept')
    res.end(JSON.stringify({ url: req.url, raw: req.rawHeaders }))
  })
  server.on('upgrade', (req, socket) => {
    const accept = createHash('sha1').update(
      `${req.headers['sec-websocket-key'] ?? ''}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`,
    )
    socket.end(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Powered-By: mirror\r\n' +
        `Sec-WebSocket-Accept: ${accept.digest('base64')}\r\n\r\n`,
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

const values = ({ raw }: Seen, name: string): readonly string[] =>
  raw.flatMap((text, i) => (i % 2 === 0 && text.toLowerCase() === name ? (raw[i + 1] ?? []) : []))

async function proxy(
  t: Test,
  settings: string,
  tags: readonly string[] = [],
): Promise<{ port: number; backend: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-shaping-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const backend = await mirror(t)
  const web = { id: 'web-1', name: 'web', address: '127.0.0.1', port: backend, tags }
  writeFileSync(join(folder, 'services.json'), JSON.stringify({ services: [web] }))
  const { app } = rigApp(
    t,
    configOf(
      `${quiet.replace('127.0.0.1:0" }]', '127.0.0.1:0", trust: [127.0.0.1] }]')}catalog: { file: "${folder}/services.json" }\n${settings}`,
    ),
  )
  await app.start()
  return { port: proxyPort(app), backend }
}

t.test('path, Host and headers, both ways', async (t) => {
  const it = await proxy(
    t,
    `
routes:
  - path: /api
    service: web
    strip: /api
    prepend: /v2
    hostHeader: instance
    headers:
      request: { remove: [X-Secret], set: { X-Env: prod }, add: { X-More: two } }
      response: { remove: [X-Powered-By], set: { X-Keep: changed }, add: { Strict-Transport-Security: max-age=60 } }
  - { path: /named, service: web, hostHeader: "app.internal:81" }
  - { service: web }
`,
  )
  const headers = { host: 'shop.test', 'x-secret': '1', 'x-env': 'mine', 'x-more': 'one', 'x-forwarded-prefix': '/lie' }
  const got = await ask(it.port, '/api/cart?a=%20', { headers })
  const seen = JSON.parse(got.body) as Seen
  t.equal(seen.url, '/v2/cart?a=%20')
  t.same(values(seen, 'host'), [`127.0.0.1:${String(it.backend)}`])
  t.same(values(seen, 'x-forwarded-host'), ['shop.test'], 'whom the client asked is still told')
  t.same(values(seen, 'x-secret'), [])
  t.same(values(seen, 'x-env'), ['prod'])
  t.same(values(seen, 'x-more'), ['one', 'two'])
  t.same(values(seen, 'x-forwarded-prefix'), ['/api'])
  t.match(got.headers, { 'x-keep': 'changed', 'strict-transport-security': 'max-age=60' })
  t.equal(got.headers['x-powered-by'], undefined)
  t.ok(got.headers['content-length'], 'the framing stays')
  const named = JSON.parse((await ask(it.port, '/named', { headers: { host: 'shop.test' } })).body) as Seen
  t.same([named.url, ...values(named, 'host')], ['/named', 'app.internal:81'])
  const plain = JSON.parse((await ask(it.port, '/x', { headers })).body) as Seen
  t.same([plain.url, ...values(plain, 'host'), ...values(plain, 'x-secret')], ['/x', 'shop.test', '1'])
  t.match((await ask(it.port, '/x')).headers, { 'x-powered-by': 'mirror', 'x-keep': 'kept' })
})

t.test('who may', async (t) => {
  const it = await proxy(
    t,
    `
routes:
  - { path: /lan, service: web, allow: [10.0.0.0/8], deny: [10.6.6.6] }
  - { path: /most, service: web, deny: [10.0.0.0/8] }
`,
  )
  const status = async (path: string, forwarded: string): Promise<number> =>
    (await ask(it.port, path, { headers: forwarded === '' ? {} : { 'x-forwarded-for': forwarded } })).status
  t.equal(await status('/lan', '10.1.2.3'), 200)
  t.equal(await status('/lan', '10.6.6.6'), 403)
  t.equal(await status('/lan', '11.1.2.3'), 403)
  t.equal(await status('/lan', ''), 403, 'the peer itself')
  t.equal(await status('/lan', '11.1.1.1, 10.1.2.3'), 200, 'the nearest that no trusted peer is')
  t.equal(await status('/lan', '10.1.2.3, 11.1.1.1'), 403, 'not what the client claims before it')
  t.equal(await status('/most', '10.1.2.3'), 403)
  t.equal(await status('/most', ''), 200)
  const denied = await ask(it.port, '/most', { headers: { 'x-forwarded-for': '10.1.2.3' } })
  t.match(denied.headers, { 'proxy-status': 'fairlead; error=http_request_denied' })
})

t.test("fabio's tags change what its options say", async (t) => {
  const tags = [
    'urlprefix-/api strip=/api prepend=/v1 host=dst',
    'urlprefix-/old redirect=301,https://new.test$path',
    'urlprefix-/lan allow=ip:10.0.0.0/8',
  ]
  const it = await proxy(t, 'policy: { tags: urlprefix- }\n', tags)
  const seen = JSON.parse((await ask(it.port, '/api/x')).body) as Seen
  t.same([seen.url, ...values(seen, 'host')], ['/v1/x', `127.0.0.1:${String(it.backend)}`])
  t.match(await ask(it.port, '/old/y?z'), { status: 301, headers: { location: 'https://new.test/old/y?z' } })
  t.equal((await ask(it.port, '/lan')).status, 403)
})

t.test('a route that says something of X-Forwarded-Prefix itself is not contradicted', async (t) => {
  const it = await proxy(
    t,
    `
routes:
  - { path: /a, service: web, strip: /a, headers: { request: { set: { X-Forwarded-Prefix: /outer } } } }
  - { path: /b, service: web, strip: /b, headers: { request: { remove: [X-Forwarded-Prefix] } } }
`,
  )
  const seen = async (path: string): Promise<readonly string[]> =>
    values(
      JSON.parse((await ask(it.port, path, { headers: { 'x-forwarded-prefix': '/lie' } })).body) as Seen,
      'x-forwarded-prefix',
    )
  t.same(await seen('/a/x'), ['/outer'])
  t.same(await seen('/b/x'), [])
})

t.test('a WebSocket answer gets what the route says of answers, and the cookie that ties the user', async (t) => {
  const it = await proxy(
    t,
    `
routes:
  - { path: /, service: web, sticky: { cookie: tie }, headers: { response: { remove: [X-Powered-By], set: { X-Edge: yes } } } }
`,
  )
  const headers = await new Promise<Readonly<Record<string, unknown>>>((resolve, reject) => {
    const asked = request({
      port: it.port,
      host: '127.0.0.1',
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      },
    })
    asked.on('upgrade', (answer, socket) => {
      socket.destroy()
      resolve(answer.headers)
    })
    asked.on('response', ({ statusCode }) => reject(new Error(`no switch but ${statusCode}`)))
    asked.on('error', reject)
    asked.end()
  })
  t.match(headers, { 'x-edge': 'yes', 'set-cookie': [/^tie=/], 'sec-websocket-accept': /=$/ })
  t.notOk('x-powered-by' in headers)
})
