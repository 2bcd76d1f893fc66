/** Once, a body in chunks of a byte cost a write for each: one connection with 2 MB of them held up everybody for seconds. */
import t from 'tap'
import { ChunkedDecoder } from '../../src/wire/chunked.ts'
import { defaultWireLimits } from '../../src/wire/limits.ts'

function told(text: string): { readonly calls: number; readonly body: string } {
  const decoder = new ChunkedDecoder(defaultWireLimits)
  let calls = 0
  let body = ''
  decoder.decode(Buffer.from(text, 'latin1'), 0, {
    onChunk: (bytes) => {
      calls++
      body += bytes.toString('latin1')
    },
  })
  t.ok(decoder.done)
  return { calls, body }
}

void t.test('small chunks of one read are told as one, large ones as they are', async (t) => {
  const letters = 'abcdefghij'.repeat(500)
  t.same(
    told(
      `${letters
        .split('')
        .map((letter) => `1\r\n${letter}\r\n`)
        .join('')}0\r\n\r\n`,
    ),
    { calls: 1, body: letters },
  )
  const large = 'x'.repeat(5_000)
  const mixed = `1\r\na\r\n1\r\nb\r\n1388\r\n${large}\r\n1\r\nc\r\n0\r\n\r\n`
  t.same(told(mixed), { calls: 3, body: `ab${large}c` })
})
