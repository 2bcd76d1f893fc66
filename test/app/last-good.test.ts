/** What a document said before it became bad stays in force through restarts, at a real agent. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { ask, backend, configOf, portOf, proxyPort, quiet, rigApp } from '../fixtures/app.ts'
import { startConsulAgent } from '../fixtures/consul-agent.ts'
import { findConsul } from '../fixtures/install.ts'
import { until } from '../fixtures/until.ts'

const consul = await findConsul()

const document = (revision: number, settings: object): object => ({
  revision,
  by: 'alice',
  at: '2026-11-26T07:00:00Z',
  reason: '',
  settings,
})

await t.test('bad policy', { skip: consul.path === undefined ? consul.reason : false, timeout: 120_000 }, async (t) => {
  const agent = await startConsulAgent()
  t.teardown(() => agent.stop())
  for (const service of ['shop', 'blog'])
    for (const version of ['1', '2']) {
      const Port = await backend(t, version)
      const instance = { ID: `${service}-${version}`, Name: service, Address: '127.0.0.1', Port, Meta: { version } }
      await agent.api('PUT', '/v1/agent/service/register', instance)
    }
  const key = '/v1/kv/fairlead/services/shop'
  const subset = (version: string): object => ({ Filter: `Service.Meta.version == ${version}` })
  const routeTo = (subset: string, http: object): Promise<unknown> =>
    agent.api('PUT', '/v1/config', {
      Kind: 'service-router',
      Name: 'blog',
      Routes: [{ Match: { HTTP: http }, Destination: { ServiceSubset: subset } }],
    })
  await agent.api('PUT', '/v1/config', { Kind: 'service-defaults', Name: 'blog', Protocol: 'http' })
  const subsets = { v1: subset('1'), v2: subset('2') }
  await agent.api('PUT', '/v1/config', { Kind: 'service-resolver', Name: 'blog', Subsets: subsets })
  await agent.api('PUT', key, document(1, { versions: { 2: 1 } }))
  await routeTo('v2', { PathPrefix: '/' })

  const stateDir = mkdtempSync(join(tmpdir(), 'fairlead-last-good-'))
  t.teardown(() => rmSync(stateDir, { recursive: true, force: true }))
  const config = configOf(
    `${quiet}\nstateDir: "${stateDir}"\ncatalog: { consul: { address: "${agent.address}" } }\n` +
      'routes: [{ service: shop, path: /shop }, { service: blog, path: /blog }]\n',
  )
  const started = async (): Promise<{
    readonly answers: () => Promise<string>
    readonly stop: () => Promise<void>
    readonly problems: () => Promise<string>
  }> => {
    const { app } = rigApp(t, config)
    await app.start()
    const port = proxyPort(app)
    const admin = portOf(app.addresses().admin)
    return {
      answers: async () => (await ask(port, '/shop')).body + (await ask(port, '/blog')).body,
      problems: async () => (await ask(admin, '/v1/problems')).body,
      stop: () => app.stop(),
    }
  }
  const saved = (): string => readFileSync(join(stateDir, 'snapshot.json'), 'utf8')
  const stays = async (one: Awaited<ReturnType<typeof started>>, what: string): Promise<void> => {
    for (let i = 0; i < 10; i++) t.equal(await one.answers(), '22', what)
    const problems = await one.problems()
    t.match(problems, /fairlead\/services\/shop.*its last good form, revision 1 by alice, stays in force/, what)
    t.match(problems, /config-entries\/service-router\/blog.*its last good form stays in force/, what)
  }

  let one = await started()
  await until(async () => (await one.answers()) === '22')
  await until(() => saved().includes('alice') && saved().includes('service-router'))
  await one.stop()

  // Both become bad while nobody looks.
  await agent.api('PUT', key, document(2, { versoins: { 1: 1 } }))
  await routeTo('v1', { PathRegex: '/[a-z]+' })
  for (const what of ['it became bad while the proxy was away', 'and stays so', 'for as many starts as it takes']) {
    one = await started()
    await until(async () => (await one.problems()).includes('service-router/blog'))
    await stays(one, what)
    await until(() => saved().includes('versoins') && saved().includes('last good of kv:fairlead'))
    await one.stop()
  }

  one = await started()
  await agent.api('PUT', key, document(3, { versions: { 1: 1 } }))
  await routeTo('v1', { PathPrefix: '/' })
  await until(async () => (await one.answers()) === '11')
  await until(() => !saved().includes('last good of'))
  t.pass('mended, nothing else is kept of it')
})
