/** Which descriptors listen where, as the kernel tells it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../src/core/clock.ts'
import { silentLogger } from '../../src/core/log.ts'
import { createCopier } from '../../src/handover/copier.ts'
import { isListeningAt, listeningSockets, parseTable } from '../../src/handover/listening.ts'
import { plainHost } from '../../src/handover/messages.ts'

const head = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n'

t.test('a table of the kernel', (t) => {
  const rest = '00000000:00000000 00:00000000 00000000     0        0'
  const four = parseTable(
    `${head}   0: 0100007F:1F90 00000000:0000 0A ${rest} 4711 1 0\n   1: 0100007F:1F91 0100007F:C350 01 ${rest} 4712 1 0\n`,
  )
  t.same([...four], [['4711', { host: '127.0.0.1', port: 8080 }]])
  const zeros = '0'.repeat(32)
  const six = parseTable(
    `${head}   0: ${zeros}:0050 ${zeros}:0000 0A ${rest} 1 1 0\n   1: B80D0120000000000000000001000000:0051 ${zeros}:0000 0A ${rest} 2 1 0\n`,
  )
  t.same(
    [...six],
    [
      ['1', { host: '::', port: 80 }],
      ['2', { host: '2001:db8::1', port: 81 }],
    ],
  )
  t.same([...parseTable('')], [])
  t.end()
})

t.test('one way to write an address', (t) => {
  for (const [written, plain] of [
    ['127.0.0.1', '127.0.0.1'],
    ['::', '::'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['2001:0DB8::0001', '2001:db8::1'],
  ] as const)
    t.equal(plainHost(written), plain)
  t.end()
})

t.test('the sockets of this process', { skip: process.platform !== 'linux' && 'Linux only' }, async (t) => {
  const before = listeningSockets().length
  const servers = ['127.0.0.1', '::1'].map((host) => ({ host, server: createServer() }))
  for (const { host, server } of servers)
    await new Promise<void>((resolve) => server.listen({ host, port: 0 }, resolve))
  const found = listeningSockets()
  for (const { host, server } of servers) {
    const address = server.address()
    const port = typeof address === 'object' && address ? address.port : 0
    t.equal(found.filter((each) => each.host === host && each.port === port && each.fd > 2).length, 1)
  }
  for (const { server } of servers) server.close()
  t.equal(listeningSockets().length, before)
})

t.test('copies of a socket are one', { skip: process.platform !== 'linux' && 'Linux only' }, async (t) => {
  const before = listeningSockets().length
  const servers = [createServer()]
  await new Promise<void>((resolve) => servers[0]?.listen({ host: '127.0.0.1', port: 0 }, resolve))
  const copy = createCopier({ clock: systemClock, log: silentLogger })
  await new Promise<void>((resolve) => servers[0] && copy(servers[0], 1, (one) => resolve(void servers.push(one))))
  t.equal(listeningSockets().length, before + 1)
  for (const server of servers) server.close()
})

t.test(
  'a Unix socket is seen to listen without a connection to it',
  { skip: process.platform !== 'linux' },
  async (t) => {
    // A folder of the test runner would make the path too long for a socket.
    const folder = mkdtempSync(join(tmpdir(), 'fl-'))
    t.teardown(() => rmSync(folder, { recursive: true }))
    const path = join(folder, 'a.sock')
    let came = 0
    const server = createServer(() => came++)
    t.equal(isListeningAt(path), false)
    await new Promise<void>((resolve) => server.listen(path, resolve))
    t.equal(isListeningAt(path), true)
    t.equal(isListeningAt(path.slice(1)), false, 'another path with the same end')
    await new Promise((resolve) => server.close(resolve))
    t.equal(isListeningAt(path), false)
    t.equal(came, 0)
  },
)
