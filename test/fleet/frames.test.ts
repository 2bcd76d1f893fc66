/** Frames: whatever is sent comes out as it was, however the stream cuts it; a length that cannot be is refused. */
import fc from 'fast-check'
import t from 'tap'
import { encodeFrame, frameBytesMax, FrameReader } from '../../src/fleet/frames.ts'

const values = fc.anything({ withMap: true, withSet: true, withTypedArray: false, withDate: false })

t.test('what goes in comes out, whatever the pieces', async (t) => {
  fc.assert(
    fc.property(fc.array(values, { maxLength: 6 }), fc.array(fc.integer({ min: 1, max: 40 })), (messages, cuts) => {
      const stream = Buffer.concat(messages.map(encodeFrame))
      const reader = new FrameReader()
      const read: unknown[] = []
      let at = 0
      for (const length of [...cuts, stream.length + 1]) {
        if (at < stream.length) read.push(...reader.push(stream.subarray(at, at + length)))
        at += length
      }
      t.same(read, messages)
    }),
    { numRuns: 200 },
  )
})

t.test('what JSON would lose is kept: Infinity, undefined, Maps, and one object for one object', async (t) => {
  const shared = { until: Infinity }
  const [read] = new FrameReader().push(encodeFrame(new Map([['a', [shared, shared, undefined]]]))) as [
    Map<string, unknown[]>,
  ]
  t.same(read, new Map([['a', [{ until: Infinity }, { until: Infinity }, undefined]]]))
  t.equal(read.get('a')?.[0], read.get('a')?.[1])
})

t.test('a length beyond the bound is refused before anything is kept for it', async (t) => {
  const head = Buffer.alloc(4)
  head.writeUInt32LE(frameBytesMax + 1, 0)
  t.throws(() => new FrameReader().push(head), /is announced/)
})
