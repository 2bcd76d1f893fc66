/** Probes over real sockets on loopback: every way an answer may come, or not. */
import { spawn } from 'node:child_process'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { systemClock } from '../../src/core/clock.ts'
import { createProber } from '../../src/health/prober.ts'
import type { ProbeRequest, ProbeResult } from '../../src/health/port.ts'
import { plainConnector } from '../../src/wire/connector.ts'
import { TlsConnector } from '../../src/wire/tls.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { RawBackend } from '../fixtures/raw-backend.ts'
import { tlsParts } from '../fixtures/tls-parts.ts'
import { until } from '../fixtures/until.ts'

const prober = createProber(systemClock)
const head: NonNullable<ProbeRequest['http']> = { method: 'HEAD', path: '/', identity: '' }

interface Backend {
  readonly port: number
  readonly sockets: Socket[]
  readonly received: string[]
  /** Connections that are open now. */
  open: number
  close(): Promise<void>
}

/** Listens on a free port; `onData` is called with what came first on each connection. */
async function listen(
  onConnect: (socket: Socket) => void,
  onData: (socket: Socket) => void = () => {},
): Promise<Backend> {
  const sockets: Socket[] = []
  const server: Server = createServer((socket) => {
    sockets.push(socket)
    backend.open++
    socket.on('close', () => backend.open--)
    socket.on('error', () => {})
    socket.on('data', (bytes) => {
      backend.received.push(bytes.toString('latin1'))
      onData(socket)
    })
    onConnect(socket)
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  const backend: Backend = {
    port: (server.address() as AddressInfo).port,
    sockets,
    received: [],
    open: 0,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => void server.close(resolve))
    },
  }
  return backend
}

function ask(port: number, parts: Partial<ProbeRequest> = {}): Promise<ProbeResult> {
  return new Promise((resolve) => {
    let calls = 0
    prober(
      { host: '127.0.0.1', port, connector: plainConnector, http: head, deadlineMs: 5_000, ...parts },
      (result) => {
        if (++calls > 1) throw new Error('heard twice')
        resolve(result)
      },
    )
  })
}

void t.test('an answer, whatever its status, and the request it is to', async (t) => {
  const backend = await listen(
    () => {},
    (socket) => socket.write('HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot there'),
  )
  t.match(await ask(backend.port), { kind: 'answer', status: 404, identity: '' })
  t.equal(
    backend.received[0],
    `HEAD / HTTP/1.1\r\nHost: 127.0.0.1:${String(backend.port)}\r\nUser-Agent: fairlead-probe\r\nAccept: */*\r\nConnection: close\r\n\r\n`,
  )
  const result = await ask(backend.port, { http: { method: 'GET', path: '/healthz?x=1', identity: '' } })
  t.match(result, { kind: 'answer', tookMs: Number })
  t.match(backend.received[1], /^GET \/healthz\?x=1 HTTP\/1\.1\r\n/)
  t.equal(backend.sockets.length, 2, 'a connection of its own each time')
  await until(() => backend.open === 0, { what: 'every socket ended' })
  await backend.close()
})

void t.test('the identity header, in pieces', async (t) => {
  const backend = await listen(
    () => {},
    (socket) => {
      socket.write('HTTP/1.1 200 OK\r\nX-Service-')
      setTimeout(() => socket.write('Id: web-1\r\n\r\n'), 20)
    },
  )
  const http = { ...head, identity: 'x-service-id' }
  t.match(await ask(backend.port, { http }), { kind: 'answer', status: 200, identity: 'web-1' })
  t.match(await ask(backend.port, { http: { ...head, identity: 'x-other' } }), { kind: 'answer', identity: '' })
  await backend.close()
})

void t.test('tcp: a connection is enough, and it is closed', async (t) => {
  const backend = await listen(() => {})
  t.match(await ask(backend.port, { http: undefined }), { kind: 'connected', tookMs: Number })
  await until(() => backend.sockets.length === 1 && backend.open === 0)
  t.same(backend.received, [])
  await backend.close()
})

