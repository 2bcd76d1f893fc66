/** What slips of the pen on a command line are told, and what waiting is. */
import { Command } from 'commander'
import { createServer } from 'node:http'
import t from 'tap'
import { adminOption } from '../../src/cli/admin-option.ts'
import { askAdmin } from '../../src/cli/admin-client.ts'
import { jsonLine, jsonText } from '../../src/cli/known-answer.ts'

t.test('--admin: a URL without a path is taken, the rest is told what to write', async (t) => {
  const parse = (text: string): unknown => {
    const command = new Command()
      .exitOverride()
      .configureOutput({ writeErr: () => {} })
      .addOption(adminOption())
    try {
      return command.parse(['--admin', text], { from: 'user' }).opts()['admin']
    } catch (error) {
      return error instanceof Error ? error.message : error
    }
  }
  const at = { kind: 'tcp', host: '127.0.0.1', port: 8082 }
  for (const text of ['127.0.0.1:8082', 'http://127.0.0.1:8082', 'http://127.0.0.1:8082/', ''])
    t.same(parse(text), at, text)
  t.match(parse('http://127.0.0.1:8082/v1'), /host:port or unix:\/path, with no path/)
  t.match(parse('https://127.0.0.1:8082'), /leave out https:\/\//)
  t.match(parse('8082'), /Write 127\.0\.0\.1:8082\./)
})

t.test('whoever waits long is told so, once, on standard error', async (t) => {
  let answer = (): void => {}
  const server = createServer((_, res) => (answer = () => void res.end('{}')))
  t.teardown(() => server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('no port')
  const written: unknown[] = []
  t.intercept(process.stderr, 'write', { value: (text: unknown) => written.push(text) > 0 })
  const arrived = new Promise<void>((resolve) => server.once('request', () => setImmediate(resolve)))
  let over = (): void => {}
  let cleared = 0
  const asked = askAdmin(
    { kind: 'tcp', host: '127.0.0.1', port: address.port },
    { path: '/', body: {} },
    {
      setTimer: (_, then) => {
        over = then
        return { clear: () => void cleared++ }
      },
    },
  )
  await arrived
  t.same(written, [])
  over()
  answer()
  t.same(await asked, {})
  t.equal(cleared, 1)
  t.match(written, [/still waiting for the proxy at 127\.0\.0\.1:\d+, which may wait for Consul\n$/])
})

t.test('JSON that is printed steers no terminal, and is the same JSON', async (t) => {
  const value = { by: 'a\u009b31m\u202eb', reason: ['\u001b'] }
  for (const text of [jsonText(value), jsonLine(value)]) {
    t.notMatch(text, /(?!\n)[\p{Cc}\u202e]/u)
    t.same(JSON.parse(text), value)
  }
})
