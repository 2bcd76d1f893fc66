/** Bodies in whatever pieces they come: what they mean, where it is found out, and what of them is ever here at once. */
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { Decoder, inlineBytesMax } from '../../src/catalog/consul/decoder.ts'
import type { WorkerJob } from '../../src/catalog/consul/json-worker.ts'

const kind = { kind: 'catalog-services' } as const
const { signal } = new AbortController()

function bodyOf(services: number): { readonly bytes: Buffer; readonly means: ReadonlyMap<string, readonly string[]> } {
  const means = new Map(Array.from({ length: services }, (_, i) => [`größe-${i}`, [`t-${i}`]] as const))
  return { bytes: Buffer.from(JSON.stringify(Object.fromEntries(means))), means }
}

async function* cut(bytes: Buffer, size: number, torn?: Error): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) {
    yield bytes.subarray(at, at + size)
    if (at % 5 === 0) await Promise.resolve()
  }
  if (torn) throw torn
}

t.test('several at once, in small and large pieces, mean what they say', async (t) => {
  const decoder = new Decoder()
  t.teardown(async () => decoder.destroy())
  const large = bodyOf(20_000)
  t.ok(large.bytes.length > 2 * inlineBytesMax)
  const small = bodyOf(10)
  const read = [
    ...[1_000, 4_096, 65_536, large.bytes.length].map(async (size) => ({
      data: await decoder.decode(kind, cut(large.bytes, size), signal),
      means: large.means,
    })),
    ...[1, 7, 10_000].map(async (size) => ({
      data: await decoder.decode(kind, cut(small.bytes, size), signal),
      means: small.means,
    })),
  ]
  for (const { data, means } of await Promise.all(read)) t.strictSame(data, means)
})

t.test('a large one goes on in pieces and is never whole here', async (t) => {
  const decoder = new Decoder()
  t.teardown(async () => decoder.destroy())
  const jobs: WorkerJob[] = []
  type Post = (this: Worker, job: WorkerJob, transfer: readonly ArrayBuffer[]) => void
  const original = Reflect.get(Worker.prototype, 'postMessage') as Post
  const spy: Post = function (job, transfer) {
    jobs.push(job.type === 'piece' ? { ...job, bytes: job.bytes.slice() } : job)
    original.call(this, job, transfer)
  }
  t.capture(Worker.prototype, 'postMessage', spy)
  const { bytes, means } = bodyOf(40_000)
  t.strictSame(await decoder.decode(kind, cut(bytes, 3_000), signal), means)
  const pieces = jobs.flatMap((job) => (job.type === 'piece' ? job.bytes : []))
  t.ok(Buffer.concat(pieces).equals(bytes))
  t.ok(Math.max(...pieces.map((piece) => piece.length)) <= inlineBytesMax + 3_000)
  t.ok(pieces.length >= 5)
})

t.test('one that is torn or no longer wanted fails as it did, and leaves nothing behind', async (t) => {
  const decoder = new Decoder()
  t.teardown(async () => decoder.destroy())
  const { bytes, means } = bodyOf(20_000)
  const torn = new Error('torn')
  await t.rejects(decoder.decode(kind, cut(bytes, 4_096, torn), signal), torn)
  await t.rejects(decoder.decode(kind, cut(bytes.subarray(0, 300), 100, torn), signal), torn)
  const given = new AbortController()
  const reading = decoder.decode(kind, cut(bytes, 4_096), given.signal)
  given.abort(new Error('given up'))
  await t.rejects(reading, { message: 'given up' })
  await t.rejects(decoder.decode(kind, cut(bytes.subarray(0, -1), 4_096), signal), { code: 'FL_CATALOG_HTTP' })
  t.strictSame(await decoder.decode(kind, cut(bytes, 4_096), signal), means, 'the next is whole')
})

/** Turns of the loop, counted for as long as `until` has not come. */
async function countTurns(until: Promise<unknown>, each: () => void): Promise<void> {
  const end = { come: false }
  void until.then(() => (end.come = true))
  while (!end.come) {
    each()
    await new Promise((resolve) => setImmediate(resolve))
  }
}

t.test('of a large one that is there at once, little is taken in one turn of the loop', async (t) => {
  const decoder = new Decoder()
  t.teardown(async () => decoder.destroy())
  const { bytes, means } = bodyOf(40_000)
  let taken = 0
  async function* counted(): AsyncGenerator<Buffer> {
    for await (const chunk of cut(bytes, 16_384)) {
      taken += chunk.length
      yield chunk
    }
  }
  const reading = decoder.decode(kind, counted(), signal)
  let before = 0
  let most = 0
  await countTurns(reading, () => {
    most = Math.max(most, taken - before)
    before = taken
  })
  t.strictSame(await reading, means)
  t.ok(most <= inlineBytesMax + 2 * 16_384, `${String(most)} bytes in one turn`)
})

t.test('small ones that end together are decoded one a turn', async (t) => {
  const decoder = new Decoder()
  t.teardown(async () => decoder.destroy())
  const { bytes } = bodyOf(10)
  let done = 0
  const readings = Array.from({ length: 5 }, () => decoder.decode(kind, cut(bytes, 1_000), signal).then(() => done++))
  let before = 0
  let most = 0
  await countTurns(Promise.all(readings), () => {
    most = Math.max(most, done - before)
    before = done
  })
  t.equal(done, 5)
  t.equal(most, 1)
})
