import fc from 'fast-check'
import { createServer, connect, type AddressInfo, type Socket } from 'node:net'
import { once } from 'node:events'
import t from 'tap'
import { SocketWriter } from '../../src/wire/socket-writer.ts'
import { turn } from '../fixtures/raw-client.ts'

interface Pair {
  readonly socket: Socket
  readonly writer: SocketWriter
  readonly peer: Socket
  /** Each call of the socket's `write`, as it was given. */
  readonly writes: (string | Buffer)[]
}

/** No two bytes in a row are the same. */
const bytesOf = (length: number): Buffer => Buffer.from(Array.from({ length }, (_, index) => (index * 7) % 251))

/** Two ends of a connection; `peer` is not read until it is resumed. */
async function withPair(fn: (pair: Pair) => Promise<void>): Promise<void> {
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true })
  const [[peer]] = (await Promise.all([once(server, 'connection'), once(socket, 'connect')])) as [[Socket], unknown]
  const writes: (string | Buffer)[] = []
  const write = socket.write.bind(socket)
  socket.write = (chunk: string | Buffer, ...rest: unknown[]) => {
    writes.push(chunk)
    return Reflect.apply(write, socket, [chunk, ...rest])
  }
  try {
    await fn({ socket, writer: new SocketWriter(socket), peer, writes })
  } finally {
    socket.destroy()
    peer.destroy()
    server.close()
    await once(server, 'close')
  }
}

/** All that the peer reads up to the end. */
async function readToEnd(peer: Socket): Promise<Buffer> {
  const parts: Buffer[] = []
  peer.on('data', (bytes: Buffer) => parts.push(bytes))
  peer.resume()
  await once(peer, 'end')
  return Buffer.concat(parts)
}

t.test('texts of one turn leave together at its end', async (t) => {
  await withPair(async ({ writer, writes, peer, socket }) => {
    t.equal(writer.write('a'), true)
    t.equal(writer.write('bc'), true)
    t.strictSame(writes, [], 'in the turn nothing leaves')
    t.match([writer.length, writer.bytesWritten, writer.sends], [3, 3, 0])
    await turn()
    t.strictSame(writes, ['abc'])
    t.match([writer.length, writer.bytesWritten, writer.sends], [0, 3, 1])
    writer.write('d')
    await turn()
    t.strictSame(writes, ['abc', 'd'], 'and the next turn has its own')
    writer.write('\xe9')
    writer.end()
    t.strictSame(writes, ['abc', 'd', '\xe9'], 'the end waits for nothing')
    t.equal(socket.writableEnded, true)
    t.equal((await readToEnd(peer)).toString('latin1'), 'abcd\xe9')
  })
})

t.test(
  'bytes wait for the end of the turn too, unless they are many; what was written before leaves before',
  async (t) => {
    await withPair(async ({ writer, writes }) => {
      const [few, many] = [Buffer.from('few'), bytesOf(16_385)]
      let done = 0
      writer.write('a')
      writer.writeBytes(few, () => done++)
      t.strictSame(writes, ['a'], 'the text does not wait for what is behind it')
      t.equal(writer.length, 3)
      writer.write('b')
      t.strictSame(writes, ['a', few])
      writer.writeBytes(many, () => done++)
      t.strictSame(writes, ['a', few, 'b', many], 'many leave at once')
      await turn()
      t.equal(writes.length, 4, 'nothing leaves twice')
      t.equal(done, 2)
    })
  },
)

t.test('text that grows long does not wait', async (t) => {
  await withPair(async ({ writer, writes }) => {
    writer.write('x'.repeat(16_383))
    t.equal(writes.length, 0)
    writer.write('y')
    t.equal(writes.length, 1)
    t.equal(writer.length, 0)
  })
})

t.test('what is dropped is not sent, and its bytes are given back', async (t) => {
  await withPair(async ({ writer, writes }) => {
    writer.write('a')
    writer.drop()
    let done = 0
    writer.writeBytes(Buffer.from('b'), (error) => (done += error ? 10 : 1))
    writer.drop()
    writer.drop()
    t.equal(done, 1)
    await turn()
    t.strictSame(writes, [])
    t.match([writer.sends, writer.length, writer.bytesWritten], [0, 0, 0])
  })
})

t.test('many sockets do not wait for the rest of a turn', async (t) => {
  const pairs: Pair[] = []
  const open = async (): Promise<void> => {
    if (pairs.length < 33) return withPair(async (pair) => (pairs.push(pair), open()))
    for (const { writer } of pairs.slice(0, 31)) writer.write('a')
    t.equal(pairs.filter(({ writes }) => writes.length > 0).length, 0)
    pairs[31]?.writer.write('a')
    t.equal(pairs.filter(({ writes }) => writes.length > 0).length, 32, 'all up to the one that was too many')
    pairs[32]?.writer.write('a')
    t.equal(pairs[32]?.writes.length, 0, 'the next begins anew')
    await turn()
    t.ok(pairs.every(({ writes }) => writes.length === 1))
  }
  await open()
})

t.test('a socket that takes no more says so, and when it does again', async (t) => {
  await withPair(async ({ writer, socket, peer }) => {
    const block = bytesOf(1_048_576)
    let written = 0
    for (; writer.writeBytes(block) && written < 64;) written++
    t.equal(writer.write('a'), false, 'kept, but to be waited for')
    await turn()
    t.equal(writer.write('b'), false)
    t.ok(writer.length > 0)
    peer.resume()
    await once(socket, 'drain')
    t.equal(writer.write('c'), true)
  })
})

t.test('a socket that is gone takes nothing and harms nobody', async (t) => {
  await withPair(async ({ writer, socket }) => {
    const errors: Error[] = []
    socket.on('error', (error) => errors.push(error))
    writer.write('a')
    socket.destroy()
    await once(socket, 'close')
    t.strictSame(errors, [])
  })
})

t.test('whatever is written, however: all of it comes, in its order', async () => {
  const step = fc.oneof(
    fc.string({ unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)), maxLength: 40 }).map((text) => ({ text })),
    fc.nat({ max: 3 }).map((size) => ({ text: 'abcdefghij'.repeat(10 ** size) })),
    fc.constantFrom(0, 1, 5_000, 16_384, 16_385, 70_000).map((bytes) => ({ bytes })),
    fc.constant({ turn: true as const }),
  ) // prettier-ignore
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      await withPair(async ({ writer, peer }) => {
        const wanted: Buffer[] = []
        const dones: number[] = []
        let given = 0
        for (const each of steps) {
          if ('turn' in each) await turn()
          else if ('text' in each) {
            writer.write(each.text)
            wanted.push(Buffer.from(each.text, 'latin1'))
          } else {
            const [bytes, index] = [bytesOf(each.bytes), given++]
            writer.writeBytes(bytes, () => dones.push(index))
            wanted.push(bytes)
          }
        }
        const all = Buffer.concat(wanted)
        if (writer.bytesWritten !== all.length) throw new Error('the count of bytes')
        const reading = readToEnd(peer)
        writer.end()
        if (!(await reading).equals(all)) throw new Error('other bytes')
        await turn()
        if (dones.length !== given || dones.some((index, at) => index !== at)) throw new Error('a block not given back')
      })
    }),
    { numRuns: 60 },
  )
})
