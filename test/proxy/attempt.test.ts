/** What an endpoint holds, as its attempts come and go. */
import t from 'tap'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { get, post, stateOf, withRig } from '../fixtures/plane-parts.ts'
import { type BackendScript, okAnswer } from '../fixtures/raw-backend.ts'
import { ScriptedHealth } from '../fixtures/scripted-health.ts'
import { until } from '../fixtures/until.ts'

const silent: BackendScript = { onRequest: () => undefined }

t.test('in whatever order its requests end, those that are left are taken from it when it falls silent', async (t) => {
  for (const ends of [0, 1, 2]) {
    const health = new ScriptedHealth()
    await withRig({ backend: silent, siblings: [{}], ...health.options }, async (rig) => {
      const [frozen, other] = [stateOf(rig.plane, 'one-0'), stateOf(rig.plane, 'one-1')]
      health.eject(other, 'operator')
      const clients = await Promise.all([0, 1, 2].map(() => rig.client()))
      for (const [index, client] of clients.entries()) {
        await client.send(get(`/${index}`))
        await until(() => rig.backend.requests.length === index + 1)
      }
      const last = rig.backend.connections.find(({ requests }) => requests[0]?.startLine.startsWith(`GET /${ends} `))
      await last?.send(okAnswer)
      t.equal((await clients[ends]?.answer())?.status, 200)
      health.admit(other)
      health.eject(frozen, 'silence')
      await until(() => rig.siblings[0]?.requests.length === 2)
      const taken = rig.siblings[0]?.requests.map(({ startLine }) => Number(startLine.charAt(5)))
      t.same(
        taken?.sort(),
        [0, 1, 2].filter((index) => index !== ends),
      )
      t.same([frozen.attempts.length, frozen.inFlight], [0, 0])
    })
  }
})

t.test('an answer that comes before its request is complete says nothing of how long answers take', async (t) => {
  const clock = new FakeClock()
  await withRig({ backend: silent, clock }, async (rig) => {
    const state = stateOf(rig.plane, 'one-0')
    const client = await rig.client()
    await client.send(get())
    await until(() => rig.backend.requests.length === 1)
    clock.advance(30)
    await rig.connection.send(okAnswer)
    await client.answer()
    const { usualMs } = state
    t.ok(usualMs > 0)
    await client.send(`${post('Content-Length: 5')}he`)
    await until(() => rig.backend.connections.some(({ received }) => received.endsWith('he')))
    clock.advance(30)
    await rig.backend.connections.find(({ received }) => received.endsWith('he'))?.send(okAnswer)
    t.equal((await client.answer()).status, 200)
    t.match(state, { usualMs, answers: 2 })
  })
})
