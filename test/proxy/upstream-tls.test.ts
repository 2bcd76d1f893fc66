/** Requests to instances by TLS: what a failure becomes, that others take over, health, and tunnels. */
import t, { type Test } from 'tap'
import { systemClock } from '../../src/core/clock.ts'
import { silentLogger } from '../../src/core/log.ts'
import { createHealth } from '../../src/health/monitor.ts'
import { createProber } from '../../src/health/prober.ts'
import type { ServiceTls } from '../../src/policy/policy.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { get, post, stateOf, swapped, underWay, withRig } from '../fixtures/plane-parts.ts'
import { type TlsParts, tlsParts } from '../fixtures/tls-parts.ts'
import { until } from '../fixtures/until.ts'
import { value } from '../fixtures/wire-message.ts'

function tlsTest(name: string, fn: (t: Test, parts: TlsParts & { readonly tls: ServiceTls }) => Promise<void>): void {
  void t.test(name, async (t) => {
    const parts = await tlsParts()
    if (!parts) return t.comment('needs openssl')
    await fn(t, { ...parts, tls: { ...parts.client, files: undefined } })
  })
}

tlsTest('requests of all kinds, over connections that are kept', async (t, { server, tls }) => {
  await withRig({ backend: { tls: server }, policy: { tls } }, async (rig) => {
    const client = await rig.client()
    for (const text of [get(), `${post('Content-Length: 5')}hello`, `${post('Transfer-Encoding: chunked')}2\r\nab\r\n0\r\n\r\n`]) {
      await client.send(text)
      t.match(await client.answer(), { status: 200, body: 'ok' })
    }
    t.equal(rig.backend.connections.length, 1)
    t.same(rig.requests.map(({ body }) => body), ['', 'hello', 'ab'])
  })
}) // prettier-ignore

tlsTest('who cannot be trusted gets nothing, and the client is told', async (t, { server, tls }) => {
  const policy = { tls: { ...tls, serverName: 'b.test' } }
  await withRig({ backend: { tls: server }, policy }, async (rig) => {
    const client = await rig.client()
    await client.send(`${post('Content-Length: 5')}hello`)
    const answer = await client.answer()
    t.equal(answer.status, 502)
    t.equal(value(answer.fields, 'proxy-status'), 'fairlead; error=tls_certificate_error')
    t.same(rig.requests, [])
    t.match(rig.records, [{ cause: 'certificate', attempts: 1 }], 'it is asked once')
  })
})

tlsTest('why a certificate is not believed is told to the operator, once, and not to the client', async (t, parts) => {
  const { server, tls } = parts
  const clock = new FakeClock()
  const lines: object[] = []
  const log = { ...silentLogger, warn: (fields: object, message: string) => void lines.push({ ...fields, message }) }
  const policy = { tls: { ...tls, serverName: 'b.test' } }
  await withRig({ backend: { tls: server }, policy, clock, log }, async (rig) => {
    const client = await rig.client()
    const failed = async (): Promise<void> => {
      await client.send(get())
      const answer = await client.answer()
      t.equal(answer.status, 502)
      t.notMatch(JSON.stringify(answer), /a\.test, IP|ALTNAME/)
    }
    for (let n = 0; n < 3; n++) await failed()
    const reason = 'ERR_TLS_CERT_ALTNAME_INVALID: it is not for b.test; it is for DNS:a.test, IP Address:127.0.0.1'
    for (const { attempts } of rig.troubles)
      t.match(attempts, [{ outcome: 'lost', reason: 'certificate', detail: reason, unsent: true }])
    const address = `127.0.0.1:${rig.backend.port}`
    const line = { service: 'one', endpoint: 'one-0', address, reason, message: /certificate of this instance is not believed/ }
    t.match(lines, [line])
    t.equal(lines.length, 1)
    const use = (serverName: string): void =>
      rig.plane.apply(swapped(rig.plane, (one) => ({ ...one, policy: { ...one.policy, tls: { ...tls, serverName } } })))
    use('c.test')
    await failed()
    t.equal(lines.length, 1, 'not yet: a line every ten seconds at most')
    clock.advance(10_000)
    for (let n = 0; n < 3; n++) await failed()
    t.match(lines, [line, { reason: /it is not for c\.test/ }])
    t.equal(lines.length, 2)
  })
}) // prettier-ignore

tlsTest('who speaks no TLS', async (t, { tls }) => {
  const backend = {
    sink: true,
    onConnect: ({ socket }: { socket: { end(text: string): void } }) => socket.end('HTTP/1.1 400 X\r\n\r\n'),
  }
  await withRig({ backend, policy: { tls } }, async (rig) => {
    const client = await rig.client()
    await client.send(get())
    const answer = await client.answer()
    t.equal(answer.status, 502)
    t.equal(value(answer.fields, 'proxy-status'), 'fairlead; error=tls_protocol_error')
    t.equal(rig.backend.connections.length, 1, 'it is asked once')
  }, ) // prettier-ignore
})

