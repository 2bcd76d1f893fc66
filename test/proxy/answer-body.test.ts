import t from 'tap'
import { delivery } from '../../src/proxy/answer-head.ts'
import { AnswerBody } from '../../src/proxy/answer-body.ts'
import type { ServerConnection } from '../../src/wire/server-connection.ts'

/** Notes each write; `takes`: what it says to whether more may come. */
function recorder(takes = true): { client: ServerConnection; writes: string[] } {
  const writes: string[] = []
  const client = {
    write: (text: string) => (writes.push(text), takes),
    writeLent: (before: string, bytes: Buffer, after: string) => (
      writes.push(before + bytes.toString('latin1') + after),
      takes
    ),
  }
  return { client: client as unknown as ServerConnection, writes }
}

const head = 'HTTP/1.1 200 OK\r\n\r\n'
const large = 'x'.repeat(4_097)

t.test('what one read brought leaves in one write', async (t) => {
  const rows = [
    ['length, small', delivery.length, ['ab', 'cd'], [`${head}abcd`]],
    ['chunked, small', delivery.chunked, ['ab', 'cd'], [`${head}2\r\nab\r\n2\r\ncd\r\n`]],
    ['length, large', delivery.length, [large], [head + large]],
    ['chunked, large', delivery.chunked, [large], [`${head}1001\r\n${large}\r\n`]],
    ['small before large', delivery.chunked, ['ab', large], [`${head}2\r\nab\r\n1001\r\n${large}\r\n`]],
    ['small after large', delivery.length, [large, 'ab'], [head + large, 'ab']],
    ['no body yet', delivery.chunked, [], [head]],
  ] as const
  for (const [name, how, pieces, wanted] of rows) {
    const { client, writes } = recorder()
    const body = new AnswerBody(client)
    body.begin(head, how)
    for (const piece of pieces) body.add(Buffer.from(piece))
    body.flush()
    t.strictSame(writes, wanted, name)
    t.ok(body.flush(), 'and nothing is left')
    t.strictSame(writes, wanted, name)
  }
})

t.test('the end leaves with what came before it', async (t) => {
  const { client, writes } = recorder()
  const body = new AnswerBody(client)
  body.begin(head, delivery.chunked)
  body.add(Buffer.from('ab'))
  body.end('a: b\r\n')
  t.strictSame(writes, [`${head}2\r\nab\r\n0\r\na: b\r\n\r\n`])
  body.begin(head, delivery.length)
  body.add(Buffer.from('ab'))
  body.end('')
  t.strictSame(writes.slice(1), [`${head}ab`], 'only a chunked body has an end of its own')
})

t.test('lent bytes are not needed after the call', async (t) => {
  const { client, writes } = recorder()
  const body = new AnswerBody(client)
  body.begin('', delivery.length)
  const lent = Buffer.from('ab')
  body.add(lent)
  lent.fill('z')
  body.flush()
  t.strictSame(writes, ['ab'])
})

t.test('a client that takes no more is told of at once for large pieces, at the flush for small ones', async (t) => {
  const { client } = recorder(false)
  const body = new AnswerBody(client)
  body.begin(head, delivery.length)
  t.ok(body.add(Buffer.from('ab')))
  t.notOk(body.flush())
  t.notOk(body.add(Buffer.from(large)))
})
