/** `fairlead kills` as a process, asking a real admin address; and how its text looks. */
import { spawn, spawnSync } from 'node:child_process'
import { createServer } from 'node:http'
import { mkdtempSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createDoor } from '../../src/admin/door.ts'
import { killView, type KillsView } from '../../src/admin/kill-views.ts'
import { adminRouter } from '../../src/admin/routes.ts'
import { killsText, type TextOptions } from '../../src/cli/kills/text.ts'
import { kills } from '../../src/cli/kills/run.ts'
import { parseAddress } from '../../src/config/addresses.ts'
import type { Address } from '../../src/config/config.ts'
import { Because } from '../../src/config/declare.ts'
import { errorText } from '../../src/core/errors.ts'
import { silentLogger } from '../../src/core/log.ts'
import { createKillLedger, type KillLedger } from '../../src/telemetry/kill-ledger.ts'
import { freePort } from '../fixtures/app.ts'
import { type CommandOptions, fairlead, launcher } from '../fixtures/command.ts'
import { boundOf, tableOf } from '../fixtures/data-plane.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { eventsAt, ref, scriptedLedger } from '../fixtures/kills.ts'

const loopback: Address = { kind: 'tcp', host: '127.0.0.1', port: 0 }

async function door(
  t: Pick<Test, 'teardown'>,
  address: Address = loopback,
  kills: KillLedger | 'none' = scriptedLedger(),
): Promise<string> {
  const router = adminRouter({
    metrics: { contentType: '', pieces: () => Promise.resolve([]) },
    notReady: () => [],
    dataPlane: { current: () => boundOf(tableOf('shop', [])) },
    problems: () => [],
    ...(kills === 'none' ? {} : { kills }),
  })
  const opened = createDoor({ name: 'admin', address, log: silentLogger, router })
  t.teardown(() => opened.close())
  return opened.listen()
}

async function run(args: readonly string[], options: CommandOptions = {}): Promise<object> {
  const command = fairlead(['kills', ...args], options)
  const code = await command.exit
  return { code, out: command.out(), err: command.err() }
}

/** The same without a process of its own, of which each costs a second on a busy machine. */
async function ask(where: string, service?: string): Promise<string> {
  const admin = parseAddress(where)
  if (admin instanceof Because) throw new Error(admin.reason)
  return kills({ service, admin, json: false }).catch((error: unknown) => `rejected: ${errorText(error)}`)
}

const expected = `ID   WHEN                  SERVICE     ENDPOINT                     SIGNAL                        IN FLIGHT  RESCUED       RETRIED              LOST  BACK AFTER  CONSUL KNEW AFTER
k-3  2023-11-14 22:13:37Z  cart        cart-0b5e55ed 10.0.0.5:8080  closed-unanswered (observed)          1        0             0                 0     not yet            not yet
k-2  2023-11-14 22:13:30Z  shop 9.7.0  shop-77aa01be 10.0.0.6:8080  refused                               0        0             0                 0       1.2 s              never
k-1  2023-11-14 22:13:21Z  shop 9.8.0  shop-3f2a9c1d 10.0.0.5:8080  silence, refused                     12        9  4 (3 unsent)  2: 1 POST, 1 PUT     not yet              9.8 s
      lost POST a-post ejected
      lost PUT a-put\\u001b[2J reset (nothing of it was sent)

2 deaths and 1 only observed since the proxy started: 9 rescued, 4 retried (3 unsent), 2 lost
1 request lost at instances that were not found dead
      lost POST astray closed at shop 9.7.0 shop-77aa01be, 2023-11-14 22:13:32Z
`

t.test('prints the ledger of the proxy it is told to ask', async (t) => {
  const where = await door(t)
  t.same(await run(['--admin', where]), { code: 0, out: expected, err: '' })
  t.same(await run([], { env: { FAIRLEAD_ADMIN: where } }), { code: 0, out: expected, err: '' })
  t.match(await ask(where, 'cart'), /^k-3 .*\n\n0 deaths of cart and 1 only observed/m)
  t.match(await run(['-a', where, 'nosuch']), {
    code: 1,
    out: '',
    err: `fairlead: the proxy at ${where} says: No route leads to a service of this name, and no death of it is known.\n`,
  })
  const json = (await run(['--json', '-a', where])) as { out: string }
  t.match(JSON.parse(json.out), { totals: { lost: 2 }, kills: [{ id: 'k-3' }, { id: 'k-2' }, { id: 'k-1' }] })
})

t.test('through a Unix socket, and of a proxy where nothing died', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-kills-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'a.sock')
  await door(t, { kind: 'unix', path }, createKillLedger({ clock: new FakeClock() }))
  const admin = `unix:${path}`
  t.same(await run(['-a', admin]), { code: 0, out: 'No instance has died since the proxy started.\n', err: '' })
  t.equal(await ask(admin, 'shop'), 'No instance of shop has died since the proxy started.\n')
  t.match(await ask(`unix:${folder}/b.sock`), /^rejected: no proxy answers at .*: there is no such socket/)
})

