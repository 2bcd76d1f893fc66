/** `fairlead serve` killed and started again while Consul is away, and what it makes of a catalog that comes back. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { decodeFile } from '../../src/control/snapshot-codec.ts'
import { ask, backend, freePort } from '../fixtures/app.ts'
import { type Command, fairlead } from '../fixtures/command.ts'
import { FakeConsul } from '../fixtures/fake-consul.ts'
import { until } from '../fixtures/until.ts'

interface Site {
  readonly fake: FakeConsul
  readonly folder: string
  readonly port: number
  readonly admin: number
  readonly serve: () => Command
  readonly ids: () => readonly string[] | undefined
}

async function siteOf(t: Test): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-crash-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const fake = await FakeConsul.start()
  t.teardown(() => fake.stop())
  const [port, status, admin] = [await freePort(), await freePort(), await freePort()]
  const file = join(folder, 'fairlead.yaml')
  writeFileSync(
    file,
    `listen: [{ address: "127.0.0.1:${port}" }]
status: { address: "127.0.0.1:${status}" }
admin: { address: "127.0.0.1:${admin}" }
catalog: { consul: { address: "${fake.address}" } }
routes: [{ service: web }]
stateDir: state
log: { access: errors }
`,
  )
  return {
    fake,
    folder,
    port,
    admin,
    serve: () => {
      const command = fairlead(['serve', '--config', file])
      t.teardown(() => command.child.kill('SIGKILL'))
      return command
    },
    ids: () => {
      try {
        const decoded = decodeFile(readFileSync(join(folder, 'state', 'snapshot.json'), 'utf8'))
        if (decoded.kind === 'bad') throw new Error(decoded.reason)
        return decoded.sources
          .get('consul')
          ?.snapshot.services.get('web')
          ?.instances.map(({ id }) => id)
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
        throw error
      }
    },
  }
}

const answers = (port: number, path = '/', body = ''): Promise<boolean> =>
  ask(port, path).then(
    (got) => got.status === 200 && got.body.includes(body),
    () => false,
  )
const problems = async (site: Site): Promise<string> => (await ask(site.admin, '/v1/problems')).body

/** CPU time a process has used, from /proc, ms. */
function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}

function timeOf(command: Command, text: string): number {
  const line = command
    .out()
    .split('\n')
    .find((one) => one.includes(text))
  return Date.parse((JSON.parse(line ?? '{}') as { time?: string }).time ?? '')
}

t.test('killed, and started again while Consul is away: it serves within a second', async (t) => {
  const site = await siteOf(t)
  const ports = [await backend(t, 'a'), await backend(t, 'b')]
  site.fake.set('web', [
    { id: 'a', port: ports[0] },
    { id: 'b', port: ports[1] },
  ])
  const first = site.serve()
  await until(() => answers(site.port), { timeoutMs: 15_000, what: 'the first answer' })
  await until(() => site.ids()?.join() === 'a,b')
  first.child.kill('SIGKILL')
  await first.exit
  await site.fake.pause()
  // The history may or may not have been written yet; a socket on which nobody listens gives way to the next.
  const left = readdirSync(join(site.folder, 'state')).filter(
    (name) => name !== 'history.jsonl' && name !== 'upgrade.sock',
  )
  t.same(left, ['snapshot.json'], 'no lock, nothing to repair')

  const start = performance.now()
  const again = site.serve()
  await until(() => answers(site.port), { timeoutMs: 15_000, what: 'an answer after the restart' })
  const [wallMs, cpuMs] = [performance.now() - start, cpuOf(again.pid)]
  t.comment(`from the start of the process to an answer: ${wallMs.toFixed(0)} ms, of which it ran ${cpuMs} ms`)
  const ownMs = timeOf(again, 'listening on') - timeOf(again, 'fairlead starts')
  t.comment(`and ${ownMs} ms after its parts were loaded`)
  // On a busy machine it gets little of each second; what it needs of one, and what it waits for, is its own.
  t.ok(wallMs < 1_000 || (cpuMs < 1_500 && ownMs < 1_000), 'within a second')
  t.equal((await ask(site.admin, '/readyz')).status, 200, 'and is ready')
  t.match(await problems(site), /"catalog-saved".*away, what was saved of it stands in, as of 20/)
  t.match(again.out(), /what was saved of it stands in, as of 20/)

  // Consul comes back, empty: what lives is kept, and is under a problem.
  site.fake.set('web', [])
  await site.fake.resume()
  await until(async () => (await problems(site)).includes('removal-held'), { timeoutMs: 20_000 })
  t.ok(await answers(site.port))
  // And is told of again.
  site.fake.set('web', [
    { id: 'a', port: ports[0] },
    { id: 'b', port: ports[1] },
  ])
  await until(async () => (await problems(site)).replaceAll(/\s/g, '') === '{"problems":[]}', { timeoutMs: 20_000 })
})

t.test('killed in the midst of changes, it always leaves a good file', async (t) => {
  const site = await siteOf(t)
  const port = await backend(t, 'x')
  for (let round = 0; round < 3; round++) {
    const command = site.serve()
    let n = 0
    const storm = setInterval(
      () => site.fake.set('web', [{ id: `i${n++}`, port, meta: { pad: 'x'.repeat(20_000) } }]),
      20,
    )
    t.teardown(() => clearInterval(storm))
    const before = site.ids()?.join()
    await until(() => site.ids() !== undefined && site.ids()?.join() !== before, { timeoutMs: 15_000 })
    command.child.kill('SIGKILL')
    await command.exit
    clearInterval(storm)
    t.equal(site.ids()?.length, 1, `round ${round}`)
  }
})
