import t from 'tap'
import { BlockPool } from '../../src/wire/block-pool.ts'

t.test('a block given back is the next that is taken, the latest first', async (t) => {
  const pool = new BlockPool()
  const [first, second] = [pool.take(10_000), pool.take(65_536)]
  if (!first || !second) throw new Error('two blocks')
  t.not(first, second, 'in use at once: two')
  pool.give(first)
  pool.give(second)
  t.equal(pool.take(10_000), second)
  t.equal(pool.take(10_000), first)
  t.equal(pool.free, 0)
})

t.test('what is too short to be worth a block, or too long for one, gets none', async (t) => {
  const pool = new BlockPool()
  const holds = pool.take(65_536 + 4_096)
  t.ok(holds !== undefined && holds.length >= 65_536 + 4_096, 'a whole read with a head or a chunk’s framing around it')
  for (const length of [0, 1, 4_095, 65_536 + 4_097]) t.equal(pool.take(length), undefined, String(length))
  t.ok(pool.take(4_096))
})

t.test('no more lie free than some, however many were in use', async (t) => {
  const pool = new BlockPool()
  const blocks = Array.from({ length: 200 }, () => pool.take(65_536))
  for (const block of blocks) if (block) pool.give(block)
  t.equal(pool.free, 32)
})
