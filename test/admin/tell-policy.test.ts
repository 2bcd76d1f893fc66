/** What the API tells of policy that comes from several places: history, problems, services; with the embedded catalog. */
import t, { type Test } from 'tap'
import type { HistoryView } from '../../src/admin/history-view.ts'
import { ask, backend, configOf, portOf, proxyPort, quiet, rigApp } from '../fixtures/app.ts'
import type { Speaker } from '../fixtures/catalog-speaker.ts'
import { twoVersions } from '../fixtures/two-versions.ts'
import { until } from '../fixtures/until.ts'

interface Rig {
  readonly speaker: Speaker
  readonly proxy: number
  readonly get: (path: string) => Promise<unknown>
  readonly post: (path: string, body: Readonly<Record<string, unknown>>) => Promise<unknown>
}

/** A proxy that routes to versions 1 and 2 of `web`, with `more` lines of configuration. */
async function rig(t: Test, more = ''): Promise<Rig> {
  const speaker = await twoVersions(t)
  const text = `${quiet}catalog: { consul: { address: "${speaker.address}" } }\nroutes: [{ service: web }]\n${more}`
  const { app } = rigApp(t, configOf(text))
  await app.start()
  const proxy = proxyPort(app)
  await until(async () => (await ask(proxy)).status === 200)
  const admin = portOf(app.addresses().admin)
  return {
    speaker,
    proxy,
    get: async (path) => JSON.parse((await ask(admin, path)).body) as unknown,
    post: async (path, body) => {
      const answer = await fetch(`http://127.0.0.1:${String(admin)}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
      return answer.json()
    },
  }
}

const causes = async ({ get }: Rig): Promise<readonly string[]> =>
  ((await get('/v1/history')) as HistoryView).entries.map((entry) => entry.causes.map(({ text }) => text).join('; '))

t.test('history: the start has a cause, and so has a document that was removed', async (t) => {
  const one = await rig(t)
  t.equal((await causes(one)).at(-1), 'start: catalog consul, not heard yet')
  await one.post('/v1/services/web/split', { versions: { 2: 1 } })
  await until(async () => (await causes(one))[0]?.includes('services/web, revision 1 by local'))
  await one.speaker.ask('DELETE', 'kv/fairlead/services/web')
  const gone = /^policy kv:fairlead services\/web was removed, which was last revision 1 by local$/
  await until(async () => gone.test((await causes(one))[0] ?? ''))
  t.notOk((await causes(one)).includes(''), 'every table has a cause')
})

const toldOfOne = async ({ get }: Rig): Promise<unknown> =>
  ((await get('/v1/services/web')) as { steering: unknown }).steering
/** What both places tell alike; for when nothing changes between the two reads. */
const steering = async (rig: Rig): Promise<unknown> => {
  const { get } = rig
  const steering = await toldOfOne(rig)
  const { services } = (await get('/v1/services')) as { services: { steering: unknown }[] }
  t.same(services[0]?.steering, steering)
  return steering
}
const codes = async ({ get }: Rig): Promise<readonly string[]> =>
  ((await get('/v1/problems')) as { problems: { code: string }[] }).problems.map(({ code }) => code)

t.test('services: whose word the weights are, and a problem where a document hides another', async (t) => {
  const own = 'services: { web: { versions: { 1: 3, 2: 1 }, sticky: { cookie: c }, fallback: none } }\n'
  const one = await rig(t, own)
  const rest = { rules: 0, sticky: 'cookie c', fallback: 'none' }
  const file = 'config:services.web'
  t.same(await steering(one), { weights: { origin: file, by: null, revision: null, over: [] }, ...rest })
  t.same(await codes(one), [])
  await one.post('/v1/services/web/split', { versions: { 1: 30, 2: 10 } })
  const kv = 'kv:fairlead/services/web'
  await until(async () => JSON.stringify(await toldOfOne(one)).includes(kv))
  t.same(await steering(one), { weights: { origin: kv, by: 'local', revision: 1, over: [file] }, ...rest })
  t.same(await codes(one), [], 'it says the same')
  await one.post('/v1/services/web/split', { versions: { 1: 1, 2: 1 } })
  await until(async () => (await codes(one)).includes('versions-overridden'))
  t.match(await one.get('/v1/problems'), {
    problems: [
      {
        where: 'service web',
        notice: true,
        message:
          /^its versions in config:services\.web have no effect: kv:fairlead\/services\/web \(revision 2 by local\) is in force, with 1=1 2=1\. `fairlead status` and `fairlead explain`.*rollback web 0/,
      },
    ],
  })
  await one.post('/v1/services/web/rollback', { revision: 0 })
  await until(async () => (await codes(one)).length === 0)
})

t.test('services: weights of the defaults, of tags, of nobody', async (t) => {
  const one = await rig(t, 'defaults: { versions: { 1: 1 } }\n')
  t.match(await steering(one), { weights: { origin: 'config:defaults' }, rules: 0, sticky: null, fallback: 'others' })
  const none = await rig(t)
  t.match(await steering(none), { weights: { origin: 'instances', by: null, revision: null, over: [] } })
  const tagged = await rig(t, 'policy: { tags: urlprefix- }\n')
  await tagged.speaker.ask('PUT', 'agent/service/register', {
    ID: 'web-3',
    Name: 'web',
    Address: '127.0.0.1',
    Port: await backend(t, '3'),
    Tags: ['urlprefix-/x weight=0.2'],
  })
  await until(async () => JSON.stringify(await toldOfOne(tagged)).includes('"origin":"tags"'))
})