void t.test('refused', async (t) => {
  const backend = await listen(() => {})
  await backend.close()
  t.same(await ask(backend.port), { kind: 'refused' })
  t.same(await ask(backend.port, { http: undefined }), { kind: 'refused' })
  t.same(await ask(backend.port, { host: 'localhost' }), { kind: 'refused' }, 'by name, with more than one address')
})

void t.test('closed without a byte: by FIN or RST, at once or after the request', async (t) => {
  for (const end of ['end', 'resetAndDestroy'] as const) {
    const atOnce = await listen((socket) => void socket[end]())
    t.same(await ask(atOnce.port), { kind: 'closed' }, `${end} at once`)
    await atOnce.close()
    const after = await listen(
      () => {},
      (socket) => void socket[end](),
    )
    t.same(await ask(after.port), { kind: 'closed' }, `${end} after`)
    await after.close()
  }
})

void t.test('garbage, and an answer cut in its first line', async (t) => {
  for (const bytes of ['SSH-2.0-OpenSSH\r\n', '\0\0\0', '<html>']) {
    const backend = await listen((socket) => void socket.write(bytes))
    t.same(await ask(backend.port), { kind: 'invalid' }, JSON.stringify(bytes))
    await until(() => backend.open === 0)
    await backend.close()
  }
  const cut = await listen(
    () => {},
    (socket) => socket.end('HTTP/1.1 2'),
  )
  t.same(await ask(cut.port), { kind: 'invalid' })
  await cut.close()
  const reset = await listen(
    () => {},
    (socket) => socket.write('HTTP/1.1 2', () => setTimeout(() => socket.resetAndDestroy(), 20)),
  )
  t.same(await ask(reset.port), { kind: 'invalid' })
  await reset.close()
})

void t.test('an answer without end costs nothing', async (t) => {
  const backend = await listen(
    () => {},
    (socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      const more = (): void => void (socket.writable && socket.write(Buffer.alloc(65_536), more))
      more()
    },
  )
  t.match(await ask(backend.port), { kind: 'answer', status: 200 })
  await until(() => backend.open === 0)
  await backend.close()

  const endless = await listen((socket) => {
    socket.write('HTTP/1.1 200 OK\r\n')
    const more = (): void => void (socket.writable && socket.write(`X: ${'y'.repeat(1_000)}\r\n`, more))
    more()
  })
  t.same(await ask(endless.port, { http: { ...head, identity: 'x-id' } }), { kind: 'invalid' })
  await endless.close()
})

void t.test('silence ends at the deadline, not before, and so does an answer that trickles', async (t) => {
  for (const bytes of ['', 'HTTP/1.1 2']) {
    const clock = new FakeClock()
    const backend = await listen(
      () => {},
      (socket) => void (bytes && socket.write(bytes)),
    )
    let result: ProbeResult | undefined
    createProber(clock)(
      { host: '127.0.0.1', port: backend.port, connector: plainConnector, http: head, deadlineMs: 400 },
      (heard) => {
        result = heard
      },
    )
    await until(() => backend.received.length === 1)
    clock.advance(399)
    await turn()
    t.equal(result, undefined)
    clock.advance(1)
    await until(() => result)
    t.same(result, { kind: 'timeout' })
    t.equal(clock.pending, 0)
    await until(() => backend.open === 0, { what: 'the socket ended' })
    await backend.close()
  }
})

void t.test('an answer that waits to be read when the deadline fires late is heard', async (t) => {
  const backend = await listen(() => {})
  const clock = new FakeClock()
  let result: ProbeResult | undefined
  createProber(clock)(
    { host: '127.0.0.1', port: backend.port, connector: plainConnector, http: head, deadlineMs: 400 },
    (heard) => {
      result = heard
    },
  )
  await until(() => backend.received.length === 1)
  // Small writes go to the kernel at once, so the answer is there, unread, when the deadline fires in the same turn.
  await new Promise<void>((resolve) => {
    setTimeout(() => {
      backend.sockets[0]?.write('HTTP/1.1 200 OK\r\n\r\n')
      clock.advance(400)
      resolve()
    }, 0)
  })
  await until(() => result)
  t.match(result, { kind: 'answer' })
  await backend.close()
})

