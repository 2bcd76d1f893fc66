/** `fairlead serve` and `fairlead health` as processes: signals, reloads, refusals, a log that nobody reads, exit codes. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createEmbeddedCatalog } from '../../src/catalog/embedded/embedded.ts'
import { systemClock } from '../../src/core/clock.ts'
import { silentLogger } from '../../src/core/log.ts'
import { seededRandom } from '../../src/core/random.ts'
import { ask, backend, definitions, quiet } from '../fixtures/app.ts'
import { type Command, type CommandOptions, fairlead } from '../fixtures/command.ts'
import { until } from '../fixtures/until.ts'

const slow = { timeoutMs: 15_000 }

interface Line {
  readonly level: string
  readonly msg?: string
  readonly address?: string
  readonly port?: number
}

interface Served extends Command {
  readonly file: string
  readonly lines: () => Line[]
  readonly proxy: () => Promise<number>
  readonly status: () => Promise<number>
}

function folderOf(t: Pick<Test, 'teardown'>): string {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-serve-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function watched(t: Pick<Test, 'teardown'>, command: Command, file: string): Served {
  t.teardown(() => command.child.kill('SIGKILL'))
  const lines = (): Line[] =>
    command
      .out()
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Line)
  const find = (start: string): Promise<Line> =>
    until(() => lines().findLast(({ msg }) => msg?.startsWith(start)), {
      ...slow,
      what: `${start} in ${command.out()}${command.err()}`,
    })
  return {
    ...command,
    file,
    lines,
    proxy: async () => Number((await find('listening on')).port),
    status: async () => Number((await find('status address')).address?.split(':').at(-1)),
  }
}

function serve(t: Pick<Test, 'teardown'>, ports: readonly number[], more = '', options: CommandOptions = {}): Served {
  const folder = folderOf(t)
  const file = join(folder, 'fairlead.yaml')
  writeFileSync(join(folder, 'services.json'), definitions('web', ports))
  const base = more.includes('status:') ? quiet.replace(/^status: .*\n/m, '') : quiet
  writeFileSync(file, `${base}catalog: { file: services.json }\nroutes: [{ service: web }]\n${more}`)
  return watched(t, fairlead(['serve', '--config', file], options), file)
}

t.test('SIGTERM and SIGINT: not ready, then drained, then exit 0, and the log tells', async (t) => {
  const web = await backend(t, 'hello')
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const served = serve(t, [web])
    t.equal((await ask(await served.proxy())).body, 'hello')
    served.child.kill(signal)
    t.equal(await served.exit, 0)
    const said = served.lines().flatMap(({ msg }) => msg ?? [])
    t.equal(said[0], 'fairlead starts')
    t.ok(said.includes(`${signal}: stopping`))
    t.equal(said.at(-1), 'stopped')
    t.ok(served.lines().some(({ level }) => level === 'access'))
    t.equal(served.err(), '')
  }
})

t.test('a second signal ends it at once', async (t) => {
  const served = serve(t, [], 'log: { access: off }\n')
  const text = quiet.replace('lameDuck: 0s', 'lameDuck: 1h')
  writeFileSync(served.file, `${text}catalog: { file: services.json }\nroutes: [{ service: web }]\n`)
  await served.proxy()
  served.child.kill('SIGHUP')
  await until(() => served.lines().some(({ msg }) => msg === 'the configuration is in force'), slow)
  served.child.kill('SIGTERM')
  await until(() => served.lines().some(({ msg }) => msg?.startsWith('shutting down')), slow)
  t.equal((await ask(await served.status(), '/readyz')).status, 503)
  served.child.kill('SIGTERM')
  t.equal(await served.exit, 143)
})

t.test('a changed file is applied; a bad one is refused with its place and the last good one stays', async (t) => {
  const served = serve(t, [await backend(t, 'hello')])
  const proxy = await served.proxy()
  const status = await served.status()
  const good = `${quiet}catalog: { file: services.json }\nroutes: [{ path: /web, service: web }]\n`
  const metric = async (): Promise<string | undefined> =>
    /^fairlead_config_last_reload_success (\d)$/m.exec((await ask(status, '/metrics')).body)?.[1]
  writeFileSync(served.file, good)
  await until(async () => (await ask(proxy)).status === 404, slow)
  t.equal((await ask(proxy, '/web')).body, 'hello')
  writeFileSync(served.file, `${good}timouts: 3\n`)
  await until(async () => (await metric()) === '0', slow)
  // The metric and the line come by different ways.
  const isRefusal = ({ level, msg }: Line): boolean => level === 'error' && msg?.includes('timouts') === true
  const refusal = await until(() => served.lines().find(isRefusal), slow)
  t.match(refusal.msg, /fairlead\.yaml:8:1: timouts/)
  t.equal((await ask(proxy, '/web')).body, 'hello')
  writeFileSync(served.file, good)
  await until(async () => (await metric()) === '1', slow)
  t.equal((await ask(proxy, '/web')).body, 'hello')
})

t.test('what it cannot start with: exit code and sentence', async (t) => {
  const folder = folderOf(t)
  const bad = join(folder, 'bad.yaml')
  writeFileSync(bad, 'routes:\n  - servce: web\n')
  const refused = fairlead(['serve', '-c', bad])
  t.equal(await refused.exit, 1)
  t.match(refused.err(), /bad\.yaml:2:5: .*servce[^]*this configuration cannot be used/)
  const absent = fairlead(['serve', '-c', join(folder, 'absent.yaml')])
  t.equal(await absent.exit, 2)
  t.match(absent.err(), /cannot read the configuration: .*absent\.yaml/)
  const taken = await backend(t, '')
  const busy = join(folder, 'busy.yaml')
  writeFileSync(
    busy,
    `${quiet.replace('listen: [{ address: "127.0.0.1:0"', `listen: [{ address: "127.0.0.1:${taken}"`)}catalog: { file: none.json }\n`,
  )
  writeFileSync(join(folder, 'none.json'), '{"services":[]}')
  const blocked = fairlead(['serve', '-c', busy])
  t.equal(await blocked.exit, 1)
  const said = `fairlead cannot run: the listener 127.0.0.1:${taken} cannot be opened: it is in use (EADDRINUSE); the setting listen[].address moves it`
  const last = blocked.out().trimEnd().split('\n').at(-1) ?? ''
  t.match(JSON.parse(last), { level: 'error', code: 'FL_LISTEN', msg: said })
  t.equal(blocked.out().split('EADDRINUSE').length, 2, 'said once')
})

t.test(
  'without a configuration Consul comes from the environment, routes from tags, and it waits as long as it takes',
  async (t) => {
    const web = await backend(t, 'from a tag')
    const catalog = createEmbeddedCatalog(
      { port: 0 },
      { clock: systemClock, random: seededRandom(3), log: silentLogger },
    )
    t.teardown(() => catalog.close())
    const { port } = await catalog.listen()
    const body = JSON.stringify({ Name: 'web', Address: '127.0.0.1', Port: web, Tags: ['urlprefix-/'] })
    await fetch(`http://127.0.0.1:${port}/v1/agent/service/register`, { method: 'PUT', body })
    // The usual ports may be taken on the machine of the test; all else is left to the defaults.
    const file = join(folderOf(t), 'ports.yaml')
    writeFileSync(file, quiet)
    const served = watched(t, fairlead(['serve', '-c', file], { env: { CONSUL_HTTP_ADDR: `127.0.0.1:${port}` } }), file)
    t.equal((await ask(await served.proxy())).body, 'from a tag')

    const alone = fairlead(['serve', '-c', file], { env: { CONSUL_HTTP_ADDR: '127.0.0.1:1' } })
    const waiting = watched(t, alone, file)
    await until(
      () => waiting.lines().filter(({ msg }) => msg?.startsWith('waiting for catalog consul')).length >= 2,
      slow,
    )
    t.match(await ask(await waiting.status(), '/readyz'), { status: 503, body: /waiting for catalog consul/ })
    t.equal(waiting.child.exitCode, null, 'it never gives up')
    waiting.child.kill('SIGTERM')
    t.equal(await waiting.exit, 0)
  },
)

t.test('no configuration at all', async (t) => {
  const web = await backend(t, 'by default')
  const catalog = createEmbeddedCatalog({ port: 0 }, { clock: systemClock, random: seededRandom(4), log: silentLogger })
  t.teardown(() => catalog.close())
  const { port } = await catalog.listen()
  const body = JSON.stringify({ Name: 'web', Address: '127.0.0.1', Port: web, Tags: ['urlprefix-/'] })
  await fetch(`http://127.0.0.1:${port}/v1/agent/service/register`, { method: 'PUT', body })
  const served = watched(t, fairlead(['serve'], { env: { CONSUL_HTTP_ADDR: `127.0.0.1:${port}` } }), '')
  const said = (text: string): boolean => served.lines().some(({ msg }) => msg?.includes(text))
  await until(() => said('listening on 0.0.0.0:8080') || said('fairlead cannot run'), slow)
  if (said('fairlead cannot run')) {
    // Somebody on this machine has one of the usual ports; then it says which.
    t.match(served.lines().at(-1)?.msg, /(0\.0\.0\.0|127\.0\.0\.1):808[012]\b.*EADDRINUSE/)
    t.equal(await served.exit, 1)
    return
  }
  t.equal((await ask(8080)).body, 'by default')
  t.equal((await ask(8081, '/readyz')).status, 200)
  t.equal((await ask(8082, '/v1/services/web')).status, 200)
  served.child.kill('SIGINT')
  // The lame duck's two seconds are the default too; a second signal does not wait for them.
  await until(() => said('shutting down'), slow)
  t.equal((await ask(8081, '/readyz')).status, 503)
  served.child.kill('SIGINT')
  t.equal(await served.exit, 130)
})

t.test('it waits for the catalog also where nothing else keeps a process alive', async (t) => {
  const file = join(folderOf(t), 'bare.yaml')
  const bare = 'status: { address: off }\nadmin: { address: off }\nshutdown: { lameDuck: 0s }\n'
  writeFileSync(file, `${bare}catalog: { consul: { address: "http://127.0.0.1:1" } }\n`)
  const served = watched(t, fairlead(['serve', '-c', file]), file)
  // Between two tries there is a pause, and its timer is one that lets processes end.
  const tries = (): number => served.lines().filter(({ msg }) => msg?.includes('ECONNREFUSED')).length
  await until(() => tries() >= 2, slow)
  t.equal(served.child.exitCode, null, 'it outlived the pause')
  served.child.kill('SIGTERM')
  t.equal(await served.exit, 0)
})

t.test('a log that nobody reads costs counted lines, no request and no memory', async (t) => {
  const served = serve(t, [await backend(t, 'hello')])
  const proxy = await served.proxy()
  const status = await served.status()
  served.child.stdout?.pause()
  served.child.stdout?.removeAllListeners('data')
  const dropped = async (): Promise<number> =>
    Number(/^fairlead_access_log_dropped_total (\d+)$/m.exec((await ask(status, '/metrics')).body)?.[1])
  // Long targets fill pipe and buffer soon.
  const target = `/${'a'.repeat(7_000)}`
  let asked = 0
  while ((await dropped()) === 0) {
    const all = await Promise.all(Array.from({ length: 50 }, () => ask(proxy, target)))
    asked += all.length
    t.ok(all.every(({ body }) => body === 'hello'))
    if (asked > 5_000) throw new Error('nothing was dropped')
  }
  served.child.kill('SIGTERM')
  const code = await new Promise((resolve) => served.child.once('exit', resolve))
  t.equal(code, 0, 'and it ends in time')
})

t.test('a fault that nobody foresaw is logged whole and ends the process', async (t) => {
  const faults = [
    "process.once('SIGUSR2', () => { throw new Error('boom') })",
    "process.once('SIGUSR2', () => { void Promise.reject(new Error('boom')) })",
  ]
  for (const fault of faults) {
    const served = serve(t, [], '', { execArgv: ['--import', `data:text/javascript,${encodeURIComponent(fault)}`] })
    await served.proxy()
    served.child.kill('SIGUSR2')
    t.equal(await served.exit, 1)
    t.match(served.lines().at(-1), {
      level: 'error',
      msg: 'a fault of ours ends this process: boom',
      err: { message: 'boom', stack: /Error: boom/ },
    })
  }
})

t.test('health: exit 0 when it answers, 1 when it does not, also for readiness', async (t) => {
  const served = serve(t, [])
  await served.proxy()
  const status = `127.0.0.1:${await served.status()}`
  const alive = fairlead(['health', '--status', status])
  t.equal(await alive.exit, 0)
  t.equal(alive.out(), '{"live":true}\n')
  const ready = fairlead(['health', '--ready'], { env: { FAIRLEAD_STATUS: status } })
  t.equal(await ready.exit, 0)
  t.equal(ready.out(), '{"ready":true}\n')
  const socket = join(folderOf(t), 'status.sock')
  const other = serve(t, [], `status: { address: "unix:${socket}" }\n`)
  await other.proxy()
  const inside = fairlead(['health', '--status', `unix:${socket}`])
  t.equal(await inside.exit, 0, inside.err())
  const dead = fairlead(['health', '--status', '127.0.0.1:1'])
  t.equal(await dead.exit, 1)
  t.match(dead.err(), /127\.0\.0\.1:1 does not answer: nothing listens there/)
})
