/** What is told of requests that had trouble, and that nothing is told of those that had none. */
import t from 'tap'
import type { AttemptRecord } from '../../src/proxy/options.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { applyEndpoints, endpointsOf, get, post, stateOf, withRig } from '../fixtures/plane-parts.ts'
import { type BackendConnection, okAnswer } from '../fixtures/raw-backend.ts'
import type { Rig } from '../fixtures/rig.ts'
import { ScriptedHealth } from '../fixtures/scripted-health.ts'
import { until } from '../fixtures/until.ts'

const brief = (attempts: readonly AttemptRecord[] | undefined): readonly string[] =>
  (attempts ?? []).map(
    ({ handle, outcome, reason, reused, unsent }) =>
      `${handle} ${outcome}${reason === '' ? '' : ` ${reason}`} ${reused ? 'reused' : 'new'}${unsent ? ' unsent' : ''}`,
  )

const half = 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf'

/** One request, and the trouble that is told of it. */
async function trouble(rig: Rig, text: string): Promise<void> {
  const client = await rig.client()
  await client.send(text)
  await until(() => rig.troubles.length > 0)
}

t.test('a request without trouble is not told of, whatever it is answered', async (t) => {
  for (const answer of ['200 OK', '404 Not Found', '500 Oh'])
    await withRig(
      { backend: { onRequest: (_, at) => void at.send(`HTTP/1.1 ${answer}\r\nContent-Length: 0\r\n\r\n`) } },
      async (rig) => {
        const client = await rig.client()
        await client.send(get('/x'))
        await client.answer()
        await client.send('GET / HTTP/1.1\r\nHost: nowhere.test\r\n\r\n')
        t.equal((await client.answer()).status, 404)
        await until(() => rig.records.length === 2)
        t.strictSame(rig.troubles, [], answer)
      },
    )
})

t.test('refused, and answered by another: both attempts, with their times', async (t) => {
  const clock = new FakeClock()
  // Whatever is drawn, the one that refuses comes first.
  await withRig({ refusing: true, random: () => 0, clock, backend: { onRequest: () => {} } }, async (rig) => {
    const client = await rig.client()
    await client.send(get('/x?y=1', 'X-Request-Id: r-1'))
    await until(() => rig.backend.requests.length === 1)
    clock.advance(25)
    await rig.connection.send(okAnswer)
    t.equal((await client.answer()).status, 200)
    t.equal(rig.troubles.length, 1)
    t.match(rig.troubles[0], {
      route: 'a.test/',
      record: { requestId: 'r-1', target: '/x?y=1', status: 200, origin: 'upstream', cause: '', attempts: 2 },
      attempts: [
        { handle: 'one-0', address: '127.77.0.1', port: 1, version: '', startedMs: 0, endedMs: 0 },
        { handle: 'one-1', address: '127.0.0.1', port: rig.backend.port, startedMs: 0, endedMs: 25 },
      ],
    })
    t.strictSame(brief(rig.troubles[0]?.attempts), ['one-0 retried refused new unsent', 'one-1 answered new'])
    await client.send(get('/x'))
    await until(() => rig.backend.requests.length === 2)
    await rig.connection.send(okAnswer)
    await client.answer()
    // Nothing of the connection's last request is told of the next one.
    t.strictSame(brief(rig.troubles[1]?.attempts), ['one-0 retried refused new unsent', 'one-1 answered reused'])
  })
})

t.test('a stale connection: reused, then a new one', async (t) => {
  let closing = false
  const backend = {
    onRequest: (_: unknown, at: BackendConnection) => {
      if (closing) at.end()
      else void at.send(okAnswer)
      closing = false
    },
  }
  await withRig({ backend }, async (rig) => {
    const client = await rig.client()
    await client.send(get('/first'))
    await client.answer()
    closing = true
    await client.send(get('/second'))
    t.equal((await client.answer()).status, 200)
    t.equal(rig.troubles.length, 1)
    t.strictSame(brief(rig.troubles[0]?.attempts), ['one-0 retried closed reused', 'one-0 answered new'])
  })
})

t.test('lost: what may not be repeated and met its end', async (t) => {
  await withRig({ backend: { onRequest: (_, at) => at.end() } }, async (rig) => {
    await trouble(rig, post('Content-Length: 0'))
    t.match(rig.troubles, [{ record: { status: 502, origin: 'proxy', cause: 'closed', method: 'POST' } }])
    t.strictSame(brief(rig.troubles[0]?.attempts), ['one-0 lost closed new'])
  })
})

