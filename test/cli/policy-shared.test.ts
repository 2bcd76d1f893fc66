/** `fairlead split` and `rollback` of a service that shares its routes with another: what is shown is what all of them get. */
import t from 'tap'
import { ask, backend, configOf, portOf, quiet, rigApp } from '../fixtures/app.ts'
import { fairlead } from '../fixtures/command.ts'
import { twoVersions } from '../fixtures/two-versions.ts'
import { until } from '../fixtures/until.ts'

t.test('a split of the file that weights end, and that a rollback brings back', async (t) => {
  const speaker = await twoVersions(t)
  await speaker.ask('PUT', 'agent/service/register', {
    ID: 'next-1',
    Name: 'next',
    Address: '127.0.0.1',
    Port: await backend(t, 'next'),
  })
  const own = 'services: { web: { split: [{ version: "1", weight: 80 }, { service: next, weight: 20 }] } }\n'
  const { app } = rigApp(
    t,
    configOf(`${quiet}catalog: { consul: { address: "${speaker.address}" } }\nroutes: [{ service: web }]\n${own}`),
  )
  await app.start()
  const admin = portOf(app.addresses().admin)
  const table = async (): Promise<string> => (await ask(admin, '/v1/table')).body
  const run = async (...args: readonly string[]) => {
    const command = fairlead([...args, '--admin', `127.0.0.1:${String(admin)}`])
    const code = await command.exit
    return { code, out: command.out(), err: command.err() }
  }
  await until(async () => (await table()).includes('"id":"next-1"'))

  const plan = (await run('split', 'web', '1=50', '2=50', '-n')).out
  t.match(plan, /\n {2}by its weights alone:\n/)
  t.match(
    plan,
    /\n {2}of requests to \*\/, which it shares:\n {2}web 1 +80 % -> +50 %\n {2}web 2 +0 % -> +50 %\n {2}next +20 % -> +0 %\n/,
  )
  t.match(await run('split', 'web', '1=80', 'next=20', '--yes'), {
    code: 1,
    err: /next is a service and no version of web: these are weights of its versions alone.*services\/web in the KV\.\n$/,
  })
  const done = await run('split', 'web', '1=50', '2=50', '--yes')
  t.match(done, { code: 0, out: /\n {2}of requests to \*\/, which it shares: web 1 50 %, web 2 50 %\n/ })
  await until(async () => !(await table()).includes('"split"'))
  const back = (await run('rollback', 'web', '0', '-n')).out
  t.match(back, /\n {2}web 1 +50 % -> +80 %\n {2}web 2 +50 % -> +0 %\n {2}next +0 % -> +20 %\n/)
  t.match(back, /warning: No route leads to next now, so what it has is not known/)
})
