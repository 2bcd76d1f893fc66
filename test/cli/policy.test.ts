/** `fairlead split` and `rollback` as processes against a proxy; and how their text looks. */
import t from 'tap'
import type { PolicyChange } from '../../src/cli/policy/answer.ts'
import { changePolicy } from '../../src/cli/policy/run.ts'
import { outcomeText, planText } from '../../src/cli/policy/text.ts'
import { ask, configOf, portOf, proxyPort, quiet, rigApp } from '../fixtures/app.ts'
import { fairlead } from '../fixtures/command.ts'
import { twoVersions } from '../fixtures/two-versions.ts'
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
  const speaker = await twoVersions(t)
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

  const toggled = await run('rollback', 'web', '-n', '--admin', where)
  t.match(
    toggled.out,
    /^rollback of web, at every proxy\n {2}applies again: revision 2 \(local, [^)]*Z\)\n {2}undoes: revision 3 \(local, \S+ \S+Z: rollback to revision 1\), which had gone back to revision 1\n {2}before any: fairlead rollback web 0\n {2}1 +75 % -> +0 %/,
  )

  const none = await run('rollback', 'web', '0', '--yes', '--admin', where)
  const shownBack = await run('rollback', 'web', '-n', '--admin', where)
  t.match(
    shownBack.out,
    /\n {2}applies again: revision 3 .*\n {2}undoes: revision 4 \(.*: rollback to revision 0\), which had gone back to no document\n {2}further back: fairlead rollback web 2 {3}\(local, .*Z\)\n {2}before any: /,
  )
  t.match(
    (await run('rollback', 'web', '0', '-n', '--admin', where)).out,
    /\n {2}removes the document: .*\n {2}undoes: /,
  )
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

