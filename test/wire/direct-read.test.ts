import { connect, createServer, type Socket } from 'node:net'
import t from 'tap'
import { givenBackMin, keepRead, readDirectly } from '../../src/wire/direct-read.ts'
import { until } from '../fixtures/until.ts'

interface Parts {
  readonly socket: Socket
  readonly peer: Socket
  /** What the consumer was given. */
  readonly reads: string[]
  /** Chunks that came as 'data' events. */
  readonly events: () => number
  readonly ended: () => boolean
}

/** A socket that a server accepted, read directly. */
async function withAccepted(fn: (parts: Parts) => Promise<void>): Promise<void> {
  const reads: string[] = []
  let socket: Socket | undefined
  let events = 0
  let ended = false
  const server = createServer({ allowHalfOpen: true }, (each) => {
    each.on('data', () => events++)
    each.on('end', () => (ended = true))
    readDirectly(each, (bytes) => void reads.push(bytes.toString()))
    socket = each
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const peer = connect({ port: typeof address === 'object' && address ? address.port : 0, host: '127.0.0.1' })
  try {
    await until(() => socket !== undefined)
    if (!socket) throw new Error('no socket')
    await fn({ socket, peer, reads, events: () => events, ended: () => ended })
  } finally {
    peer.destroy()
    socket?.destroy()
    server.close()
  }
}

t.test('chunks of a flowing socket reach the consumer once each, in order, without an event', async (t) => {
  await withAccepted(async ({ peer, reads, events, ended }) => {
    for (const text of ['one', 'two', 'three']) {
      peer.write(text)
      await until(() => reads.join('').endsWith(text))
    }
    t.equal(reads.join(''), 'onetwothree')
    t.equal(events(), 0)
    peer.end()
    await until(ended)
  })
})

t.test('a pause holds, what waited comes first, and then it is direct again', async (t) => {
  await withAccepted(async ({ socket, peer, reads, events }) => {
    socket.pause()
    peer.write('held')
    await until(() => socket.readableLength === 4)
    t.same(reads, [])
    socket.resume()
    await until(() => reads.length > 0)
    t.same(reads, ['held'])
    t.equal(events(), 1, 'by way of the stream')
    peer.write('direct')
    await until(() => reads.length > 1)
    t.same(reads, ['held', 'direct'])
    t.equal(events(), 1)
  })
})

t.test('a paused socket takes no more than its buffer', async (t) => {
  await withAccepted(async ({ socket, peer, reads }) => {
    socket.pause()
    const big = Buffer.alloc(8 * 2 ** 20, 'x')
    let sent = false
    peer.write(big, () => (sent = true))
    await until(() => socket.readableLength >= socket.readableHighWaterMark)
    t.ok(socket.readableLength < 1_000_000, 'back-pressure')
    t.notOk(sent)
    socket.resume()
    await until(() => reads.reduce((sum, text) => sum + text.length, 0) === big.length)
  })
})

t.test('the consumer may pause and end from within a read', async (t) => {
  await withAccepted(async ({ socket, peer, reads, ended }) => {
    const push = reads.push.bind(reads)
    reads.push = (...texts: string[]) => {
      socket.pause()
      return push(...texts)
    }
    peer.write('first')
    await until(() => reads.length === 1)
    peer.write('second')
    await until(() => socket.readableLength === 6)
    t.same(reads, ['first'])
    reads.push = push
    socket.resume()
    await until(() => reads.length === 2)
    peer.end()
    await until(ended)
  })
})

t.test('what comes while something waits goes behind it', async (t) => {
  await withAccepted(async ({ socket, peer, reads }) => {
    socket.pause()
    peer.write('held')
    await until(() => socket.readableLength === 4)
    socket.resume()
    socket.push(Buffer.from('next'))
    await until(() => reads.join('').length === 8)
    t.equal(reads.join(''), 'heldnext')
  })
})

t.test('a large read is given back after the call, unless it is small, kept, or not alone in its memory', async (t) => {
  const chunks: Buffer[] = []
  const server = createServer((socket) =>
    readDirectly(socket, (bytes) => {
      chunks.push(bytes)
      if (bytes[0] === 0x6b) keepRead()
    }),
  )
  let accepted: Socket | undefined
  server.on('connection', (socket) => (accepted = socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const peer = connect({ port: typeof address === 'object' && address ? address.port : 0, host: '127.0.0.1' })
  t.teardown(() => {
    peer.destroy()
    accepted?.destroy()
    server.close()
  })
  await until(() => accepted !== undefined)
  const slab = Buffer.allocUnsafeSlow(3 * givenBackMin)
  const cases: readonly (readonly [string, Buffer, boolean])[] = [
    ['large', Buffer.alloc(givenBackMin, 'x'), false],
    ['kept', Buffer.alloc(givenBackMin, 'k'), true],
    ['large after a kept one', Buffer.alloc(2 * givenBackMin, 'x'), false],
    ['small', Buffer.alloc(givenBackMin - 1, 'x'), true],
    ['a part', slab.subarray(0, 2 * givenBackMin), true],
  ]
  for (const [what, bytes, stays] of cases) {
    const { length } = bytes
    accepted?.push(bytes)
    t.equal(chunks.at(-1)?.length, stays ? length : 0, what)
  }
  t.equal(slab.length, 3 * givenBackMin)
  accepted?.pause()
  const waited = Buffer.alloc(givenBackMin, 'x')
  accepted?.push(waited)
  t.equal(waited.length, givenBackMin)
  accepted?.resume()
  await until(() => waited.length === 0, { what: 'what waited is given back, too' })
  const before = chunks.length
  peer.write(Buffer.alloc(3 * givenBackMin, 'x'))
  await until(() => chunks.length > before)
  await until(() => chunks.slice(before).every((chunk) => chunk.length < givenBackMin), {
    what: 'what the kernel brings is given back too',
  })
})
