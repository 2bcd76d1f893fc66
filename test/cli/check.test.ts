import { Command } from 'commander'
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { addCheckCommand } from '../../src/cli/check.ts'
import { tlsParts } from '../fixtures/tls-parts.ts'

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
  for (const addr of ['ftp://x', 'http//x', 'http:/x:8500', 'https//x', 'http:///x', 'a b', 'host//x'])
    t.match(await check([], { CONSUL_HTTP_ADDR: addr }), { code: 1, out: /environment:1:1: CONSUL_HTTP_ADDR: / }, addr)
  for (const addr of ['x', 'x:8500', 'http:8500', 'https://x/prefix', 'x:1/prefix', 'unix:///run/c.sock'])
    t.match(await check([], { CONSUL_HTTP_ADDR: addr }), { code: 0 }, addr)
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
  t.match(warned.out, /w\.yaml:1:18: catalog\.file: warning: this file cannot be read here: there is no file/)
  t.match(warned.out, /w\.yaml:2:33: errorPages\.404: warning: this file cannot be read here/)
  t.match(warned.out, /valid, 2 warnings/)

  t.notMatch((await check(['-c', `${dir}/s.yaml`])).out, /hunter2/)
  t.match(await check(['-c', `${dir}/nope.yaml`]), {
    code: 2,
    out: '',
    err: /cannot read the configuration: there is no file .*nope\.yaml; --config names another\n$/,
  })
  t.match(await check(['-c', `${dir}/empty`]), { code: 2, err: /is a folder/ })
})

void t.test('the catalog files it names', async (t) => {
  const dir = t.testdir({
    'f.yaml': 'catalog: { file: s.yaml }\n',
    's.yaml': 'services:\n  - { name: a, port: 1 }\n  - { name: b }\n  - { name: a, port: 2 }\n',
    'none.yaml': 'catalog: [{ file: n.json }, { consul: {} }]\n',
    'n.json': '{"services": [{"name": "a"}]}',
    'broken.yaml': 'catalog: { file: b.json }\n',
    'b.json': '{"services": [\n',
    'empty.yaml': 'catalog: { file: e.json }\n',
    'e.json': '{"services": []}',
  })
  const some = await check(['-c', `${dir}/f.yaml`])
  t.match(some, { code: 0, out: /s\.yaml:3:5: warning: b has no port; this definition is left out\n/ })
  t.match(some.out, /s\.yaml:4:5: warning: another definition has the id "a" already/)
  t.match(some.out, /f\.yaml: valid, 2 warnings; 1 listener/)
  t.match(await check(['-c', `${dir}/none.yaml`]), { code: 1, out: /n\.json:1:15: a has no port.*\n.*: 1 error\n$/ })
  t.match(await check(['-c', `${dir}/broken.yaml`]), { code: 1, out: /b\.json:\d+:\d+: YAML.*\n.*: 1 error\n$/ })
  t.match(await check(['-c', `${dir}/empty.yaml`]), { code: 0, out: /empty\.yaml: valid; / })
  const told = JSON.parse((await check(['--json', '-c', `${dir}/none.yaml`])).out) as object
  t.match(told, { ok: false, errors: [{ file: `${dir}/n.json`, line: 1, column: 15 }] })
})

void t.test('a variable that names a file is named itself', async (t) => {
  const dir = t.testdir({ 'f.yaml': 'catalog: { consul: { tokenFile: gone } }\n' })
  const env = { CONSUL_HTTP_TOKEN_FILE: `${dir}/none`, CONSUL_CACERT: `${dir}/none.pem` }
  const { code, out } = await check([], env)
  t.equal(code, 0)
  t.match(
    out,
    /^environment:1:1: CONSUL_HTTP_TOKEN_FILE: warning: this file cannot be read here: there is no file.*none$/m,
  )
  t.match(out, /^environment:1:1: CONSUL_CACERT: warning: this file cannot be read here: there is no file.*none\.pem$/m)
  const own = await check(['-c', `${dir}/f.yaml`], env)
  t.match(own.out, /f\.yaml:1:33: catalog\.consul\.tokenFile: warning: this file cannot be read here: there is no file/)
  t.notMatch(own.out, /CONSUL_HTTP_TOKEN_FILE/)
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
  t.match(JSON.parse((await check(['--json', '-c', `${dir}/none`])).out), { ok: false, message: /there is no file/ })
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

void t.test('tokens that serve would refuse', async (t) => {
  const good = 'a1b2c3d4e5f60718293a4b5c6d7e8f90'
  const dir = t.testdir({
    short: 'abc\n',
    good,
    twin: good,
    's.yaml': 'admin: { tokens: [{ name: alice, file: short, role: read }] }\nroutes: [{ service: a }]\n',
    't.yaml':
      'admin: { tokens: [{ name: alice, file: good, role: read }, { name: bob, file: twin, role: read }] }\nroutes: [{ service: a }]\n',
    'g.yaml': 'admin: { tokens: [{ name: alice, file: good, role: read }] }\nroutes: [{ service: a }]\n',
  })
  t.match(await check(['--config', `${dir}/s.yaml`]), { code: 1, out: /short:1:1: .*token of alice .*128 bits/ })
  t.match(await check(['--config', `${dir}/t.yaml`]), { code: 1, out: /token of bob .*it is the token of alice, too/ })
  t.match(await check(['--config', `${dir}/g.yaml`]), { code: 0 })
})

void t.test('certificates and keys that are none are warned of', async (t) => {
  const parts = await tlsParts()
  if (!parts) return t.comment('needs openssl')
  const { cert, key } = parts.authority
  const names = (ca: string, own: string, ownKey: string): string => `{ ca: ${ca}, cert: ${own}, key: ${ownKey} }`
  const dir = t.testdir({
    'cert.pem': cert,
    'key.pem': key,
    'empty.pem': '',
    'bad.yaml': `defaults:\n  tls: ${names('key.pem', 'empty.pem', 'cert.pem')}\n`,
    'good.yaml': `defaults:\n  tls: ${names('cert.pem', 'cert.pem', 'key.pem')}\n`,
  })
  const bad = await check(['-c', `${dir}/bad.yaml`])
  t.equal(bad.code, 0)
  t.match(bad.out, /^.*defaults\.tls\.ca: warning: this file cannot be used: there is no certificate in it; expected /m)
  t.match(bad.out, /^.*defaults\.tls\.cert: warning: this file cannot be used: there is no certificate in it/m)
  t.match(bad.out, /^.*defaults\.tls\.key: warning: this file cannot be used: there is no private key in it/m)
  t.match(await check(['-c', `${dir}/good.yaml`]), { out: /good\.yaml: valid; / })
  const consul = await check([], { CONSUL_HTTP_ADDR: 'https://x', CONSUL_CACERT: `${dir}/key.pem` })
  t.match(consul.out, /^environment:1:1: CONSUL_CACERT: warning: this file cannot be used: there is no certificate/m)
})
