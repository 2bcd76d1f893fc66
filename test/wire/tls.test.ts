/** TLS to an upstream, over real sockets: who is believed, what is resumed, and that no end of an answer is one. */
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { createServer as createTlsServer, type PeerCertificate, type TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { Deadlines, sweepMs } from '../../src/wire/deadlines.ts'
import { defaultWireLimits } from '../../src/wire/limits.ts'
import { Pool } from '../../src/wire/pool.ts'
import { sameTls, systemTlsIdentity, TlsConnector, TlsIdentity, type TlsOptions } from '../../src/wire/tls.ts'
import type { Certificate } from '../fixtures/certificates.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { headText } from '../fixtures/heads.ts'
import { type BackendScript, okAnswer } from '../fixtures/raw-backend.ts'
import { settle } from '../fixtures/raw-client.ts'
import { Relay, type TlsParts, tlsParts, trusting } from '../fixtures/tls-parts.ts'
import { until } from '../fixtures/until.ts'
import { Recording, request, timeouts, type Upstream, withUpstream } from '../fixtures/upstream-parts.ts'

const ok = headText('HTTP/1.1 200 OK')

function tlsTest(name: string, fn: (t: Test, parts: TlsParts) => Promise<void>): void {
  void t.test(name, async (t) => {
    const parts = await tlsParts()
    if (!parts) return t.comment('needs openssl')
    await fn(t, parts)
  })
}

/** Runs with an upstream of TLS. */
const secured = (
  { server, client }: Pick<TlsParts, 'server' | 'client'>,
  script: BackendScript,
  fn: (upstream: Upstream) => Promise<void>,
): Promise<void> => withUpstream({ ...script, tls: server }, fn, {}, false, client)

/** One request over a pool of its own to `host`; what was told of it. */
async function once(host: string, port: number, tls: TlsOptions): Promise<Recording> {
  const deadlines = new Deadlines(new FakeClock())
  const pool = new Pool(host, port, deadlines, () => defaultWireLimits)
  pool.useTls(tls)
  const connection = pool.acquire(0)
  if (!connection) throw new Error('no connection')
  const exchange = new Recording()
  exchange.on.connected = () => {
    connection.requestDone()
    connection.write(request)
  }
  connection.begin(exchange, false, false, timeouts)
  await until(() => exchange.ended, { what: 'an end' })
  pool.destroy()
  return exchange
}

tlsTest('who is believed', async (t, parts) => {
  const { authority, client, issue } = parts
  const stranger = { ...client, identity: new TlsIdentity({ ca: undefined, cert: undefined, key: undefined }) }
  const cases = [
    { name: 'an address in its certificate', server: parts.server, client },
    { name: 'a name that is asked for', server: await issue('DNS:a.test'), client: { ...client, serverName: 'a.test' } },
    { name: 'a host name', host: 'localhost', server: await issue('DNS:localhost'), client },
    { name: 'an authority nobody knows', server: parts.server, client: stranger, code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE: no trusted authority stands behind it; it is issued by CN=an authority of the tests' },
    { name: 'another name', server: parts.server, client: { ...client, serverName: 'b.test' }, code: 'ERR_TLS_CERT_ALTNAME_INVALID: it is not for b.test; it is for DNS:a.test, IP Address:127.0.0.1' },
    { name: 'an address that is not in it', server: await issue('DNS:a.test,IP:127.0.0.2'), client, code: 'ERR_TLS_CERT_ALTNAME_INVALID: it is not for 127.0.0.1; it is for DNS:a.test, IP Address:127.0.0.2' },
    { name: 'a name where the address is one', server: await issue('DNS:127.0.0.1'), client, code: 'ERR_TLS_CERT_ALTNAME_INVALID: it is not for 127.0.0.1; it is for DNS:127.0.0.1' },
    { name: 'expired', server: await issue('IP:127.0.0.1', -1), client, code: /^CERT_HAS_EXPIRED: expired; it is valid from \w{3} .* GMT to \w{3} .* GMT$/ },
    { name: 'self-signed', server: authority, client: stranger, code: 'DEPTH_ZERO_SELF_SIGNED_CERT: it is self-signed, by CN=an authority of the tests, and not among the authorities that are trusted' },
    { name: 'anybody, where nothing is verified', server: await issue('DNS:x', -1), client: { ...stranger, verify: false } },
  ] // prettier-ignore
  for (const { name, host = '127.0.0.1', server, client: options, code } of cases)
    await secured({ server, client: options }, {}, async ({ backend }) => {
      const { failure } = await once(host, backend.port, options)
      if (code === undefined) return void t.equal(failure, undefined, name)
      t.match(failure, { kind: 'certificate', detail: code, reused: false, sent: false, received: false }, name)
      if (typeof code === 'string') t.equal(failure?.detail, code, name)
      t.same(backend.requests, [], `${name}: it got nothing`)
    })
})

tlsTest('why nobody is believed is told once, and again when it changed or was well in between', async (t, parts) => {
  const [expired, other] = await Promise.all([parts.issue('IP:127.0.0.1', -1), parts.issue('IP:127.0.0.2')])
  const server = createTlsServer(expired).listen(0, '127.0.0.1')
  server.on('tlsClientError', () => {})
  await until(() => server.listening)
  const { port } = server.address() as AddressInfo
  let takes = true
  let told: string[] = []
  const connector = new TlsConnector(parts.client, (reason) => {
    told.push(reason.split(':', 1)[0] ?? '')
    return takes
  })
  const meet = async (certificate: Certificate | TlsParts['server'], times: number): Promise<string[]> => {
    server.setSecureContext(certificate)
    told = []
    for (let n = 0; n < times; n++) {
      const socket = connector.open('127.0.0.1', port)
      let over = false
      socket.on('secureConnect', () => (over = true))
      socket.on('error', (error) => {
        connector.connectFailure(socket, error)
        over = true
      })
      await until(() => over)
      socket.destroy()
    }
    return told
  }
  t.same(await meet(expired, 3), ['CERT_HAS_EXPIRED'])
  t.same(await meet(other, 3), ['ERR_TLS_CERT_ALTNAME_INVALID'])
  t.same(await meet(other, 1), [])
  t.same(await meet(parts.server, 2), [])
  t.same(await meet(other, 2), ['ERR_TLS_CERT_ALTNAME_INVALID'])
  takes = false
  t.same(await meet(expired, 2), ['CERT_HAS_EXPIRED', 'CERT_HAS_EXPIRED'], 'what was not taken is told again')
  server.close()
})

tlsTest('which name is asked for, and that HTTP/1.1 is all that is spoken', async (t, { client, server }) => {
  const asked: unknown[] = []
  const script: BackendScript = {
    onConnect: ({ socket }) => {
      const { servername, alpnProtocol } = socket as TLSSocket & { readonly servername?: unknown }
      asked.push([servername, alpnProtocol])
    },
  }
  const server2 = { ...server, ALPNProtocols: ['h2', 'http/1.1'] }
  await secured({ server: server2, client: { ...client, verify: false } }, script, async ({ backend }) => {
    for (const [host, serverName] of [
      ['127.0.0.1', undefined],
      ['localhost', undefined],
      ['127.0.0.1', 'a.test'],
    ] as const)
      // prettier-ignore
      await once(host, backend.port, { ...client, verify: false, serverName })
  })
  t.same(asked, [
    [false, 'http/1.1'],
    ['localhost', 'http/1.1'],
    ['a.test', 'http/1.1'],
  ])
})

tlsTest('a client certificate is shown to whoever asks', async (t, { authority, server, issue }) => {
  const own = await issue('DNS:the.proxy')
  const seen: (PeerCertificate | object)[] = []
  const script: BackendScript = {
    onConnect: ({ socket }) => seen.push((socket as TLSSocket).getPeerCertificate()),
  }
  const asking = { ...server, ca: authority.cert, requestCert: true }
  await secured({ server: asking, client: trusting(authority, own) }, script, async (upstream) => {
    t.match(await upstream.exchange(), { body: 'ok' })
    t.match(seen, [{ subjectaltname: 'DNS:the.proxy' }])
  })
  // TLS 1.3 says so only after the client is done with its handshake, TLS 1.2 within.
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const)
    await secured({ server: { ...asking, maxVersion }, client: trusting(authority) }, {}, async (upstream) => {
      const { failure } = await upstream.exchange()
      t.equal(failure?.kind, 'tls', `${maxVersion}: ${failure?.detail}`)
      t.same(upstream.backend.requests, [])
    })
})

tlsTest('an answer that only its end delimits is never taken for whole', async (t, parts) => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const)
    for (const announced of [true, false]) {
      const server = { ...parts.server, maxVersion }
      const script: BackendScript = { onRequest: (_request, connection) => void connection.send(`${ok}hello`) }
      await secured({ server, client: parts.client }, script, async ({ backend }) => {
        const relay = await Relay.open(backend.port)
        const exchange = new Recording()
        exchange.on.body = () => (announced ? backend.connections[0]?.end() : relay.cut())
        await viaRelay(relay, parts.client, exchange)
        const failure = { kind: 'closed', detail: 'unproven-end', received: true }
        t.match(exchange, { body: 'hello', failure }, `${maxVersion}, ${announced ? 'close_notify' : 'FIN alone'}`)
        await relay.close()
      })
    }
})