t.test('what somebody wrote by hand is never lost by a split, and is what rollback goes back to', async (t) => {
  const speaker = await twoVersions(t)
  const text = `${quiet}catalog: { consul: { address: "${speaker.address}" } }\nroutes: [{ service: web }]\nservices: { web: { versions: { 1: 9, 2: 1 } } }\n`
  const { app } = rigApp(t, configOf(text))
  await app.start()
  const port = portOf(app.addresses().admin)
  const change = (...args: readonly string[]): Promise<Outcome> =>
    run(...args, '--yes', '--admin', `127.0.0.1:${String(port)}`)
  const inForce = async (wanted: string): Promise<unknown> =>
    await until(async () => (await ask(port, '/v1/services/web')).body.includes(wanted))
  const rules = [{ when: { header: { 'x-test': 'yes' } }, version: '2' }]
  const hand = (revision: number, settings: unknown): Promise<unknown> =>
    speaker.ask(
      'PUT',
      'kv/fairlead/services/web',
      JSON.stringify({ revision, by: 'vi', at: '2026-11-26T07:00:00Z', settings }),
    )
  const document = async (): Promise<unknown> => (await speaker.ask('GET', 'kv/fairlead/services/web?raw')).json()
  await inForce('"1":9')

  await t.test('the first split over the weights of the file is undone by giving them back their word', async (t) => {
    t.match((await change('split', 'web', '1=1')).out, '\nBefore: fairlead rollback web 0\n')
    t.match(await change('rollback', 'web'), { code: 0, out: /^web: 1 90 %, 2 10 % / })
    t.notMatch((await change('split', 'web', '1=1', '2=0', '--dry-run')).out, 'Without sticky', 'nobody meets both')
  })

  await t.test('a document of another tool, with rules and users who stay', async (t) => {
    await hand(20, { versions: { 1: 3, 2: 1 }, rules, sticky: { cookie: 'c' } })
    await inForce('"1":3')
    t.match((await change('split', 'web', '2=1')).out, '\nBefore: fairlead split web 1=3 2=1\n')
    const back = await change('rollback', 'web')
    t.match(back, { code: 0, out: /^web: 1 75 %, 2 25 % \(revision 22 by local\)\.\nBefore: / })
    t.match(await document(), { settings: { versions: { 1: 3, 2: 1 }, rules, sticky: { cookie: 'c' } } })
  })

  await t.test('what another tool wrote anew with the same content is no edit', async (t) => {
    const { revision, settings } = (await document()) as { revision: number; settings: object }
    await hand(revision, Object.fromEntries(Object.entries(settings).toReversed()))
    const back = await change('rollback', 'web')
    t.match(back, { code: 0, out: /^web: 1 0 %, 2 100 % \(revision 23 / }, 'the one before')
    t.match(await change('rollback', 'web', '22'), { code: 0, out: /\(revision 24 / })
  })

  await t.test('what changes more than weights is undone as a whole, and warns of what will be', async (t) => {
    const gone = await change('rollback', 'web', '1')
    t.match(gone.out, '\nBefore: fairlead rollback web 24\n')
    t.notMatch(gone.out, 'Without sticky', 'one version')
    t.match((await change('split', 'web', '1=1', '2=1')).out, '\n  warning: Without sticky')
    const back = await change('rollback', 'web', '24')
    t.notMatch(back.out, 'Without sticky', 'it has sticky again')
    t.match(back.out, '\nBefore: fairlead rollback web 26\n')
  })

  await t.test('a version that is to get nothing may be named before it is registered', async (t) => {
    const early = await change('split', 'web', '1=1', '3=0', '--dry-run')
    t.match(early, { code: 0, out: /\n {2}3 +0 % -> +0 % +0 instances\n[^]*No instance of version 3 is registered/ })
    t.match(await change('split', 'web', '3=1', '1=1', '--dry-run'), { code: 1, err: /version 3 is registered/ })
  })

  await t.test('a document that was removed: what is beneath it is what was', async (t) => {
    await speaker.ask('DELETE', 'kv/fairlead/services/web')
    await inForce('"1":9')
    t.match((await change('split', 'web', '1=1', '2=1')).out, '\nBefore: fairlead rollback web 0\n')
    t.match(await change('rollback', 'web'), { code: 0, out: /^web: 1 90 %, 2 10 % / })
  })

  await t.test('over a document that cannot be used nothing is split, unless it is forced', async (t) => {
    await hand(40, { versions: { 1: 3, 2: 1 }, rules })
    await inForce('"1":3')
    for (const broken of ['{ no', '{"revision":41,"by":"vi","at":"2026-11-26T07:00:00Z","settings":{"rulez":[]}}']) {
      await speaker.ask('PUT', 'kv/fairlead/services/web', broken)
      const refused = await change('split', 'web', '2=1')
      t.match(refused, { code: 1, out: '', err: /services\/web in the KV cannot be used: .*--force/ })
    }
    t.match(await change('split', 'web', '2=1', '--force'), { code: 0, out: /^web: 1 0 %, 2 100 %/ })
    t.strictSame(((await document()) as { settings: unknown }).settings, { versions: { 2: 1 } })
    t.match(await change('rollback', 'web'), { code: 0, out: /^web: 1 90 %/ }, 'past the one that cannot be used')
  })
})

t.test(
  'weights end a split among services that a weaker place says, which is told, and not one beside them',
  async (t) => {
    const speaker = await twoVersions(t)
    const split = '[{ version: "1", weight: 1 }, { version: "2", weight: 3 }]'
    const text = `${quiet}catalog: { consul: { address: "${speaker.address}" } }\nroutes: [{ service: web }]\nservices: { web: { split: ${split} } }\n`
    const { app } = rigApp(t, configOf(text))
    await app.start()
    const port = portOf(app.addresses().admin)
    const shown = async (): Promise<string> =>
      (await run('split', 'web', '1=1', '--dry-run', '--admin', `127.0.0.1:${String(port)}`)).out
    await until(async () => (await ask(port, '/v1/table')).body.includes('"weight":3'))
    t.match(await shown(), /\n {2}warning: Weights by version end the split among several services that is in force/)
    await speaker.ask('PUT', 'kv/fairlead/services/web', {
      revision: 1,
      by: 'vi',
      at: '2026-11-26T07:00:00Z',
      settings: {
        split: [
          { version: '1', weight: '5' },
          { service: 'web', weight: '7' },
        ],
      },
    })
    await until(async () => (await ask(port, '/v1/table')).body.includes('"weight":7'))
    t.notMatch(await shown(), /end the split/, 'it stays beside the weights')
  },
)

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
