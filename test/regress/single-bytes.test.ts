/** Once, whoever sent a byte at a time had us keep some 300 bytes for each: 64 KiB of pipelined bytes, or of a body, took 20 MiB. */
import t from 'tap'
import { ReplayAccount, ReplayBody } from '../../src/proxy/replay-body.ts'
import { HeldBytes } from '../../src/wire/held-bytes.ts'

/** Bytes in memory that no other piece uses. */
function footprint(parts: readonly Buffer[]): number {
  const kept = new Set(parts.map(({ buffer }) => buffer))
  return [...kept].reduce((sum, { byteLength }) => sum + byteLength, 0) + parts.length * 256
}

const bytesOf = (count: number): Buffer =>
  Buffer.from(Array.from({ length: count }, (_, i) => (i * 7 + (i >> 8)) % 256))
const alone = (bytes: Buffer, at: number, length = 1): Buffer => {
  const piece = Buffer.allocUnsafeSlow(length)
  bytes.copy(piece, 0, at, at + length)
  return piece
}

void t.test('held and kept bytes take little more than they are, whatever they came in', async (t) => {
  const bytes = bytesOf(65_536)
  const held = new HeldBytes()
  const body = new ReplayBody(new ReplayAccount())
  for (let at = 0; at < bytes.length; at++) {
    held.add(alone(bytes, at))
    body.add(alone(bytes, at))
  }
  t.ok(footprint(held.parts) < 2 * bytes.length, `${footprint(held.parts)} bytes`)
  t.ok(footprint(body.kept) < 2 * bytes.length, `${footprint(body.kept)} bytes`)
  t.equal(held.size, bytes.length)
  t.equal(body.bytes, bytes.length)
  t.ok(Buffer.concat([...body.kept]).equals(bytes))
  t.ok(held.take()?.equals(bytes))
  t.equal(held.take(), undefined)
})

void t.test('pieces of any length come back in order, and what was handed out before is not touched', async (t) => {
  const bytes = bytesOf(200_000)
  const held = new HeldBytes()
  const before: [readonly Buffer[], number][] = []
  let at = 0
  for (const length of [1, 4_095, 1, 1, 4_096, 5_000, 3_000, 1_000, 96, 1, 2, 60_000, 7, 7, 4_082, 1]) {
    held.add(alone(bytes, at, length))
    at += length
    before.push([[...held.parts], at])
  }
  for (const [parts, end] of before) t.ok(Buffer.concat([...parts]).equals(bytes.subarray(0, end)))
  t.ok(held.take()?.equals(bytes.subarray(0, at)))
})

void t.test('a piece that comes alone is not copied', async (t) => {
  const held = new HeldBytes()
  const piece = Buffer.from('hello')
  held.add(piece)
  t.equal(held.parts[0], piece)
})
