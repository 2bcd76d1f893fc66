/** Requests that had been retried once held the retry budget for as long as their answers lasted: tunnels for hours. */
import t from 'tap'
import { get, statsOf, withRig } from '../fixtures/plane-parts.ts'
import type { BackendScript } from '../fixtures/raw-backend.ts'
import { until } from '../fixtures/until.ts'

t.test('what a retry spends is given back when its answer begins', async (t) => {
  const breaking: BackendScript = { onRequest: (_request, connection) => connection.abort() }
  const lasting: BackendScript = {
    onRequest: (_request, connection) => void connection.send('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf'),
  }
  await withRig({ backend: breaking, siblings: [lasting], random: () => 0 }, async (rig) => {
    for (let i = 0; i < 8; i++) {
      const client = await rig.client()
      await client.send(get(`/${i}`))
      await until(() => client.received.includes('half'))
    }
    t.equal(statsOf(rig.plane).inFlight, 8)
    t.equal(statsOf(rig.plane).retrying, 0)
    t.equal(statsOf(rig.plane).retryBudgetExhausted, 0)
  })
})