async function viaRelay(relay: Relay, client: TlsOptions, exchange = new Recording()): Promise<Recording> {
  const deadlines = new Deadlines(new FakeClock())
  const pool = new Pool('127.0.0.1', relay.port, deadlines, () => defaultWireLimits)
  pool.useTls(client)
  const connection = pool.acquire(0)
  exchange.on.connected = () => {
    connection?.requestDone()
    connection?.write(request)
  }
  connection?.begin(exchange, false, false, timeouts)
  await until(() => exchange.ended, { what: 'an end' })
  pool.destroy()
  return exchange
}

tlsTest('records that arrive byte by byte', async (t, parts) => {
  const body = 'x'.repeat(500)
  const answer = headText('HTTP/1.1 200 OK', `Content-Length: ${body.length}`) + body
  const script: BackendScript = { onRequest: (_request, connection) => void connection.send(answer) }
  await secured(parts, script, async ({ backend }) => {
    const relay = await Relay.open(backend.port)
    relay.trickle = true
    t.match(await viaRelay(relay, parts.client), { body, failure: undefined })
    await relay.close()
  })
})

tlsTest('killed in the middle of an answer', async (t, parts) => {
  const script: BackendScript = {
    onRequest: (_request, connection) => void connection.send(`${headText('HTTP/1.1 200 OK', 'Content-Length: 9')}hel`),
  }
  for (const how of ['abort', 'destroy', 'end'] as const)
    await secured(parts, script, async (upstream) => {
      const exchange = new Recording()
      exchange.on.body = () => {
        const connection = upstream.backend.connections[0]
        if (how === 'destroy') connection?.socket.destroy()
        else connection?.[how]()
      }
      await upstream.exchange({ exchange })
      t.equal(exchange.body, 'hel')
      t.equal(exchange.failure?.kind, how === 'abort' ? 'reset' : 'closed', how)
      t.equal(exchange.failure?.received, true)
      t.equal(upstream.pool.open, 0)
    })
})

