/** What a service shows of its shares as things stand, of routes that it shares, and of what is mirrored. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { ServiceView } from '../../src/admin/views.ts'
import { ask, configOf, portOf, quiet, rigApp } from '../fixtures/app.ts'
import { fairlead } from '../fixtures/command.ts'
import { until } from '../fixtures/until.ts'

t.test('shares, what is shared, and what is mirrored', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-shared-view-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'services.json')
  const of = (name: string, version: string, tags: readonly string[] = []): object => {
    return { id: `${name}-${version}`, name, address: `127.4.${version}.1`, port: 4_000, meta: { version }, tags }
  }
  const services = [
    of('web', '1'),
    of('web', '2'),
    of('next', '5'),
    of('a', '1', ['urlprefix-/t']),
    of('b', '1', ['urlprefix-/t']),
  ]
  writeFileSync(file, JSON.stringify({ services }))
  const { app } = rigApp(
    t,
    configOf(
      `${quiet}catalog: { file: "${file}" }
policy: { tags: urlprefix- }
defaults: { health: { mode: off, slowStart: 0s } }
routes:
  - { path: /one, service: web }
  - { path: /two, service: web }
  - { path: /weighed, service: web, versions: { 2: 1 }, mirror: off }
  - { path: /own, service: web, mirror: off, split: [{ version: "1", weight: 3 }, { service: next, weight: 1 }], failover: [next] }
services:
  web: { versions: { 1: 9, 2: 1 }, mirror: { version: "2", share: 10% } }
  b: { mirror: { version: "1", share: 50% } }
`,
    ),
  )
  await app.start()
  const admin = portOf(app.addresses().admin)
  const view = async (name: string): Promise<ServiceView> =>
    JSON.parse((await ask(admin, `/v1/services/${name}`)).body) as ServiceView
  const part = (service: string, version: string | null, share: number, standby = false): object => ({
    service,
    version,
    standby,
    share,
  })
  const before = await view('web')
  t.match(before, {
    versions: [
      { version: '1', share: 0.9 },
      { version: '2', share: 0.1 },
    ],
  })
  const own = [part('web', '1', 0.75), part('next', null, 0.25), part('next', null, 0, true)]
  t.strictSame(before.shared, [{ parts: own, unanswered: 0, routes: ['/own'] }])
  const weighed = [
    { version: '1', share: 0 },
    { version: '2', share: 1 },
  ]
  t.strictSame(before.ownWeights, [{ versions: weighed, routes: ['/weighed'] }])
  t.strictSame((await view('next')).ownWeights, [])
  t.strictSame(before.mirrorings, [{ version: '2', share: 0.1, routes: ['/one', '/two'] }])
  t.strictSame((await view('next')).shared, before.shared)
  t.strictSame((await view('next')).mirrorings, [])
  t.strictSame((await view('b')).mirrorings, [{ version: '1', share: 0.5, routes: ['/t'] }], 'each of a place its own')
  t.strictSame((await view('a')).mirrorings, [])
  const whole = JSON.parse((await ask(admin, '/v1/table')).body) as { services: readonly ServiceView[] }
  t.strictSame(whole.services.find(({ name }) => name === 'web')?.shared, before.shared)

  const handle = before.versions[0]?.endpoints[0]?.handle ?? ''
  const drained = await ask(admin, `/v1/endpoints/${handle}/drain`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
  })
  t.equal(drained.status, 200)
  await until(async () => (await view('web')).versions[0]?.share === 0)
  const after = await view('web')
  t.match(after, {
    versions: [{ share: 0 }, { share: 1 }],
    shared: [{ parts: [{ share: 0 }, { share: 1 }, { share: 0 }] }],
  })
  const status = fairlead(['status', 'web', '--admin', `127.0.0.1:${String(admin)}`])
  t.equal(await status.exit, 0)
  t.match(
    status.out(),
    /\n {2}1 +0 % .* drained by .*\n {2}2 +100 % [^]*\n {2}1 is drained: its 90 % go to 2\n {2}weights of its own at \*\/weighed: 1 0 %, 2 100 %\n {2}shared at \*\/own: web 1 0 %, next 100 %, else next 0 %\n {2}mirrored: 10 % of the safe requests to \*\/one, \*\/two also go to 2\n/,
  )
})
