/** What an explanation says of rules that cannot be followed, of who stands by, and of what an instance will see. */
import t from 'tap'
import { ask, configOf, portOf, quiet, rigApp } from '../fixtures/app.ts'
import { fairlead } from '../fixtures/command.ts'
import { until } from '../fixtures/until.ts'

interface Explained {
  readonly result: string
  readonly onward: unknown
}

t.test('explain', async (t) => {
  const folder = t.testdir({
    'services.json': JSON.stringify({
      services: [
        ['shop', '1', 'passing'],
        ['shop', '2', 'critical'],
        ['next', '3', 'passing'],
        ['gone', '1', 'critical'],
      ].map(([name = '', version, status = ''], at) => ({
        id: `${name}-${String(at)}`,
        name,
        address: '127.0.0.1',
        port: 4_000 + at,
        meta: { version },
        status,
      })),
    }),
  })
  const settings = `${quiet}catalog: { file: "${folder}/services.json" }
routes:
  - { service: shop, hostHeader: app.internal }
  - { path: /api, service: next, strip: /api, prepend: /v1, hostHeader: instance }
  - { path: /gone, service: gone, failover: [next] }
  - { path: /both, service: shop, split: [{ weight: 1 }, { service: next, weight: 1 }, { service: gone, weight: 1 }], sticky: { cookie: c } }
services:
  shop: { rules: [{ when: { header: { x-canary: always } }, version: 2 }], health: { mode: off } }
  next: { health: { mode: off } }
`
  const { app } = rigApp(t, configOf(settings))
  await app.start()
  const admin = portOf(app.addresses().admin)
  const explain = async (query: string): Promise<Explained> =>
    JSON.parse((await ask(admin, `/v1/explain?${query}`)).body) as Explained
  await until(async () => (await ask(admin, '/v1/table')).body.includes('"id":"gone-3"'))

  t.match(
    (await explain('url=/&header=x-canary:%20always')).result,
    /^It goes to shop 1 by weight, shop-.*\. Rule 1 leads to version 2, of which no instance can answer: fallback: others decided\.$/,
  )
  t.match((await explain('url=/gone')).result, /^It goes to next 3 by failover, next-/)
  const both = (await explain('url=/both')).result
  t.match(
    both,
    /^It goes to shop or next, by the cookie c that would be set: shop 1 50 %, next 3 50 %\. /,
    'none of 0 %',
  )
  t.match(both, /would lead to (shop 1|next 3)\.$/)
  t.same((await explain('url=/')).onward, { target: '/', host: 'app.internal' })
  t.same((await explain('url=/api/x?y')).onward, { target: '/v1/x?y', host: 'instance' })
  t.equal((await explain('url=/gone')).onward, null)
  const command = fairlead(['explain', '/api/x', '--admin', `127.0.0.1:${String(admin)}`])
  t.equal(await command.exit, 0)
  t.match(command.out(), '\nThe instance sees GET /v1/x, with its own address as Host\n')
})