tlsTest('sessions are resumed with the same settings, and with no others', async (t, parts) => {
  const reused: boolean[] = []
  const script: BackendScript = {
    onConnect: ({ socket }) => reused.push((socket as TLSSocket).isSessionReused()),
    onRequest: (_request, connection) => void connection.send(okAnswer),
  }
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    reused.length = 0
    await secured({ server: { ...parts.server, maxVersion }, client: parts.client }, script, async (upstream) => {
      await upstream.exchange()
      await upstream.exchange({ fresh: true })
      t.same(reused, [false, true], maxVersion)
      upstream.pool.useTls({ ...parts.client, identity: new TlsIdentity({ ...noOwn, ca: parts.authority.cert }) })
      t.equal(upstream.pool.idle, 2, 'the same settings, read again')
      upstream.pool.useTls({ ...parts.client, serverName: 'a.test' })
      t.equal(upstream.pool.idle, 0, 'other settings')
      await upstream.exchange()
      t.same(reused, [false, true, false], maxVersion)
    })
  }
})

const noOwn = { cert: undefined, key: undefined }

tlsTest('other settings let what is under way finish, and nothing more', async (t, parts) => {
  await secured(parts, { onRequest: () => {} }, async (upstream) => {
    const { exchange } = upstream.send()
    await until(() => upstream.backend.requests.length === 1)
    upstream.pool.useTls(undefined)
    t.equal(upstream.pool.open, 1)
    await upstream.backend.connections[0]?.send(okAnswer)
    await until(() => exchange.ended)
    t.match(exchange, { body: 'ok', failure: undefined })
    t.equal(upstream.pool.open, 0, 'it is not kept')
  })
})

