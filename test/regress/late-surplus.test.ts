/**
 * Once, a connection whose HEAD answer was followed by a body in a packet of its own was used again at once, and that
 * body became the next client's answer. After an answer that announces a body it must not have, a connection rests.
 */
import t from 'tap'
import { headText } from '../fixtures/heads.ts'
import { get, withRig } from '../fixtures/plane-parts.ts'
import { okAnswer } from '../fixtures/raw-backend.ts'
import { until } from '../fixtures/until.ts'

for (const [name, request, answer] of [
  ['HEAD', headText('HEAD / HTTP/1.1', 'Host: a.test'), headText('HTTP/1.1 200 OK', 'Content-Length: 4')],
  ['304', get('/'), headText('HTTP/1.1 304 Not Modified', 'Content-Length: 4')],
  ['204', get('/'), headText('HTTP/1.1 204 No Content', 'Transfer-Encoding: chunked')],
] as const)
  void t.test(`a body after ${name} reaches nobody`, async (t) => {
    const backend = {
      onRequest: (_request: unknown, connection: { index: number; send(bytes: string): Promise<void> }) =>
        void connection.send(connection.index === 0 ? answer : okAnswer),
    }
    await withRig({ backend }, async (rig) => {
      const client = await rig.client()
      await client.send(request + get('/next'))
      await client.answer(name === 'HEAD' ? 'HEAD' : 'GET')
      const next = await client.answer('GET')
      t.equal(next.status, 200)
      const [first, second] = rig.backend.connections
      t.same([first?.requests.length, second?.requests.length], [1, 1], 'the next request has another connection')
      await first?.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL')
      await until(() => first?.closed || first?.reset || first?.finished)
      t.pass('and the late bytes end the first')
    })
  })