t.test('cut: an answer that ends in its middle', async (t) => {
  await withRig({ backend: { onRequest: (_, at) => void at.send(half).then(() => at.end()) } }, async (rig) => {
    await trouble(rig, get('/x'))
    t.match(rig.troubles, [{ record: { status: 200, origin: 'upstream', cause: 'closed' } }])
    t.strictSame(brief(rig.troubles[0]?.attempts), ['one-0 lost closed new'])
  })
})

t.test('given up by the client', async (t) => {
  await withRig({ backend: { onRequest: () => {} } }, async (rig) => {
    const client = await rig.client()
    await client.send(get('/x'))
    await until(() => rig.backend.requests.length === 1)
    client.abort()
    await until(() => rig.troubles.length > 0)
    t.match(rig.troubles, [{ record: { status: 499, cause: 'client-gone' } }])
    t.strictSame(brief(rig.troubles[0]?.attempts), ['one-0 ended client-gone new'])
  })
})

t.test('given up by the client, behind one that had trouble on the same connection', async (t) => {
  await withRig({ refusing: true, random: () => 0, backend: { onRequest: () => {} } }, async (rig) => {
    const client = await rig.client()
    await client.send(get('/x'))
    await until(() => rig.backend.requests.length === 1)
    await rig.connection.send(okAnswer)
    await client.answer()
    t.equal(rig.troubles[0]?.attempts.length, 2)
    applyEndpoints(rig.plane, endpointsOf(rig.plane).slice(1))
    await client.send(get('/y'))
    await until(() => rig.backend.requests.length === 2)
    client.abort()
    await until(() => rig.troubles.length === 2)
    t.strictSame(brief(rig.troubles[1]?.attempts), ['one-1 ended client-gone reused'])
  })
})

t.test('given up by the client in the middle of the answer', async (t) => {
  await withRig({ backend: { onRequest: (_, at) => void at.send(half) } }, async (rig) => {
    const client = await rig.client()
    await client.send(get('/x'))
    await until(() => client.received.endsWith('half'))
    client.abort()
    await until(() => rig.troubles.length > 0)
    t.match(rig.troubles, [{ record: { status: 200, origin: 'upstream', cause: 'client-gone' } }])
    t.strictSame(brief(rig.troubles[0]?.attempts), ['one-0 ended client-gone new'])
  })
})

t.test('no instance: no attempt', async (t) => {
  await withRig({}, async (rig) => {
    await trouble(rig, get('/void/x'))
    t.match(rig.troubles, [{ record: { status: 503, cause: 'no-endpoint', service: 'empty' }, route: 'a.test/void' }])
    t.strictSame(rig.troubles[0]?.attempts, [])
  })
})

t.test('rescued from a frozen one', async (t) => {
  const health = new ScriptedHealth()
  await withRig({ backend: { onRequest: () => {} }, siblings: [{}], ...health.options }, async (rig) => {
    health.eject(stateOf(rig.plane, 'one-1'), 'operator')
    const client = await rig.client()
    await client.send(get('/x'))
    await until(() => rig.backend.requests.length === 1)
    health.admit(stateOf(rig.plane, 'one-1'))
    health.eject(stateOf(rig.plane, 'one-0'), 'silence')
    t.equal((await client.answer()).status, 200)
    t.strictSame(brief(rig.troubles[0]?.attempts), ['one-0 rescued ejected new', 'one-1 answered new'])
  })
})

t.test('a request that meets very many endpoints that refuse: the first ones, and how many there were', async (t) => {
  await withRig({ refusing: 40, random: () => 0 }, async (rig) => {
    const client = await rig.client()
    await client.send(get('/x'))
    await client.answer()
    const [told] = rig.troubles
    t.ok((told?.record.attempts ?? 0) > 16)
    t.equal(told?.attempts.length, 16)
  })
})

t.test('without an observer of every request, those with trouble are told of all the same', async (t) => {
  await withRig({}, async (rig) => {
    rig.plane.setObserver(undefined)
    await trouble(rig, get('/void'))
    t.match(rig.troubles, [{ record: { status: 503 } }])
  })
})