t.test('says plainly what is wrong when it gets no ledger', async (t) => {
  const free = `127.0.0.1:${await freePort()}`
  t.same(await run(['-a', free]), {
    code: 1,
    out: '',
    err: `fairlead: no proxy answers at ${free}: nothing listens there; --admin or FAIRLEAD_ADMIN names another address\n`,
  })
  const without = await door(t, loopback, 'none')
  t.match(await ask(without), /^rejected: .* says: There is nothing at this path\.$/)
  const bodies: Record<string, string> = {
    html: '<p>hello',
    shape: '{"kills":[{}]}',
    error: '{"error":"no\\u001b[2J"}',
  }
  const server = createServer((req, res) => {
    const name = /=(\w+)$/.exec(req.url ?? '')?.[1] ?? ''
    if (name === 'cut') return void res.socket?.destroy()
    res.statusCode = name === 'error' ? 500 : 200
    res.end(bodies[name])
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const other = `127.0.0.1:${(server.address() as AddressInfo).port}`
  t.match(await ask(other, 'html'), /^rejected: .*no admin address of Fairlead/)
  t.match(await ask(other, 'shape'), /^rejected: .*is it another version\?$/)
  t.match(await ask(other, 'error'), /^rejected: .*says: no\\u001b\[2J$/)
  t.match(await ask(other, 'cut'), /^rejected: no proxy answers at .*: other side closed/)
})

t.test('misused, it exits with 2', async (t) => {
  t.match(await run(['-a', '8082']), { code: 2, out: '', err: /Write 127\.0\.0\.1:8082\./ })
  t.match(await run([], { env: { FAIRLEAD_ADMIN: 'unix:x' } }), { code: 2, out: '', err: /from env 'FAIRLEAD_ADMIN'/ })
})

/** The output on a terminal of this many columns, as util-linux' `script` makes one. */
async function onTerminal(where: string, columns: number, env: Record<string, string>): Promise<string> {
  const command = `stty cols ${columns} rows 50; exec '${process.execPath}' '${launcher}' kills -a ${where}`
  const { NO_COLOR: _, ...rest } = process.env
  // The runner adds its hooks to what it sees started; env takes them out again.
  const child = spawn('env', ['-u', 'NODE_OPTIONS', 'script', '-qec', command, '/dev/null'], {
    env: { ...rest, TERM: 'xterm', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let out = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
  await new Promise((resolve) => child.on('close', resolve))
  return out.replaceAll('\r\n', '\n')
}

t.test('on a terminal: colours unless they are unwanted, and lines that fit', async (t) => {
  if (spawnSync('script', ['--version']).error) {
    t.plan(0, 'there is no script command (util-linux) to make a terminal')
    return
  }
  const where = await door(t)
  const wide = await onTerminal(where, 200, {})
  t.match(wide, '\u001b[1mID\u001b[0m ')
  t.match(wide, '\u001b[31m2: 1 POST, 1 PUT\u001b[0m')
  // oxlint-disable-next-line no-control-regex -- escape sequences are what is taken out
  t.equal(wide.replace(/\u001b\[\d+m/g, ''), expected)
  const narrow = await onTerminal(where, 80, {})
  t.match(narrow, '\n\u001b[1mk-1\u001b[0m  2023-11-14 22:13:21Z  silence, refused\n')
  const plain = await onTerminal(where, 200, { NO_COLOR: '1' })
  t.equal(plain, expected)
})

function view(ledger: KillLedger): KillsView {
  const { kills, totals } = ledger.read()
  return { totals, strays: [], kills: kills.map(killView) }
}

const plain: TextOptions = { service: undefined, color: false, width: Infinity }

t.test('where the table does not fit, a few lines for each death', async (t) => {
  const text = killsText(view(scriptedLedger()), { ...plain, width: 80 })
  t.match(
    text,
    `k-1  2023-11-14 22:13:21Z  silence, refused
  shop 9.8.0  shop-3f2a9c1d 10.0.0.5:8080
  in flight 12, rescued 9, retried 4 (3 unsent), lost 2: 1 POST, 1 PUT
  back after: not yet, Consul knew after: 9.8 s
      lost POST a-post ejected
`,
  )
  for (const line of text.split('\n').slice(0, -4)) t.ok(line.length <= 80, line)
})

t.test('what was left out is said, and times read well', async (t) => {
  const clock = new FakeClock()
  const ledger = createKillLedger({ clock, entriesMax: 2 })
  const make = eventsAt(clock)
  for (const name of ['a', 'b', 'c']) ledger.event(make.ejected(ref(name, { address: '::1' })))
  for (let i = 0; i < 101; i++) ledger.event(make.outcome(ref('c'), 'lost'))
  const { totals, kills } = view(ledger)
  const text = killsText({ totals: { ...totals, strayLost: 2 }, strays: [], kills }, plain)
  t.match(text, /c \[::1\]:8080 .* 101 POST /)
  t.match(text, /\n {6}and 1 more\n/)
  t.match(text, '3 deaths since the proxy started (the latest 2 are listed): 0 rescued, 0 retried, 101 lost\n')
  t.match(text, '2 requests lost at instances that were not found dead\n      and 2 more\n')
  const [kill] = kills
  if (!kill) throw new Error('no kill')
  const times: readonly (readonly [number, string])[] = [
    [0, '0 ms'],
    [999.4, '999 ms'],
    [999.6, '1.0 s'],
    [9_960, '10 s'],
    [119_000, '119 s'],
    [120_000, '2 min'],
    [7_200_000, '2 h'],
  ]
  for (const [afterMs, written] of times) {
    const shown = killsText({ totals, strays: [], kills: [{ ...kill, recovery: { kind: 'gone', afterMs } }] }, plain)
    t.match(shown, ` gone ${written} `, written)
  }
  t.match(killsText({ totals, strays: [], kills: [{ ...kill, consulKnewAfterMs: -200 }] }, plain), ' 200 ms before\n')
})
