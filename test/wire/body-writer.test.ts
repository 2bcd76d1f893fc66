import t from 'tap'
import { type BodySink, BodyWriter } from '../../src/wire/body-writer.ts'

/** Notes each write; `takes`: what it says to whether more may come. */
function recorder(takes = true): { sink: BodySink; writes: string[] } {
  const writes: string[] = []
  const sink: BodySink = {
    write: (text: string) => (writes.push(text), takes),
    writeLent: (before: string, bytes: Buffer, after: string) => (
      writes.push(before + bytes.toString('latin1') + after),
      takes
    ),
  }
  return { sink, writes }
}

const head = 'HTTP/1.1 200 OK\r\n\r\n'
const large = 'x'.repeat(1_025)

t.test('what one read brought leaves in one write', async (t) => {
  const rows = [
    ['length, small', false, ['ab', 'cd'], [`${head}abcd`]],
    ['chunked, small', true, ['ab', 'cd'], [`${head}2\r\nab\r\n2\r\ncd\r\n`]],
    ['length, large', false, [large], [head + large]],
    ['chunked, large', true, [large], [`${head}401\r\n${large}\r\n`]],
    ['small before large', true, ['ab', large], [`${head}2\r\nab\r\n401\r\n${large}\r\n`]],
    ['small after large', false, [large, 'ab'], [head + large, 'ab']],
    ['no body yet', true, [], [head]],
  ] as const
  for (const [name, how, pieces, wanted] of rows) {
    const { sink, writes } = recorder()
    const body = new BodyWriter(sink)
    body.begin(head, how)
    for (const piece of pieces) body.add(Buffer.from(piece))
    body.flush()
    t.strictSame(writes, wanted, name)
    t.ok(body.flush(), 'and nothing is left')
    t.strictSame(writes, wanted, name)
  }
})

t.test('the end leaves with what came before it', async (t) => {
  const { sink, writes } = recorder()
  const body = new BodyWriter(sink)
  body.begin(head, true)
  body.add(Buffer.from('ab'))
  body.end('a: b\r\n')
  t.strictSame(writes, [`${head}2\r\nab\r\n0\r\na: b\r\n\r\n`])
  body.begin(head, false)
  body.add(Buffer.from('ab'))
  body.end('')
  t.strictSame(writes.slice(1), [`${head}ab`], 'only a chunked body has an end of its own')
})

t.test('lent bytes are not needed after the call', async (t) => {
  const { sink, writes } = recorder()
  const body = new BodyWriter(sink)
  body.begin('', false)
  const lent = Buffer.from('ab')
  body.add(lent)
  lent.fill('z')
  body.flush()
  t.strictSame(writes, ['ab'])
})

t.test('a client that takes no more is told of at once for large pieces, at the flush for small ones', async (t) => {
  const { sink } = recorder(false)
  const body = new BodyWriter(sink)
  body.begin(head, false)
  t.ok(body.add(Buffer.from('ab')))
  t.notOk(body.flush())
  t.notOk(body.add(Buffer.from(large)))
})