void t.test('given up: nothing is heard, and the socket ends', async (t) => {
  const backend = await listen(() => {})
  let heard = 0
  const probe = prober(
    { host: '127.0.0.1', port: backend.port, connector: plainConnector, http: head, deadlineMs: 5_000 },
    () => heard++,
  )
  await until(() => backend.received.length === 1)
  probe.cancel()
  probe.cancel()
  await until(() => backend.open === 0)
  const early = prober(
    { host: '127.0.0.1', port: backend.port, connector: plainConnector, http: head, deadlineMs: 5_000 },
    () => heard++,
  )
  early.cancel()
  await turn()
  t.equal(heard, 0)
  await backend.close()
})

void t.test('no way there', async (t) => {
  // Loopback's broadcast address, which TCP cannot reach and which nothing leaves the machine for.
  t.same(await ask(80, { host: '127.255.255.255' }), { kind: 'unreachable' })
})

void t.test('a stopped process accepts and does not answer; it does when it goes on; killed, it refuses', async (t) => {
  const script = `
    const server = require('node:http').createServer((_, res) => res.end('ok'))
    server.listen(0, '127.0.0.1', () => console.log(server.address().port))`
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  let printed = ''
  child.stdout.on('data', (bytes: Buffer) => (printed += bytes.toString()))
  const port = Number(await until(() => printed.includes('\n') && printed.trim()))
  t.match(await ask(port), { kind: 'answer', status: 200 })

  child.kill('SIGSTOP')
  // The signal is asynchronous: asked until it shows.
  await until(async () => (await ask(port, { deadlineMs: 100 })).kind === 'timeout')
  t.match(await ask(port, { http: undefined }), { kind: 'connected' }, 'a connect alone proves nothing')
  const waiting = ask(port)
  child.kill('SIGCONT')
  t.match(await waiting, { kind: 'answer', status: 200 }, 'what was asked meanwhile is answered')

  child.kill('SIGKILL')
  await until(() => child.signalCode)
  t.same(await ask(port), { kind: 'refused' })
})

void t.test('TLS is spoken where requests speak it', async (t) => {
  const parts = await tlsParts()
  if (!parts) return t.comment('needs openssl')
  const { authority, client, server } = parts
  const connector = new TlsConnector(client)
  const good = await RawBackend.open({ tls: server })
  t.match(await ask(good.port, { connector }), { kind: 'answer', status: 200 })
  t.match(good.requests, [{ startLine: 'HEAD / HTTP/1.1' }])
  t.match(await ask(good.port, { connector, http: undefined }), { kind: 'connected' }, 'a handshake, not only TCP')
  const told: string[] = []
  const stranger = new TlsConnector({ ...client, serverName: 'b.test' }, (reason) => told.push(reason) > 0)
  for (const http of [head, undefined])
    t.same(await ask(good.port, { connector: stranger, http }), { kind: 'invalid' }, 'it lives, but is not trusted')
  t.match(told, [/it is not for b\.test/])
  t.equal(told.length, 1, 'an instance that gets no requests is explained too')
  await good.close()
  const asking = await RawBackend.open({ tls: { ...server, ca: authority.cert, requestCert: true } })
  t.same(await ask(asking.port, { connector }), { kind: 'invalid' }, 'it does not trust us')
  await asking.close()

  const plain = await listen(
    () => {},
    (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
  )
  t.same(await ask(plain.port, { connector }), { kind: 'invalid' }, 'no TLS is spoken there')
  await plain.close()
  for (const how of ['end', 'resetAndDestroy'] as const) {
    const ending = await listen(
      () => {},
      (socket) => socket[how](),
    )
    t.same(await ask(ending.port, { connector }), { kind: 'closed' }, `${how} in the handshake`)
    await ending.close()
  }
  t.same(await ask(1, { host: '127.77.0.1', connector }), { kind: 'refused' })
})
