/** `fairlead split` and `rollback` as processes against a proxy; and how their text looks. */
import t from 'tap'
import type { PolicyChange } from '../../src/cli/policy/answer.ts'
import { changePolicy } from '../../src/cli/policy/run.ts'
import { outcomeText, planText } from '../../src/cli/policy/text.ts'
import { ask, backend, configOf, portOf, proxyPort, quiet, rigApp } from '../fixtures/app.ts'
import { startEmbedded } from '../fixtures/catalog-speaker.ts'
import { fairlead } from '../fixtures/command.ts'
import { until } from '../fixtures/until.ts'

interface Outcome {
  readonly code: unknown
  readonly out: string
  readonly err: string
}

async function run(...args: readonly string[]): Promise<Outcome> {
  const command = fairlead(args)
  const code = await command.exit
  return { code, out: command.out(), err: command.err() }
}

t.test('from a terminal to every proxy, and back', async (t) => {
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
  const text = `${quiet}catalog: { consul: { address: "${speaker.address}" } }\nroutes: [{ service: web }, { path: /own, service: web, versions: { 1: 1 } }]\n`
  const { app } = rigApp(t, configOf(text))
  await app.start()
  const port = proxyPort(app)
  const where = `127.0.0.1:${portOf(app.addresses().admin)}`
  await until(async () => (await ask(port)).status === 200)

  const done = await run('split', 'web', '1=3', '2=1', '--yes', '--admin', where, '--reason', 'first')
  t.match(done, { code: 0, err: '' })
  t.equal(done.out.split('\n')[0], 'web: 1 75 %, 2 25 % (revision 1 by local).')
  t.match(done.out, '\nBefore: fairlead rollback web 0\n')
  const next = await run('split', 'web', '2=1', '--yes', '--admin', where, '--json')
  t.match(JSON.parse(next.out), { weightsBefore: { 1: 3, 2: 1 }, written: { revision: 2 } })
  await until(async () => (await ask(port)).body === '2' && (await ask(port)).body === '2')
  const back = await run('rollback', 'web', '--yes', '--admin', where)
  t.match(back, { code: 0, out: /^web: 1 75 %, 2 25 % \(revision 3 by local\)\.\n/ })
  t.match(back.out, '\nBefore: fairlead split web 2=1\n')

  const none = await run('rollback', 'web', '0', '--yes', '--admin', where)
  t.match(none, { code: 0, out: /^web: 1 50 %, 2 50 % \(revision 4 by local\)\.\n/ }, 'what is beneath the KV')
  const again = await run('split', 'web', '2=1', '--yes', '--admin', where)
  t.match(again, { code: 0, out: /revision 5/ })
  await speaker.ask('PUT', 'kv/fairlead/services/web', { revision: 99, by: 'curl', at: 'now', settings: 1 })
  const mended = await run('rollback', 'web', '--yes', '--admin', where)
  t.match(mended, { code: 0, out: /^web: 1 0 %, 2 100 % \(revision 6 by local\)\.\n/ }, 'past what was written by hand')
  t.match(await run('split', 'web', '1=3', '2=1', '--yes', '--admin', where), { code: 0 })
  await until(async () => (await ask(portOf(app.addresses().admin), '/v1/services/web')).body.includes('"1":3'))

  const wrong = await run('split', 'web', '3=1', '--yes', '--admin', where)
  t.match(wrong, { code: 1, out: '', err: /No instance of version 3 is registered/ })
  const shown = await run('split', 'web', '2=1', '--admin', where)
  t.match(shown, { code: 2, err: /^fairlead: nothing was done: there is no terminal to ask on; pass --yes/ })
  t.match(shown.out, /^split of web, at every proxy\n {2}1 +75 % -> +0 % .*\n {2}2 +25 % -> +100 % .*\n/)
  t.match(shown.out, '\n  affects: requests to */ that no rule decides\n  affects: not those to */own, where')
  t.same(await run('split', 'web', '2=1', '--dry-run', '--yes', '--admin', where), { ...shown, code: 0, err: '' })
  const json = await run('rollback', 'web', '0', '-n', '--json', '--admin', where)
  t.match(JSON.parse(json.out), { service: 'web', after: [{ share: 0.5 }, { share: 0.5 }], changes: [] })
  t.match(await run('split', 'web', '2', '--yes'), { code: 2, err: /written like 9\.8\.0=10/ })
  t.match(await run('split', 'web', '2=1', '2=3', '--yes'), { code: 2, err: /stands there twice/ })
  t.match(await run('rollback', 'web', 'x', '--yes'), { code: 2, err: /A revision is a whole number/ })

  await t.test('it asks first, and does nothing on a no', async (t) => {
    const plans: string[] = []
    const options = {
      verb: 'split',
      path: '/v1/services/web/split',
      body: { versions: { 1: '1' } },
      yes: false,
      admin: { kind: 'tcp', host: '127.0.0.1', port: portOf(where) },
      token: undefined,
      json: false,
      print: () => t.fail('nothing is printed'),
    } as const
    t.equal(await changePolicy({ ...options, ask: async (plan) => plans.push(plan) < 0 }), 'declined')
    t.match(plans, [
      /^split of web, at every proxy\n {2}1 +75 % -> +100 % +1 instance\n {2}2 +25 % -> +0 % +1 instance\n {2}affects: /,
    ])
    const revisions = JSON.parse((await ask(portOf(where), '/v1/services/web/revisions')).body) as { revisions: [] }
    t.equal(revisions.revisions.length, 7)
    await t.rejects(
      changePolicy({
        ...options,
        ask: async () => (await run('split', 'web', '1=5', '--yes', '--admin', where)).code === 0,
      }),
      { message: /was changed by somebody else/ },
      'what was shown is what is done, or nothing',
    )
  })
})

t.test('what it says can be pasted into a shell, and cannot steer a terminal', async (t) => {
  const change: PolicyChange = {
    service: "we'b\u001b[2J",
    before: [],
    after: [{ version: '', weight: 1, share: 1, instances: 2 }],
    weightsBefore: { '1;rm -rf /': 1, '*': 2 },
    modifyIndex: 1,
    affected: ['\u009bx'],
    changes: [{ key: 'sticky', before: null, after: '"\u001b"' }],
    written: { revision: 2, by: 'eve\u0007' },
    warnings: ['\u001b]0;x'],
  }
  for (const text of [planText('split', change), outcomeText(change)]) t.notMatch(text, /(?!\n)\p{Cc}/u)
  t.match(outcomeText(change), `'1;rm -rf /=1' '*=2'`)
  t.match(planText('split', change), /\(no version\) +0 % -> +100 % +2 instances/)
})
