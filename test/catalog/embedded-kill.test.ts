/** A catalog that is really killed while it is written to: every acknowledged write is there afterwards. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { speakerAt, type Speaker } from '../fixtures/catalog-speaker.ts'
import { until } from '../fixtures/until.ts'

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

/** `fairlead catalog` as its own process. */
async function start(stateDir: string): Promise<{ it: Speaker; child: ChildProcess; ended: Promise<unknown[]> }> {
  const args = [main, 'catalog', '--address', '127.0.0.1:0', '--state-dir', stateDir]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = once(child, 'exit')
  let output = ''
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const address = await until(() => /listens on (http:\/\/[\d.:]+)/.exec(output)?.[1], { what: 'it listens' })
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended
  }
  return { it: speakerAt('embedded', address, stop), child, ended }
}

await t.test('kill -9 in mid-write', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'fairlead-kill-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const acknowledged = new Map<string, string>()
  const registered = new Set<string>()
  let lastIndex = 0
  for (let round = 0; round < 3; round++) {
    const { it, child, ended } = await start(dir)
    for (const [key, value] of acknowledged) {
      const answer = await it.ask('GET', `kv/${key}?raw`)
      if (answer.text !== value) t.fail(`${key} is ${answer.text}, acknowledged was ${value}`)
    }
    const services = (await it.ask('GET', 'agent/services')).json<object>()
    for (const id of registered) if (!(id in services)) t.fail(`${id} is gone`)
    const first = (await it.ask('GET', 'catalog/services')).index
    t.ok(first > lastIndex, `round ${String(round)}: the index went on`)
    let killed = false
    const enough = acknowledged.size + 50
    const writer = async (lane: number): Promise<void> => {
      for (let i = 0; !killed; i++) {
        const [key, value] = [
          `r${String(round)}/${String(lane)}/${String(i)}`,
          `value ${String(i)} ${'x'.repeat(i % 50)}`,
        ]
        try {
          const put = await it.ask('PUT', `kv/${key}`, value)
          if (put.text === 'true') acknowledged.set(key, value)
          const id = `s-${String(round)}-${String(lane)}`
          const body = { ID: id, Name: 'svc', Meta: { at: String(i) } }
          if ((await it.ask('PUT', 'agent/service/register', body)).status === 200) registered.add(id)
          if (acknowledged.size >= enough) {
            killed = true
            child.kill('SIGKILL')
          }
        } catch {
          if (!killed) throw new Error('it died on its own')
        }
      }
    }
    lastIndex = (await it.ask('GET', 'catalog/services')).index
    await Promise.all([0, 1, 2, 3].map(writer))
    await ended
  }
  const { it } = await start(dir)
  t.teardown(() => it.stop())
  const all = (await it.ask('GET', 'kv/?recurse')).json<{ Key: string; Value: string }[]>()
  const values = new Map(all.map(({ Key, Value }) => [Key, Buffer.from(Value, 'base64').toString()]))
  t.ok(acknowledged.size >= 150, `${String(acknowledged.size)} writes were acknowledged`)
  for (const [key, value] of acknowledged) if (values.get(key) !== value) t.fail(`${key} is lost`)
  t.ok(registered.size >= 9)
})

await t.test('the command stops gently', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'fairlead-stop-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const { it, child, ended } = await start(dir)
  await it.ask('PUT', 'kv/x', 'y')
  const { index } = await it.ask('GET', 'kv/x')
  const blocked = it.ask('GET', `kv/x?index=${String(index)}`)
  // Once another query is answered on its own connection, the blocked one has arrived too.
  await it.ask('GET', 'kv/x')
  child.kill('SIGTERM')
  t.equal((await blocked).json<{ Key: string }[]>()[0]?.Key, 'x', 'what waits gets an answer')
  t.strictSame(await ended, [0, null], 'exit 0')
})

await t.test('the command says why it cannot run', async (t) => {
  const run = async (...args: string[]): Promise<{ code: unknown; output: string }> => {
    const child = spawn(process.execPath, [main, 'catalog', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
    const [code] = await once(child, 'close')
    return { code, output }
  }
  const misused = await run('--address', '8500')
  t.equal(misused.code, 2)
  t.match(misused.output, /127\.0\.0\.1:8500/)
  const failed = await run('--address', '127.0.0.1:0', '--state-dir', main)
  t.equal(failed.code, 1)
  t.match(failed.output, /state directory .* cannot be used/)
})
