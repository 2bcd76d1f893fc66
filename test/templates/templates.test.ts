/** What people copy from templates/ works: each file is judged by what will read it, and the composed parts are run. */
import { execFile, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { parse } from 'yaml'
import { createEmbeddedCatalog } from '../../src/catalog/embedded/embedded.ts'
import { systemClock } from '../../src/core/clock.ts'
import { silentLogger } from '../../src/core/log.ts'
import { seededRandom } from '../../src/core/random.ts'
import { ask, configOf, definitions, freePort, proxyPort, quiet, rigApp } from '../fixtures/app.ts'
import { fairlead } from '../fixtures/command.ts'
import { ensureDebianCommand } from '../fixtures/install.ts'
import { until } from '../fixtures/until.ts'

const path = (name: string): string => fileURLToPath(new URL(`../../templates/${name}`, import.meta.url))
const read = (name: string): string => readFileSync(path(name), 'utf8')

interface Compose {
  readonly services: Record<string, ComposeService>
  readonly volumes: Record<string, unknown>
  readonly configs: Record<string, { readonly content: string }>
}

interface ComposeService {
  readonly image?: string
  readonly build?: string
  readonly command?: readonly string[] | string
  readonly configs?: readonly { readonly source: string; readonly target: string }[]
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
  readonly environment?: Record<string, string>
  readonly depends_on?: Record<string, { readonly condition: string }>
  readonly healthcheck?: unknown
  readonly read_only?: boolean
  readonly stop_grace_period?: string
}

const compose = parse(read('compose.yaml'), { merge: true }) as Compose

function folderOf(t: { teardown: (fn: () => void) => void }): string {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-templates-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

t.test('fairlead.yaml: the real check finds nothing to say', async (t) => {
  const check = fairlead(['check', '--config', path('fairlead.yaml')])
  t.equal(await check.exit, 0, check.out() + check.err())
})

t.test('prometheus.yml: promtool finds nothing to say, and the series it names exist', async (t) => {
  const text = read('prometheus.yml')
  const promtool = await ensureDebianCommand('promtool', 'prometheus')
  if (promtool.path === undefined) {
    t.plan(0, promtool.reason)
    return
  }
  const start = text.indexOf('  # - job_name')
  const uncommented = text.slice(0, start) + text.slice(start).replaceAll(/^( *)# /gm, '$1')
  const { app } = rigApp(t, configOf(`${quiet}catalog: { file: "${path('services.json')}" }\n`))
  await app.start()
  const metrics = (await ask(Number(app.addresses().status?.split(':')[1]), '/metrics')).body
  for (const [name] of text.matchAll(/fairlead_[a-z_]+/g)) t.match(metrics, `# TYPE ${name} `, name)
  const folder = folderOf(t)
  for (const [name, content] of [
    ['plain.yml', text],
    ['uncommented.yml', uncommented],
  ] as const) {
    writeFileSync(join(folder, name), content)
    const said = await new Promise<string>((resolve) =>
      execFile(promtool.path ?? '', ['check', 'config', join(folder, name)], (error, out, err) =>
        resolve(error ? out + err : ''),
      ),
    )
    t.equal(said, '', name)
  }
  t.match(uncommented, /^ {4}dns_sd_configs:$/m)
})

t.test('error.html: stands alone, and is what clients get', async (t) => {
  const page = read('error.html')
  t.notMatch(page, /<script|<link|<img|src=|https?:\/\/|url\(/i, 'nothing from anywhere else')
  t.match(page, /^<!doctype html>/)
  for (const tag of ['html', 'head', 'body', 'main', 'h1', 'p', 'style', 'title']) {
    const count = (pattern: string): number => page.split(new RegExp(pattern)).length - 1
    t.equal(count(`<${tag}[ >]`), count(`</${tag}>`), `${tag} is closed`)
  }
  const services = join(folderOf(t), 'services.json')
  writeFileSync(services, definitions('web', []))
  const { app } = rigApp(
    t,
    configOf(
      `${quiet}catalog: { file: "${services}" }\nroutes: [{ service: web }]\nerrorPages: { 502: error.html, 503: error.html, 504: error.html }\n`,
      path('fairlead.yaml'),
    ),
  )
  await app.start()
  t.match(await ask(proxyPort(app)), {
    status: 503,
    body: page,
    headers: { 'content-type': 'text/html; charset=utf-8' },
  })
})

t.test('compose.yaml: every name it uses is declared', async (t) => {
  t.same(Object.keys(compose.services), ['consul', 'fairlead', 'app-9-7', 'app-9-8'])
  for (const [name, service] of Object.entries(compose.services)) {
    t.ok((service.image === undefined) !== (service.build === undefined), `${name} has an image or a build`)
    t.notMatch(service.image ?? '', /:latest$|^[^:]+$/, `${name}: the version is said`)
    for (const { source } of service.configs ?? []) t.ok(compose.configs[source], `${name}: config ${source}`)
    for (const volume of service.volumes ?? [])
      t.ok((volume.split(':')[0] ?? '') in compose.volumes, `${name}: volume ${volume}`)
    for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) {
      t.ok(compose.services[other], `${name} depends on ${other}`)
      if (condition === 'service_healthy') t.ok(compose.services[other]?.healthcheck, `${other} can be healthy`)
    }
  }
  // Compose replaces what follows a dollar sign, which neither the configuration nor the program expects.
  for (const [name, { content }] of Object.entries(compose.configs)) t.notMatch(content, /\$/, name)
  t.equal(
    compose.services['app-9-8']?.image,
    compose.services['app-9-7']?.image,
    'the second version is the first with another version',
  )
})

t.test(
  'compose.yaml: Fairlead gets its configuration, may not write but to its volume, and has time to end',
  async (t) => {
    const service = compose.services['fairlead']
    const command = service?.command as readonly string[]
    t.same(command, ['serve', '--config', service?.configs?.[0]?.target])
    t.equal(service?.read_only, true)
    const file = join(folderOf(t), 'fairlead.yaml')
    const content = compose.configs['fairlead']?.content ?? ''
    writeFileSync(file, content)
    const check = fairlead(['check', '--config', file])
    t.equal(await check.exit, 0, check.out())
    const config = configOf(content)
    t.match(config.catalog, [{ kind: 'consul', address: 'http://consul:8500' }])
    t.equal(config.tagPrefix, 'urlprefix-')
    t.ok(service?.volumes?.some((volume) => volume.split(':')[1] === config.stateDir))
    const ports = [config.listen[0]?.port, config.status?.kind === 'tcp' ? config.status.port : 0].map(String)
    t.same(
      service?.ports?.map((port) => port.split(':').at(-1)),
      ports,
    )
    t.equal(config.status?.kind === 'tcp' && config.status.host, '0.0.0.0')
    const graceMs = Number(/^(\d+)s$/.exec(service?.stop_grace_period ?? '')?.[1]) * 1_000
    t.ok(graceMs > config.shutdown.lameDuckMs + config.shutdown.deadlineMs)
  },
)

t.test('compose.yaml: the application registers and is reached through Fairlead, each version', async (t) => {
  const catalog = createEmbeddedCatalog({ port: 0 }, { clock: systemClock, random: seededRandom(5), log: silentLogger })
  t.teardown(() => catalog.close())
  const { port } = await catalog.listen()
  const url = `http://127.0.0.1:${port}`
  const folder = folderOf(t)
  const outside = Object.values(networkInterfaces()).some((all) =>
    all?.some((one) => one.family === 'IPv4' && !one.internal),
  )
  for (const name of ['app-9-7', 'app-9-8']) {
    const service = compose.services[name]
    const own = await freePort()
    let program = compose.configs[service?.configs?.[0]?.source ?? '']?.content ?? ''
    // In containers each has the port, and the name, to itself.
    program = program.replace('const port = 3000', `const port = ${own}`).replaceAll('hostname()', `'${name}'`)
    if (!outside) program = program.replace('!one.internal', 'one.internal')
    const file = join(folder, `${name}.mjs`)
    writeFileSync(file, program)
    const env = { ...process.env, ...service?.environment, CONSUL: url }
    const child = spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, file], {
      env,
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    t.teardown(() => child.kill('SIGKILL'))
  }
  const content = (compose.configs['fairlead']?.content ?? '')
    .replace('http://consul:8500', url)
    .replace(/^stateDir.*$/m, '')
    .replace(/^shutdown.*$/m, '')
  const { app } = rigApp(t, configOf(`${quiet}${content}`))
  await app.start()
  const seen = new Set<string>()
  await until(
    async () => {
      const { status, body } = await ask(proxyPort(app))
      if (status === 200) seen.add(/^Hello from (\S+) on app-9-\d\n$/.exec(body)?.[1] ?? body)
      return seen.size === 2
    },
    { timeoutMs: 15_000 },
  )
  t.same([...seen].toSorted(), ['9.7.0', '9.8.0'])
})
