/** What a request takes with it from one attempt to the next: the cookies of its answer, what its path is made, its time to connect. */
import t from 'tap'
import type { ServicePolicy } from '../../src/policy/policy.ts'
import type { DataPlane } from '../../src/proxy/options.ts'
import type { Rule } from '../../src/policy/traffic.ts'
import type { RoutePart } from '../../src/table/table.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { openFullListener } from '../fixtures/full-listener.ts'
import { applyEndpoints, endpointsOf, get, stateOf, statsOf, withRig } from '../fixtures/plane-parts.ts'
import { type BackendScript, okAnswer } from '../fixtures/raw-backend.ts'
import { until } from '../fixtures/until.ts'
import { type Message, values } from '../fixtures/wire-message.ts'

const affinity: Partial<ServicePolicy> = { affinity: { cookie: 'at', maxAgeSeconds: 0 } }
const sticky: Partial<ServicePolicy> = { sticky: { from: 'cookie', name: 'user', maxAgeSeconds: 0 } }

/** Names of the cookies that an answer sets, each with `!` where it is for TLS alone. */
const cookies = ({ fields }: Message): readonly string[] =>
  values(fields, 'set-cookie').map((line) => `${line.split('=')[0]}${line.endsWith('; Secure') ? '!' : ''}`)

t.test('cookies are for TLS alone where a peer that is trusted says that the client came over TLS', async (t) => {
  for (const trusted of [true, false])
    for (const [lines, secure] of [
      [['X-Forwarded-Proto: https'], true],
      [['X-Forwarded-Proto: HTTPS'], true],
      [['X-Forwarded-Proto: http'], false],
      [[], false],
    ] as const)
      await withRig({ policy: { ...affinity, ...sticky }, trust: trusted ? ['127.0.0.1/32'] : [] }, async (rig) => {
        const client = await rig.client()
        await client.send(get('/', ...lines))
        const mark = trusted && secure ? '!' : ''
        t.same(cookies(await client.answer()), [`user${mark}`, `at${mark}`], `${lines.join()} ${String(trusted)}`)
      })
})

t.test('a cookie names the instance that answered at last, and the next request goes there at once', async (t) => {
  await withRig({ refusing: 1, policy: affinity, random: () => 0 }, async (rig) => {
    const client = await rig.client()
    await client.send(get())
    const [line = ''] = values((await client.answer()).fields, 'set-cookie')
    await client.send(get('/', `Cookie: ${line.split(';')[0] ?? ''}`))
    t.same(values((await client.answer()).fields, 'set-cookie'), [], 'it has it')
    await client.send(get())
    await client.answer()
    t.same(
      rig.records.map(({ attempts }) => attempts),
      [2, 1, 2],
    )
  })
})

/** The route to service `one` has this rule, and these share it. */
function applyParts(plane: DataPlane, rule: Rule, services: readonly string[]): void {
  const { table } = plane.current()
  const parts = services.map((service, at): RoutePart => ({
    service,
    version: undefined,
    weight: at === 0 ? 1 : 0,
    standby: at > 0,
    weights: undefined,
    endpoints: undefined,
    said: undefined,
  }))
  const routes = table.routes.map((route) =>
    route.origin === 'rig:2' ? { ...route, policy: { ...route.policy, traffic: { rules: [rule] } }, parts } : route,
  )
  plane.apply({ ...table, version: table.version + 1, routes })
}

t.test('what goes on to another service keeps what a rule made of its path, and nothing that ties it', async (t) => {
  const rewrite = { strip: undefined, prepend: '/new' }
  const rule: Rule = { when: [], action: { kind: 'version', version: 'none', rewrite } }
  await withRig({ refusing: 1, portsOnly: true, policy: affinity }, async (rig) => {
    applyParts(rig.plane, rule, ['one', 'two'])
    const client = await rig.client()
    await client.send(get('/x'))
    const answer = await client.answer()
    t.same([answer.status, cookies(answer)], [200, []])
    t.same(
      rig.other.requests.map(({ startLine }) => startLine),
      ['GET /new/x HTTP/1.1'],
    )
    t.match(rig.records, [{ service: 'two', attempts: 2 }])
    t.equal(statsOf(rig.plane).inFlight, 0)
  })
})

t.test('what met a stale connection may still give up a silent connect early', async (t) => {
  const full = await openFullListener()
  const clock = new FakeClock()
  const onceEach: BackendScript = {
    onRequest: (_request, connection) =>
      void (connection.requests.length === 1 ? connection.send(okAnswer) : connection.end()),
  }
  // Always the first that may have it: who answers once, then who is silent, then the last.
  const options = { backend: onceEach, siblings: [{}], clock, random: () => 0 }
  try {
    await withRig(options, async (rig) => {
      const [first, last] = endpointsOf(rig.plane)
      if (!first || !last) throw new Error('two endpoints')
      const silent = { ...first, key: 'silent', handle: 'one-silent', id: 'silent', port: full.port }
      applyEndpoints(rig.plane, [first, silent, last])
      const client = await rig.client()
      await client.send(get())
      t.equal((await client.answer()).status, 200)
      await client.send(get())
      await until(() => stateOf(rig.plane, 'one-silent').inFlight === 1)
      clock.advance(300)
      t.equal((await client.answer()).status, 200)
      t.match(rig.records[1], { attempts: 3, handle: 'one-1' })
    })
  } finally {
    await full.close()
  }
})
