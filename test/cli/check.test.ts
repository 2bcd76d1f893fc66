import { Command } from 'commander'
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { addCheckCommand } from '../../src/cli/check.ts'

interface Outcome {
  readonly out: string
  readonly err: string
  readonly code: number | undefined
}

async function check(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  const result = { out: '', err: '', code: undefined as number | undefined }
  const program = new Command().exitOverride()
  addCheckCommand(program, {
    env,
    out: (text) => void (result.out += text),
    err: (text) => void (result.err += text),
    exitCode: (code) => void (result.code = code),
  })
  await program.parseAsync(['node', 'fairlead', 'check', ...args])
  return result
}

const template = fileURLToPath(new URL('../../templates/fairlead.yaml', import.meta.url))
const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

void t.test('a good file', async (t) => {
  const dir = t.testdir({ 'f.yaml': 'routes: [{ service: shop }]\n' })
  const { out, err, code } = await check(['--config', `${dir}/f.yaml`])
  t.match(out, /f\.yaml: valid; 1 listener, 1 route, catalog from consul\n$/)
  t.equal(err, '')
  t.equal(code, 0)
})

void t.test('without a file, the defaults and the environment', async (t) => {
  t.match(await check([]), { code: 0, out: /valid; 1 listener, no routes and those of urlprefix- tags/ })
  t.match(await check([], { CONSUL_HTTP_ADDR: 'ftp://x' }), { code: 1, out: /environment:1:1: CONSUL_HTTP_ADDR: / })
})

void t.test('every mistake with its line', async (t) => {
  const dir = t.testdir({
    'f.yaml': 'listen:\n  - adress: 0.0.0.0:80\nlog: { level: loud }\n',
    'w.yaml': 'catalog: { file: nowhere.json }\nerrorPages: { 503: w.yaml, 404: gone.html }\n',
    's.yaml': 'catalog: { consul: { token: hunter2, stale: maybe } }\n',
    empty: {},
  })
  const bad = await check(['-c', `${dir}/f.yaml`])
  t.equal(bad.code, 1)
  t.equal(
    bad.out.replaceAll(`${dir}/`, ''),
    `f.yaml:2:5: listen[0].adress: there is no setting "adress"; did you mean "address"?
      - adress: 0.0.0.0:80
        ^
f.yaml:3:15: log.level: expected debug, info, warn or error; found "loud"
    log: { level: loud }
                  ^
f.yaml: 2 errors
`,
  )
  const warned = await check(['-c', `${dir}/w.yaml`])
  t.equal(warned.code, 0)
  t.match(warned.out, /w\.yaml:1:18: catalog\.file: warning: this file cannot be read here: ENOENT/)
  t.match(warned.out, /w\.yaml:2:33: errorPages\.404: warning: this file cannot be read here/)
  t.match(warned.out, /valid, 2 warnings/)

  t.notMatch((await check(['-c', `${dir}/s.yaml`])).out, /hunter2/)
  t.match(await check(['-c', `${dir}/nope.yaml`]), { code: 2, out: '', err: /cannot read the configuration: ENOENT/ })
  t.match(await check(['-c', `${dir}/empty`]), { code: 2, err: /EISDIR/ })
})

void t.test('as JSON', async (t) => {
  const dir = t.testdir({ 'f.yaml': 'log: { levle: info }\n' })
  const { out, code } = await check(['--json', '-c', `${dir}/f.yaml`])
  t.equal(code, 1)
  t.match(JSON.parse(out), {
    ok: false,
    errors: [{ line: 1, column: 8, path: 'log.levle', suggestion: 'level', excerpt: 'log: { levle: info }' }],
    warnings: [],
  })
  t.match(JSON.parse((await check(['--json', '-c', `${dir}/none`])).out), { ok: false, message: /ENOENT/ })
  t.match(JSON.parse((await check(['--json', '-c', template])).out), { ok: true, errors: [], warnings: [] })
})

void t.test('the template passes the real command', async (t) => {
  const child = spawn(process.execPath, [main, 'check', '--config', template], {
    env: { PATH: process.env['PATH'] ?? '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = new Promise((resolve) => void child.once('exit', resolve))
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  t.match(out, /fairlead\.yaml: valid; 1 listener, 2 routes, catalog from consul\n/)
  t.equal(err, '')
  t.equal(code, 0)
})