tlsTest('another instance takes over, whatever the method', async (t, { server, tls, issue }) => {
  const expired = await issue('IP:127.0.0.1', -1)
  await withRig({ backend: { tls: expired }, siblings: [{ tls: server }], policy: { tls } }, async (rig) => {
    const client = await rig.client()
    for (let n = 0; n < 8; n++) {
      await client.send(`${post('Content-Length: 5')}hello`)
      t.match(await client.answer(), { status: 200 })
    }
    t.same(rig.backend.requests, [])
    t.equal(rig.siblings[0]?.requests.length, 8)
    t.ok(rig.records.some(({ attempts }) => attempts === 2))
  })
})

tlsTest('certificates that fail eject where others of the service do better, and not where all fail', async (t, parts) => {
  const { server, tls, issue } = parts
  const expired = await issue('IP:127.0.0.1', -1)
  const createHealth_ = (sink: Parameters<typeof createHealth>[0]['sink']) =>
    createHealth({ clock: systemClock, random: () => 0.5, prober: createProber(systemClock), sink })
  for (const healthy of [true, false]) {
    const siblings = [{ tls: healthy ? server : expired }]
    const options = { backend: { tls: expired }, siblings, policy: { tls }, clock: systemClock, createHealth: createHealth_ }
    await withRig(options, async (rig) => {
      const client = await rig.client()
      for (let n = 0; n < 40; n++) {
        await client.send(get())
        t.equal((await client.answer()).status, healthy ? 200 : 502)
      }
      const view = rig.plane.healthOf(stateOf(rig.plane, 'one-0'))
      if (healthy) t.match(view, { state: 'ejected', cause: 'consecutive-failures' })
      else t.match(view, { state: 'healthy' }, 'a wrong ca setting takes nobody away')
    })
  }
}) // prettier-ignore

tlsTest('other settings of the service hold for the next request', async (t, { server, tls }) => {
  await withRig({ backend: { tls: server }, policy: { tls } }, async (rig) => {
    const client = await rig.client()
    const status = async (): Promise<number> => {
      await client.send(get())
      return (await client.answer()).status
    }
    const use = (next: ServiceTls): void =>
      rig.plane.apply(swapped(rig.plane, (one) => ({ ...one, policy: { ...one.policy, tls: next } })))
    t.equal(await status(), 200)
    use({ ...tls })
    t.equal(await status(), 200)
    t.equal(rig.backend.connections.length, 1, 'the same in another object')
    use({ ...tls, serverName: 'b.test' })
    t.equal(await status(), 502, 'the connection that stood was trusted by what holds no more')
    use({ ...tls, serverName: 'a.test' })
    t.equal(await status(), 200)
  })
})

tlsTest('a tunnel through TLS', async (t, { server, tls }) => {
  const key = 'dGhlIHNhbXBsZSBub25jZQ=='
  const accept = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='
  let heard = ''
  const backend = {
    tls: server,
    onRequest: (_request: unknown, connection: { tunnel: boolean; send(text: string): Promise<void> }) => {
      connection.tunnel = true
      void connection.send(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
      )
    },
    onTunnel: (bytes: string) => void (heard += bytes),
    onEnd: () => undefined,
  }
  await withRig({ backend, policy: { tls } }, async (rig) => {
    const client = await rig.client()
    await client.send(
      get('/chat', 'Connection: Upgrade', 'Upgrade: websocket', `Sec-WebSocket-Key: ${key}`, 'Sec-WebSocket-Version: 13'),
    )
    t.equal((await client.answer()).status, 101)
    const start = client.consumed
    const up = 'u'.repeat(400_000)
    const down = 'd'.repeat(400_000)
    void client.send(up)
    void rig.connection.send(down)
    await until(() => heard.length === up.length && client.received.length - start === down.length)
    client.end()
    await until(() => rig.connection.finished, { what: 'the end passed on' })
    await rig.connection.send('bye')
    await until(() => client.received.endsWith('bye'))
    rig.connection.end()
    await until(() => underWay(rig.plane) === 0)
  })
}) // prettier-ignore

tlsTest('an answer that only its end delimits reaches the client as a cut, however it ended', async (t, { server, tls }) => {
  const backend = {
    tls: server,
    onRequest: (_request: unknown, connection: { send(text: string): Promise<void> }) =>
      void connection.send('HTTP/1.1 200 OK\r\n\r\nhalf'),
  }
  for (const how of ['end', 'destroy'] as const)
    for (const minor of [1, 0])
      await withRig({ backend, policy: { tls } }, async (rig) => {
        const client = await rig.client()
        await client.send(get().replace('HTTP/1.1', `HTTP/1.${minor}`))
        await client.wait('half', () => client.received.includes('half'))
        rig.connection.socket[how]()
        await client.wait('an end', () => !client.open)
        t.notOk(client.received.endsWith('0\r\n\r\n'), 'no last chunk')
        if (minor === 0) t.ok(client.reset, 'no end that could be taken for one')
        await until(() => rig.records.length === 1)
        t.match(rig.records, [{ cause: /closed|reset/ }], how)
      })
}) // prettier-ignore