tlsTest('what ends while idle is gone', async (t, parts) => {
  await secured(parts, {}, async (upstream) => {
    for (const how of ['end', 'abort'] as const) {
      await upstream.exchange()
      t.equal(upstream.pool.idle, 1)
      upstream.backend.connections.at(-1)?.[how]()
      await until(() => upstream.pool.open === 0, { what: `${how}: gone` })
    }
    await upstream.exchange()
    t.equal(upstream.backend.connections.length, 3)
  })
})

/** Listens with plain TCP. */
async function plain(onSocket: (socket: Socket) => void): Promise<{ port: number; close: () => Promise<void> }> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    onSocket(socket)
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => void server.close(resolve))
    },
  }
}

tlsTest('handshakes that fail', async (t, { client }) => {
  const cases: readonly [name: string, onSocket: (socket: Socket) => void, kind: string][] = [
    ['plain HTTP', (socket) => socket.once('data', () => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')), 'tls'],
    ['an alert', (socket) => socket.once('data', () => socket.write(Buffer.from([21, 3, 3, 0, 2, 2, 40]))), 'tls'],
    ['an end', (socket) => socket.once('data', () => socket.end()), 'closed'],
    ['a reset', (socket) => socket.once('data', () => socket.resetAndDestroy()), 'reset'],
  ]
  for (const [name, onSocket, kind] of cases) {
    const { port, close } = await plain(onSocket)
    const { failure } = await once('127.0.0.1', port, client)
    t.match(failure, { kind, sent: false, received: false, reused: false }, `${name}: ${failure?.detail}`)
    await close()
  }
  const { failure } = await once('127.77.0.1', 1, client)
  t.match(failure, { kind: 'refused', sent: false })
})

tlsTest('a handshake that is not answered counts as connecting', async (t, { client }) => {
  const { port, close } = await plain(() => {})
  const clock = new FakeClock()
  const deadlines = new Deadlines(clock)
  const pool = new Pool('127.0.0.1', port, deadlines, () => defaultWireLimits)
  pool.useTls(client)
  const exchange = new Recording()
  pool.acquire(0)?.begin(exchange, false, false, timeouts)
  await settle(20)
  clock.advance(timeouts.connectMs - sweepMs)
  t.same(exchange.events, [])
  clock.advance(2 * sweepMs)
  t.match(exchange.failure, { kind: 'connect-timeout', sent: false })
  await close()
})

tlsTest('settings that say the same, and those that do not', async (t, { authority, client, issue }) => {
  const again = new TlsIdentity({ ca: authority.cert, ...noOwn })
  t.ok(sameTls(client, { ...client, identity: again }))
  t.ok(sameTls(undefined, undefined))
  t.notOk(sameTls(client, undefined))
  t.notOk(sameTls(undefined, client))
  t.notOk(sameTls(client, { ...client, verify: false }))
  t.notOk(sameTls(client, { ...client, serverName: 'a.test' }))
  t.notOk(sameTls(client, { ...client, identity: undefined }))
  const own = await issue('DNS:own')
  const identity = new TlsIdentity({ ca: authority.cert, ...own })
  t.notOk(sameTls(client, { ...client, identity }))
  t.notMatch(JSON.stringify(identity), /PRIVATE/)
  t.throws(() => new TlsIdentity({ ca: authority.cert, cert: own.cert, key: authority.key }), 'a key of another')
  t.equal(systemTlsIdentity(), systemTlsIdentity(), 'made once')
})
