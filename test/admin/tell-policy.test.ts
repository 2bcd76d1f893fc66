/** What the API tells of policy that comes from several places: history, problems, services; with the embedded catalog. */
import t, { type Test } from 'tap'
import type { HistoryView } from '../../src/admin/history-view.ts'
import { ask, backend, configOf, portOf, proxyPort, quiet, rigApp } from '../fixtures/app.ts'
import { type Speaker, startEmbedded } from '../fixtures/catalog-speaker.ts'
import { until } from '../fixtures/until.ts'

interface Rig {
  readonly speaker: Speaker
  readonly proxy: number
  get(path: string): Promise<unknown>
  post(path: string, body: Readonly<Record<string, unknown>>): Promise<unknown>
}

/** A proxy that routes to versions 1 and 2 of `web`, with `more` lines of configuration. */
async function rig(t: Test, more = ''): Promise<Rig> {
  const speaker = await startEmbedded()
  t.teardown(() => speaker.stop())
  for (const version of ['1', '2'])
    await speaker.ask('PUT', 'agent/service/register', {
      ID: `web-${version}`,
      Name: 'web',
      Address: '127.0.0.1',
      Port: await backend(t, version),
      Meta: { version },
    })
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
      return (await answer.json()) as unknown
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
