/** `fairlead drain`, `eject` and `restore` as processes against `fairlead serve` as a process; and how their text looks. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Endpoint } from '../../src/cli/operate/answer.ts'
import { operate, type OperateOptions } from '../../src/cli/operate/run.ts'
import { outcomeText, planText } from '../../src/cli/operate/text.ts'
import { errorText } from '../../src/core/errors.ts'
import { ask, backend, definitions, freePort, quiet } from '../fixtures/app.ts'
import { type CommandOptions, fairlead } from '../fixtures/command.ts'
import { until } from '../fixtures/until.ts'

const slow = { timeoutMs: 15_000 }

interface Served {
  readonly proxy: number
  readonly admin: number
  readonly folder: string
  readonly lines: () => readonly Record<string, unknown>[]
}

async function serve(t: Pick<Test, 'teardown'>, ports: readonly number[], admin: string): Promise<Served> {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-operate-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, 'services.json'), definitions('web', ports))
  writeFileSync(join(folder, 'alice'), 'A1b2c3d4e5f6g7h8i9j0k1L2\n')
  writeFileSync(join(folder, 'bob'), 'ffeeddccbbaa99887766554433221100\n')
  const file = join(folder, 'fairlead.yaml')
  const base = quiet.replace(/^admin: .*\n/m, admin)
  writeFileSync(file, `${base}catalog: { file: services.json }\nroutes: [{ service: web }]\n`)
  const command = fairlead(['serve', '--config', file])
  t.teardown(() => command.child.kill('SIGKILL'))
  const lines = (): readonly Record<string, unknown>[] =>
    command
      .out()
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  const said = (start: string): Promise<Record<string, unknown>> =>
    until(() => lines().find(({ msg }) => typeof msg === 'string' && msg.startsWith(start)), {
      ...slow,
      what: `${start} in ${command.out()}${command.err()}`,
    })
  const address = String((await said('admin address'))['address'])
  return {
    proxy: Number((await said('listening on'))['port']),
    admin: Number(address.split(':').at(-1)),
    folder,
    lines,
  }
}

async function run(
  args: readonly string[],
  options: CommandOptions = {},
): Promise<{ code: unknown; out: string; err: string }> {
  const command = fairlead(args, options)
  const code = await command.exit
  return { code, out: command.out(), err: command.err() }
}

async function handlesOf(admin: number): Promise<ReadonlyMap<number, string>> {
  const { body } = await ask(admin, '/v1/services/web')
  const { versions } = JSON.parse(body) as { versions: { endpoints: { port: number; handle: string }[] }[] }
  return new Map(versions.flatMap(({ endpoints }) => endpoints.map(({ port, handle }) => [port, handle] as const)))
}

t.test(
  'drain under requests: the one in flight finishes, nothing new goes there, restore brings it back',
  async (t) => {
    let held: ServerResponse | undefined
    const one = await backend(t, (req, res) => {
      if (req.url === '/held') held = res
      else res.end('one')
    })
    const two = await backend(t, (req, res) => {
      // So that the held request is at the first one, in the end.
      if (req.url === '/held') res.writeHead(409).end()
      else res.end('two')
    })
    const { proxy, admin, lines } = await serve(t, [one, two], 'admin: { address: "127.0.0.1:0" }\n')
    const handle = (await handlesOf(admin)).get(one) ?? ''
    const where = `127.0.0.1:${admin}`
    let answer: ReturnType<typeof ask> | undefined
    await until(async () => {
      const asked = ask(proxy, '/held')
      const first = await Promise.race([asked, until(() => held, slow)])
      answer = asked
      return !('headers' in first) || first.status !== 409
    }, slow)
    const drained = await run(['drain', handle, '--for', '30m', '--reason', 'disk', '--yes', '-a', where])
    t.match(drained, { code: 0, err: '' })
    t.match(
      drained.out,
      new RegExp(
        `^Drained ${handle} 127\\.0\\.0\\.1:${one}\\. At this proxy alone: It gets nothing new for 30m; .*1 endpoint of web left\\.\n$`,
      ),
    )
    for (let i = 0; i < 20; i++) t.equal((await ask(proxy)).body, 'two')
    held?.end('finished')
    t.match(await answer, { status: 200, body: 'finished' })
    const restored = await run(['restore', handle, '--yes', '--json'], { env: { FAIRLEAD_ADMIN: where } })
    t.match(restored, { code: 0, err: '' })
    t.match(JSON.parse(restored.out), { service: 'web', endpoint: { handle, order: null } })
    await until(async () => (await ask(proxy)).body === 'one', slow)
    t.match(await run(['restore', handle, '--yes', '-a', where]), { code: 1, out: '', err: /nothing to restore/ })
    t.match(await run(['eject', `${handle}x`, '-y', '-a', where]), {
      code: 1,
      err: new RegExp(`Near it: ${handle}\\.`),
    })
    const named = await run(['drain', `127.0.0.1:${one}`, '-n', '-a', where])
    t.match(named, { code: 0, out: new RegExp(`^drain ${handle} 127`) }, 'an address and port that one alone has')
    for (const place of ['127.0.0.1'])
      t.match(await run(['drain', place, '-y', '-a', where]), {
        code: 1,
        err: new RegExp(
          `no endpoint has this handle, but it is the address or id of .*${handle} \\(service web\\)`,
          'i',
        ),
      })
    t.match(await run(['drain', '10.9.9.9:80', '-y', '-a', where]), {
      code: 1,
      err: /Nor is it the address or the Consul id of one\. `fairlead status SERVICE`/,
    })
    t.ok(
      lines().some(
        ({ msg, by, reason }) => msg === 'endpoint drained by an operator' && by === 'local' && reason === 'disk',
      ),
    )
  },
)

t.test('tokens: from a file, from the environment, none, wrong, one that may only read', async (t) => {
  const one = await backend(t, 'one')
  const tokens = '[{ name: alice, file: alice, role: operate }, { name: bob, file: bob, role: read }]'
  const { admin, folder } = await serve(t, [one], `admin: { address: "127.0.0.1:0", tokens: ${tokens} }\n`)
  const where = `127.0.0.1:${admin}`
  const authorization = 'Bearer ffeeddccbbaa99887766554433221100'
  const { body } = await ask(admin, '/v1/services/web', { headers: { authorization } })
  const handle = /"handle":"([^"]+)"/.exec(body)?.[1] ?? ''
  const drain = ['drain', handle, '-y', '-a', where]
  t.match(await run(drain), { code: 1, out: '', err: /A token is needed.*--token-file/ })
  t.match(await run([...drain, '--token-file', `${folder}/bob`]), { code: 1, err: /token of bob may only read/ })
  const done = await run([...drain, '--token-file', `${folder}/alice`, '--json'])
  t.match(done, { code: 0 })
  t.match(JSON.parse(done.out), { endpoint: { order: { by: 'alice' } }, warnings: [/^Nothing is left/] })
  const env = { FAIRLEAD_ADMIN: where }
  t.match(await run(['kills'], { env }), { code: 1, err: /A token is needed/ })
  t.match(await run(['kills'], { env: { ...env, FAIRLEAD_TOKEN_FILE: `${folder}/bob` } }), { code: 0 })
  t.match(await run(['restore', handle, '-y'], { env: { ...env, FAIRLEAD_TOKEN: 'A1b2c3d4e5f6g7h8i9j0k1L2' } }), {
    code: 0,
  })
  const wrong = 'z'.repeat(30)
  const refused = await run(['kills'], { env: { ...env, FAIRLEAD_TOKEN: wrong } })
  t.match(refused, { code: 1, err: /token is not known here/ })
  t.notMatch(refused.err, wrong)
  t.match(await run(['kills', '--token-file', `${folder}/none`], { env }), {
    code: 1,
    err: /token file cannot be read/,
  })
})

t.test('misuse is 2, and asks nobody', async (t) => {
  const free = `127.0.0.1:${await freePort()}`
  t.match(await run(['drain', 'x', '-a', free]), { code: 1, out: '', err: /nothing listens there/ })
  t.match(await run(['drain', 'x', '-y', '--for', '30', '-a', free]), { code: 2, err: /90s, 30m or 2h/ })
  t.match(await run(['restore', 'x', '-y', '--for', '30m', '-a', free]), { code: 2, err: /unknown option/ })
  t.match(await run(['eject', '-y', '-a', free]), { code: 2, err: /missing required argument/ })
  t.match(await run(['drain', 'x', '-y', '-a', free]), { code: 1, err: /nothing listens there/ })
})

const seen: Endpoint = {
  service: 'shop',
  version: '9.8.0',
  endpoint: {
    handle: 'shop-3f2a9c1d',
    address: '10.0.0.5',
    port: 8080,
    status: 'passing',
    inFlight: 3,
    health: { state: 'healthy', cause: null },
    order: null,
  },
  others: { service: 2, version: 0 },
  everywhere: null,
  warnings: [],
}

t.test('what will be done is shown first, and nothing is done without a yes', async (t) => {
  t.equal(
    planText('drain', seen, { forTime: '30m', reason: 'disk\u001b[2J', admin: '127.0.0.1:8082' }),
    `drain shop-3f2a9c1d 10.0.0.5:8080
  proxy      127.0.0.1:8082 and no other
  service    shop, version 9.8.0
  now        catalog passing, health healthy, 3 in flight
  how long   30m
  reason     disk\\u001b[2J
  left       2 endpoints of shop, 0 of version 9.8.0
Nothing new goes there; what it has may finish.
`,
  )
  const shared = { ...seen, everywhere: 'kv:fairlead' }
  const asked = { forTime: undefined, reason: undefined, admin: '127.0.0.1:8082' }
  t.match(planText('drain', shared, asked), /^ {2}proxy {6}every one that reads kv:fairlead$/m)
  t.match(planText('restore', shared, asked), /^ {2}proxy {6}every one that reads kv:fairlead$/m)
  t.match(planText('drain', shared, { ...asked, local: true }), /^ {2}proxy {6}127\.0\.0\.1:8082 and no other$/m)
  t.match(planText('eject', shared, asked), /^ {2}proxy {6}127\.0\.0\.1:8082 and no other$/m)
  const order = {
    kind: 'eject',
    since: '2026-05-04T12:00:00.000Z',
    until: null,
    reason: 'ill',
    by: 'bob',
    document: null,
  } as const
  const last = {
    ...seen,
    version: '',
    endpoint: { ...seen.endpoint, health: { state: 'ejected', cause: 'operator' }, order },
    others: { service: 0, version: 0 },
    warnings: ['Nothing is left: x'],
    means: 'M.',
  }
  const none = { forTime: undefined, reason: undefined, admin: 'unix:/a' }
  t.match(
    planText('eject', last, none),
    /order {6}eject by bob since 2026-05-04T12:00:00\.000Z: ill\n.*until it is restored\n.*\n {2}warning {4}nothing of shop is left\n/,
  )
  t.match(planText('restore', last, none), /besides it 0 endpoints of shop\nIt gets requests again\.\n$/)
  t.equal(outcomeText('eject', last), 'Ejected shop-3f2a9c1d 10.0.0.5:8080. M.\nWarning: Nothing is left: x\n')

  const { admin } = await serve(t, [await backend(t, 'one')], 'admin: { address: "127.0.0.1:0" }\n')
  const handle = [...(await handlesOf(admin)).values()][0] ?? ''
  let plan = ''
  let printed = ''
  const go = (answer: boolean, more: Partial<OperateOptions> = {}): Promise<string> =>
    operate({
      verb: 'eject',
      handle,
      forTime: undefined,
      reason: undefined,
      yes: false,
      admin: { kind: 'tcp', host: '127.0.0.1', port: admin },
      token: undefined,
      json: false,
      ask: (text) => {
        plan = text
        return Promise.resolve(answer)
      },
      print: (text) => (printed += text),
      ...more,
    }).catch((error: unknown) => errorText(error))
  t.equal(await go(false), 'declined')
  t.match(
    plan,
    /^eject web-.*\n.*\n {2}service {4}web, version 1\n.*\n.*\n {2}left {7}0 endpoints of web, 0 of version 1\n {2}warning/,
  )
  t.match(JSON.parse((await ask(admin, `/v1/endpoints/${handle}`)).body), { endpoint: { order: null } })
  t.equal(printed, '')
  t.equal(await go(true, { dryRun: true, yes: true }), 'shown')
  t.match(printed, /^eject web-/)
  t.equal(await go(true, { ask: undefined, json: true }), 'unasked')
  t.match(JSON.parse(printed.slice(printed.indexOf('{'))), { endpoint: { handle, order: null } })
  const where = ['-a', `127.0.0.1:${admin}`]
  const shown = await run(['drain', handle, ...where])
  t.match(shown, { code: 2, out: /^drain web-.*\n {2}proxy/, err: /^fairlead: nothing was done: .*pass --yes/ })
  t.match(await run(['drain', handle, '--dry-run', '--yes', ...where]), { code: 0, out: shown.out, err: '' })
  t.match(JSON.parse((await ask(admin, `/v1/endpoints/${handle}`)).body), { endpoint: { order: null } })
  printed = ''
  t.equal(await go(true), 'done')
  t.match(printed, /^Ejected web-.*\nWarning: Nothing is left/)
  t.match(await go(true, { handle: '../table' }), /No endpoint has this handle|There is nothing at this path/)
})
