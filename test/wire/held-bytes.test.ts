/** What is kept of a client's reads, and whose memory that is. */
import { Socket } from 'node:net'
import t from 'tap'
import { givenBackMin, readDirectly } from '../../src/wire/direct-read.ts'
import { HeldBytes } from '../../src/wire/held-bytes.ts'

/** Has `take` called with these bytes as those of one read. */
function read(bytes: Buffer, take: (bytes: Buffer) => void): Buffer {
  const socket = new Socket()
  readDirectly(socket, take)
  socket.push(bytes)
  socket.destroy()
  return bytes
}

const large = (fill = 'x'): Buffer => Buffer.alloc(2 * givenBackMin, fill)

t.test('the end of a large read is kept as it is, and its memory given back when nobody needs it', (t) => {
  const held = new HeldBytes()
  const bytes = read(large(), (all) => held.add(all.subarray(100)))
  t.equal(held.size, 2 * givenBackMin - 100)
  t.equal(held.parts[0]?.buffer, bytes.buffer, 'not copied')
  held.free()
  t.equal(bytes.buffer.byteLength, 0)
  t.same([held.size, held.parts], [0, []])
  held.free()
  t.end()
})

t.test('what others may have as well is left to the collector', (t) => {
  const cases: readonly (readonly [string, (held: HeldBytes) => Buffer])[] = [
    ['bytes come behind it', (held) => read(large(), (all) => held.add(all.subarray(0, -1)))],
    ['it is small', (held) => read(Buffer.alloc(givenBackMin - 1), (all) => held.add(all))],
    ['its memory has more in it', (held) => read(Buffer.alloc(4 * givenBackMin).subarray(0, 2 * givenBackMin), (all) => held.add(all))],
    ['it is of an earlier read', (held) => {
      let kept: Buffer | undefined
      const bytes = read(large(), (all) => {
        kept = all
        new HeldBytes().add(all)
      })
      read(large('y'), () => held.add(kept as Buffer))
      return bytes
    }],
    ['it is of no read', (held) => {
      const bytes = large()
      held.add(bytes)
      return bytes
    }],
    ['it was cleared, since it may be on its way', (held) => {
      const bytes = read(large(), (all) => held.add(all))
      held.clear()
      return bytes
    }],
    ['it was handed on', (held) => {
      const bytes = read(large(), (all) => held.add(all))
      t.equal(held.take()?.length, bytes.length)
      return bytes
    }],
  ] // prettier-ignore
  for (const [why, keep] of cases) {
    const held = new HeldBytes()
    const bytes = keep(held)
    const { byteLength } = bytes.buffer
    held.free()
    t.equal(bytes.buffer.byteLength, byteLength, why)
    t.ok(byteLength > 0)
  }
  t.end()
})

t.test('of several large reads the last is given back, and none too early', (t) => {
  const held = new HeldBytes()
  const [one, two] = [large('a'), large('b')].map((bytes) => read(bytes, (all) => held.add(all)))
  t.equal(Buffer.concat(held.parts).toString(), 'a'.repeat(2 * givenBackMin) + 'b'.repeat(2 * givenBackMin))
  held.free()
  t.same([one?.length, two?.length], [2 * givenBackMin, 0])
  t.end()
})
