/** The image's recipe: read by a parser that knows Dockerfiles, and its steps run in a clean folder. */
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DockerfileParser, type From } from 'dockerfile-ast'
import t from 'tap'
import { ask, quiet } from '../fixtures/app.ts'
import { runDockerfile } from '../fixtures/dockerfile-run.ts'
import { until } from '../fixtures/until.ts'

// Installing takes its time where nothing is cached.
t.setTimeout(240_000)

const context = fileURLToPath(new URL('../../', import.meta.url))
const text = readFileSync(join(context, 'Dockerfile'), 'utf8')
const file = DockerfileParser.parse(text)
const instructions = file.getInstructions()
const named = (keyword: string): string[] =>
  instructions.filter((one) => one.getKeyword() === keyword).map((one) => one.getArgumentsContent() ?? '')

t.test('stages: built from a base by name, shipped without the tools', async (t) => {
  const froms = file.getFROMs()
  t.equal(froms.length, 2)
  for (const from of froms) t.equal(from.getImage(), 'node:24-slim')
  const { engines } = JSON.parse(readFileSync(join(context, 'package.json'), 'utf8')) as { engines: { node: string } }
  t.equal(engines.node, '>=22.19', 'which the base satisfies')
  const last = instructions.slice(instructions.lastIndexOf(froms[1] as From))
  t.notOk(
    last.some((one) => one.getKeyword() === 'RUN'),
    'the shipped stage runs nothing',
  )
  t.match(
    named('RUN').filter((run) => run.includes('--omit=dev')),
    [/^npm prune --omit=dev --ignore-scripts/],
  )
})

t.test('it runs as a user that is not root, and writes nowhere but to its volume', async (t) => {
  t.same(named('USER'), ['1000:1000'])
  const last = instructions.map((one) => one.getKeyword())
  t.ok(last.lastIndexOf('USER') < last.lastIndexOf('ENTRYPOINT'))
  t.same(named('VOLUME'), ['["/var/lib/fairlead"]'])
  t.match(text, 'COPY --from=build --chown=1000:1000 /app/state /var/lib/fairlead')
})

t.test('no shell stands between the engine and the program, so SIGTERM reaches it', async (t) => {
  for (const keyword of ['ENTRYPOINT', 'CMD']) {
    const [form] = named(keyword)
    t.ok(Array.isArray(JSON.parse(form ?? '')), `${keyword} ${form}`)
  }
  const health = instructions.find((one) => one.getKeyword() === 'HEALTHCHECK')
  t.match(health?.getTextContent(), /^HEALTHCHECK --interval=10s --timeout=3s .* CMD \["node", /)
  t.same(named('SHELL'), [])
  for (const run of named('RUN')) t.notMatch(run, /[;&|]|curl|wget|apt/, run)
  t.same(named('ADD'), [])
})

t.test(
  'the steps, run in a clean folder, make a program that serves, is healthy, and ends on SIGTERM',
  { timeout: 240_000 },
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'fairlead-docker-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    // The image's own Node comes first, as it does there.
    const path = `${dirname(process.execPath)}:${process.env['PATH']}`
    const clean = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !/^(npm_(?!config_)|TAP|_TAPJS)/.test(name)),
    )
    const stage = runDockerfile(text, {
      context,
      folder,
      env: { ...clean, PATH: path, npm_config_prefer_offline: 'true' },
    })
    if ('step' in stage) {
      if (/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|ETIMEDOUT|ENOTCACHED/.test(stage.output)) {
        t.plan(0, 'no package registry can be reached from here')
        return
      }
      t.fail(`RUN ${stage.step}\n${stage.output}`)
      return
    }
    const here = (arg: string): string => (arg.startsWith('/app/') ? join(stage.root, arg) : arg)
    t.same(readdirSync(join(stage.root, 'app')).toSorted(), ['LICENSE', 'dist', 'node_modules', 'package.json'])
    t.ok(statSync(join(stage.root, 'var/lib/fairlead')).isDirectory())
    const modules = readdirSync(join(stage.root, 'app/node_modules'))
    for (const name of ['tap', 'typescript', 'prettier', 'node', 'oxlint'])
      t.notOk(modules.includes(name), `${name} is not shipped`)
    for (const name of ['undici', 'pino', 'prom-client', 'yaml', 'zod', 'commander']) t.ok(modules.includes(name), name)
    t.ok(readdirSync(join(stage.root, 'app/dist')).includes('main.d.ts'), 'declarations are built')
    t.equal(
      readdirSync(join(stage.root, 'app/dist'), { recursive: true }).filter((name) =>
        /(?<!\.d)\.ts$/.test(String(name)),
      ).length,
      0,
    )

    const config = join(folder, 'fairlead.yaml')
    writeFileSync(
      config,
      `${quiet}catalog: { embedded: { address: "127.0.0.1:0", stateDir: ${join(stage.root, 'var/lib/fairlead')} } }\n`,
    )
    const [command = '', ...args] = [...stage.entrypoint, ...stage.cmd, '--config', config].map(here)
    const child = spawn('env', ['-u', 'NODE_OPTIONS', command, ...args], {
      env: { ...clean, ...stage.env, PATH: path },
      cwd: join(stage.root, stage.workdir),
    })
    t.teardown(() => child.kill('SIGKILL'))
    let out = ''
    child.stdout.on('data', (bytes: Buffer) => (out += bytes.toString()))
    child.stderr.on('data', (bytes: Buffer) => (out += bytes.toString()))
    const exit = new Promise((resolve) => child.once('exit', resolve))
    await until(() => out.includes('listening on'), { timeoutMs: 20_000, what: 'the listener' })
    const [, status] = /status address: (\S+:\d+)/.exec(out) ?? []
    t.equal((await ask(Number(status?.split(':')[1]), '/readyz')).status, 200)
    const [node = '', ...check] = stage.healthcheck.map(here)
    const healthEnv = { ...clean, PATH: path, FAIRLEAD_STATUS: status ?? '' }
    t.equal(spawnSync(node, check, { env: healthEnv }).status, 0)
    child.kill('SIGTERM')
    t.equal(await exit, 0, out)
    t.equal(spawnSync(node, check, { env: healthEnv }).status, 1, 'and it is not healthy any more')

    const demo = spawnSync('env', ['-u', 'NODE_OPTIONS', ...[...stage.entrypoint, 'demo', '--for', '2s'].map(here)], {
      env: { ...clean, ...stage.env, PATH: path },
      encoding: 'utf8',
    })
    t.equal(demo.status, 0, `the compiled demonstration runs\n${demo.stdout}${demo.stderr}`)
    t.match(demo.stdout, /failed {6}0 otherwise/)
  },
)
