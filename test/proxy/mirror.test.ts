/** Mirroring on raw sockets: what the version in trial gets, what is counted, and that the client never notices any of it. */
import t from 'tap'
import type { MirrorStats } from '../../src/live/runtime.ts'
import type { ServicePolicy } from '../../src/policy/policy.ts'
import type { MirrorPolicy } from '../../src/policy/traffic.ts'
import { answerBytesMax } from '../../src/proxy/mirror.ts'
import { differenceBucketsMs } from '../../src/live/runtime.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { headText } from '../fixtures/heads.ts'
import { get, post, statesOf, stateOf, statsOf, swapped, versionOf, withRig } from '../fixtures/plane-parts.ts'
import { type BackendScript, okAnswer, type RawBackend } from '../fixtures/raw-backend.ts'
import { settle } from '../fixtures/raw-client.ts'
import type { Rig, RigOptions } from '../fixtures/rig.ts'
import { ScriptedHealth } from '../fixtures/scripted-health.ts'
import { until } from '../fixtures/until.ts'
import { value } from '../fixtures/wire-message.ts'

const everything: MirrorPolicy = { version: '2', share: 1, timeoutMs: 10_000, concurrency: 8 }
const silent: BackendScript = { onRequest: () => undefined }

interface Parts extends Omit<RigOptions, 'siblings' | 'policy'> {
  readonly shadow?: BackendScript
  readonly mirror?: Partial<MirrorPolicy>
  readonly policy?: Partial<ServicePolicy>
  /** Nobody is in version 1. */
  readonly empty?: boolean
}

interface Mirror {
  readonly rig: Rig
  readonly shadow: RawBackend
  /** Of version 2; empty while nothing was to be mirrored. */
  readonly stats: () => MirrorStats | undefined
  readonly outcomes: () => Record<string, number>
  /** Resolves when so many mirrored requests have been counted. */
  readonly counted: (sum: number) => Promise<void>
}

/** Version 1 is the backend, and gets all requests; they are mirrored to version 2, its sibling. */
async function withMirror(parts: Parts, fn: (it: Mirror) => Promise<void>): Promise<void> {
  const { shadow: script = {}, mirror, policy, empty = false, ...options } = parts
  await withRig({ ...options, siblings: [script] }, async (rig) => {
    rig.plane.apply(
      swapped(rig.plane, (service) => {
        const [one, two] = service.groups.flatMap((group) => group.endpoints)
        if (!one || !two) throw new Error('two endpoints')
        const groups = [
          { version: '1', weight: 1, endpoints: empty ? [] : [one] },
          { version: '2', weight: 0, endpoints: [two] },
        ]
        return { ...service, policy: { ...service.policy, ...policy, mirror: { ...everything, ...mirror } }, groups }
      }),
    )
    const [shadow] = rig.siblings
    if (!shadow) throw new Error('a sibling')
    const stats = (): MirrorStats | undefined => versionOf(rig.plane, 'one', '2').mirrored
    const outcomes = (): Record<string, number> => Object.fromEntries(stats()?.outcomes ?? [])
    const sum = (): number => Object.values(outcomes()).reduce((total, each) => total + each, 0)
    const counted = async (wanted: number): Promise<void> => {
      await until(() => sum() >= wanted, { what: `${String(wanted)} counted` })
    }
    await fn({ rig, shadow, stats, outcomes, counted })
  })
}

t.test(
  'the version gets the same request, marked; the client gets its own answer, and only that is a request',
  async (t) => {
    const health = new ScriptedHealth()
    const shadow: BackendScript = {
      onRequest: (_request, connection) => void connection.send('HTTP/1.1 203 Ok\r\nContent-Length: 5\r\n\r\nother'),
    }
    await withMirror({ shadow, ...health.options }, async ({ rig, shadow: other, stats, counted }) => {
      const client = await rig.client()
      await client.send(get('/a?b=c', 'Cookie: d=e', 'X-Request-Id: my-id'))
      const answer = await client.answer()
      t.equal(answer.body, 'ok')
      await counted(1)
      const [first] = rig.backend.requests
      const [second] = other.requests
      t.equal(second?.startLine, 'GET /a?b=c HTTP/1.1')
      t.strictSame(second?.fields, [...(first?.fields ?? []), ['Fairlead-Mirror', '1']])
      t.equal(value(second?.fields ?? [], 'x-request-id'), 'my-id')
      t.match(stats(), { inFlight: 0, failures: new Map(), classes: new Map([[22, 1]]) })
      const counts = versionOf(rig.plane, 'one', '2')
      t.strictSame([counts.codes.size, counts.attempts.size, counts.durationSumMs], [0, 0, 0])
      t.equal(versionOf(rig.plane, 'one', '1').codes.get(200), 1)
      t.match(stateOf(rig.plane, 'one-1'), { inFlight: 0, attempts: [], answers: 0, usualMs: 0, lastLifeMs: -Infinity })
      t.equal(rig.records.length, 1)
      t.match(rig.records, [{ version: '1', attempts: 1 }])
      t.strictSame([health.told, health.events], [[], []])
    })
  },
)

t.test('what is mirrored: GET, HEAD and OPTIONS without a body, once', async (t) => {
  const upgrade = get('/', 'Connection: Upgrade', 'Upgrade: websocket', `Sec-WebSocket-Key: ${'A'.repeat(22)}==`)
  const request = (method: string): string => get().replace('GET', method)
  for (const [text, mirrored] of [
    [get(), true],
    [request('HEAD'), true],
    [request('OPTIONS'), true],
    [post('Content-Length: 0'), false],
    [request('PUT').replace('\r\n\r\n', '\r\nContent-Length: 0\r\n\r\n'), false],
    [request('DELETE'), false],
    [`${get('/', 'Content-Length: 2')}ab`, false],
    [`${get('/', 'Transfer-Encoding: chunked')}0\r\n\r\n`, false],
    [get('/', 'Fairlead-Mirror: 1'), false],
    [get('/', 'FAIRLEAD-MIRROR:'), false],
    [upgrade, false],
  ] as const)
    await withMirror({}, async ({ rig, shadow, outcomes, counted }) => {
      const client = await rig.client()
      const method = text.split(' ')[0]
      await client.send(text)
      t.equal((await client.answer(method)).status, 200, text)
      // The same client's next one: had the first been sent, it would be there before it.
      await client.send(get('/last'))
      await client.answer()
      await counted(mirrored ? 2 : 1)
      t.strictSame(
        shadow.requests.map(({ startLine }) => startLine.split(' ')[0]),
        mirrored ? [method, 'GET'] : ['GET'],
      )
      t.strictSame(outcomes(), { same: mirrored ? 2 : 1 }, text)
    })
})

t.test('what goes to the version already, or nowhere, is not mirrored', async (t) => {
  await withMirror({ empty: true }, async ({ rig, shadow, stats }) => {
    const client = await rig.client()
    await client.send(get('/1') + get('/2') + get('/3'))
    for (let i = 0; i < 3; i++) t.equal((await client.answer()).status, 503)
    await settle()
    t.strictSame([shadow.connections.length, stats()], [0, undefined], 'none was under way')
  })
  await withMirror({ mirror: { version: '1' } }, async ({ rig, shadow }) => {
    const client = await rig.client()
    await client.send(get())
    await client.answer()
    await client.send(get())
    await client.answer()
    t.strictSame([rig.backend.requests.length, shadow.connections.length], [2, 0])
    t.equal(versionOf(rig.plane, 'one', '1').mirrored, undefined)
  })
  await withMirror({ mirror: { version: '3' } }, async ({ rig, shadow }) => {
    const client = await rig.client()
    await client.send(get())
    t.equal((await client.answer()).status, 200)
    t.equal(shadow.connections.length, 0, 'nobody is in that version')
  })
  await withMirror({}, async ({ rig, shadow, outcomes }) => {
    stateOf(rig.plane, 'one-1').open = false
    const client = await rig.client()
    await client.send(get())
    t.equal((await client.answer()).status, 200)
    t.equal(shadow.connections.length, 0)
    t.strictSame(outcomes(), { 'no-instance': 1 })
  })
})

const answers = (text: string): BackendScript => ({ onRequest: (_request, connection) => void connection.send(text) })

/** What a version may do, how it counts, and after how long. */
const misdeeds: readonly (readonly [name: string, shadow: BackendScript | 'dead', outcome: string, afterMs?: number])[] = [
  ['hangs', silent, 'failed timeout', 10_050],
  ['never reads', { deaf: true }, 'failed timeout', 10_050],
  ['is dead', 'dead', 'failed refused'],
  ['resets', { onRequest: (_request, connection) => connection.abort() }, 'failed reset'],
  ['ends', { onRequest: (_request, connection) => connection.end() }, 'failed closed'],
  ['answers garbage', answers('junk\r\n\r\n'), 'failed invalid'],
  ['answers twice', answers(okAnswer + okAnswer), 'same '],
  ['switches protocols unasked', answers('HTTP/1.1 101 Sure\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n'), 'failed invalid'],
  ['gives hints without end', answers('HTTP/1.1 103 Hints\r\n\r\n'.repeat(40)), 'failed invalid'],
  ['has an endless head', answers(`HTTP/1.1 200 OK\r\n${`X-A: ${'a'.repeat(1_000)}\r\n`.repeat(80)}`), 'failed invalid'],
  ['cuts its answer', { onRequest: (_request, connection) => void connection.send('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok').then(() => connection.end()) }, 'failed closed'],
  ['breaks a chunk', answers('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'), 'failed invalid'],
  ['stops midway', answers('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok'), 'same ', 10_050],
  ['streams for ever', { onRequest: (_request, connection) => void connection.send(`HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(answerBytesMax + 1)}`) }, 'same '],
  ['is large', { onRequest: (_request, connection) => void connection.send(`HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n${'x'.repeat(answerBytesMax + 1)}`) }, 'same '],
  ['errs', answers('HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n'), 'different '],
  ['is well', {}, 'same '],
] // prettier-ignore

t.test('whatever the version does, the client is served as without it, and health hears nothing', async (t) => {
  for (const [name, script, outcome, afterMs = 0] of misdeeds) {
    const clock = new FakeClock()
    const health = new ScriptedHealth()
    const shadow = script === 'dead' ? {} : script
    await withMirror({ shadow, clock, ...health.options }, async ({ rig, shadow: other, stats, outcomes, counted }) => {
      if (script === 'dead') await other.stopListening()
      const client = await rig.client()
      await client.send(get('/1'))
      t.match(await client.answer(), { status: 200, body: 'ok' }, name)
      // The very next one on the same connection, while the mirrored one may still hang.
      await client.send(get('/2') + get('/3'))
      for (let i = 0; i < 2; i++) t.match(await client.answer(), { status: 200, body: 'ok' }, name)
      if (afterMs > 0) {
        if (shadow.deaf !== true) await until(() => other.requests.length === 3)
        await settle()
        t.strictSame(outcomes(), {}, `${name}: nothing yet`)
        t.equal(stats()?.inFlight, 3)
        clock.advance(afterMs)
      }
      await counted(3)
      const [word = '', reason = ''] = outcome.split(' ')
      t.strictSame(outcomes(), { [word]: 3 }, name)
      t.strictSame(Object.fromEntries(stats()?.failures ?? []), reason === '' ? {} : { [reason]: 3 }, name)
      t.equal(stats()?.inFlight, 0, name)
      t.strictSame([health.told, health.events], [[], []], name)
      t.match(statsOf(rig.plane), { retries: new Map(), rescued: 0, retryBudgetExhausted: 0 }, name)
      t.strictSame(rig.troubles, [], name)
      const { pool } = stateOf(rig.plane, 'one-1')
      t.equal(pool.open, pool.idle, `${name}: no connection is held`)
    })
  }
})

t.test('the next request of a connection is not compared with what was mirrored before', async (t) => {
  const other = answers('HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n')
  await withMirror({ shadow: silent, other }, async ({ rig, shadow, outcomes, counted }) => {
    const client = await rig.client()
    await client.send(get())
    await client.answer()
    await until(() => shadow.requests.length === 1)
    // Of a route that mirrors nothing.
    await client.send(get().replace('a.test', 'b.test'))
    t.equal((await client.answer()).status, 500)
    await shadow.connections[0]?.send(okAnswer)
    await counted(1)
    await client.send(get().replace('a.test', 'b.test'))
    await client.answer()
    t.strictSame(outcomes(), { same: 1 })
  })
})

t.test('no more at once than may be, none of them queued', async (t) => {
  await withMirror({ shadow: silent, mirror: { concurrency: 2 } }, async ({ rig, shadow, stats, outcomes }) => {
    const client = await rig.client()
    for (let i = 0; i < 5; i++) {
      await client.send(get())
      t.equal((await client.answer()).status, 200)
    }
    await until(() => shadow.requests.length === 2)
    t.equal(stats()?.inFlight, 2)
    t.strictSame(outcomes(), { overflow: 3 })
    for (const connection of shadow.connections) await connection.send(okAnswer)
    await until(() => stats()?.inFlight === 0)
    await client.send(get())
    await client.answer()
    await until(() => shadow.requests.length === 3)
    t.strictSame(outcomes(), { overflow: 3, same: 2 }, 'there is room again')
  })
})

t.test('half of the connections to an instance stay with clients', async (t) => {
  for (const [most, sent] of [
    [1, 0],
    [2, 1],
    [5, 2],
  ] as const)
    await withMirror(
      { shadow: silent, limits: { connectionsPerEndpoint: most } },
      async ({ rig, shadow, outcomes }) => {
        const client = await rig.client()
        for (let i = 0; i < 4; i++) {
          await client.send(get())
          t.equal((await client.answer()).status, 200)
        }
        await until(() => shadow.requests.length === sent)
        t.strictSame(outcomes(), { overflow: 4 - sent }, `${String(most)} connections`)
      },
    )
})

t.test('a client that leaves ends nothing but its own, and is no match', async (t) => {
  await withMirror({ backend: silent, shadow: silent }, async ({ rig, shadow, stats, outcomes, counted }) => {
    const client = await rig.client()
    await client.send(get())
    await until(() => rig.backend.requests.length === 1 && shadow.requests.length === 1)
    client.abort()
    await until(() => rig.connection.closed)
    t.equal(stats()?.inFlight, 1)
    t.equal(shadow.openConnections, 1)
    await shadow.connections[0]?.send(okAnswer)
    await counted(1)
    t.strictSame(outcomes(), { uncompared: 1 })
    t.equal(shadow.openConnections, 1, 'its connection is free for the next')
  })
})

t.test('a client that waits long is no bar to the mirrored one, nor the other way round', async (t) => {
  const clock = new FakeClock()
  await withMirror({ backend: silent, shadow: silent, clock }, async ({ rig, shadow, stats, outcomes, counted }) => {
    const client = await rig.client()
    await client.send(get())
    await until(() => rig.backend.requests.length === 1 && shadow.requests.length === 1)
    clock.advance(10)
    await shadow.connections[0]?.send(okAnswer)
    await until(() => stats()?.inFlight === 0)
    t.strictSame(outcomes(), {}, 'there is nothing to compare it with yet')
    clock.advance(70)
    await rig.connection.send('HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n')
    t.equal((await client.answer()).status, 404)
    await counted(1)
    t.strictSame([outcomes(), [...(stats()?.classes ?? [])]], [{ different: 1 }, [[42, 1]]])
    t.equal(stats()?.differenceSumMs, -70)
    t.equal(stats()?.differenceCounts[differenceBucketsMs.indexOf(-50)], 1)

    await client.send(get())
    await until(() => rig.backend.requests.length === 2 && shadow.requests.length === 2)
    await rig.connection.send(okAnswer)
    await client.answer()
    clock.advance(30)
    await shadow.connections[0]?.send(okAnswer)
    await counted(2)
    t.equal(stats()?.differenceSumMs, -40)
    t.equal(stats()?.differenceCounts[differenceBucketsMs.indexOf(50)], 1)
    t.strictSame([rig.backend.connections.length, shadow.connections.length], [1, 1], 'connections are kept')
  })
})

t.test('where we answer the client ourselves, its class is compared, its time is not', async (t) => {
  const backend: BackendScript = { onRequest: (_request, connection) => connection.abort() }
  await withMirror({ backend, policy: { fallback: 'none' } }, async ({ rig, stats, outcomes, counted }) => {
    const client = await rig.client()
    await client.send(get())
    t.equal((await client.answer()).status, 502)
    await counted(1)
    t.strictSame([outcomes(), [...(stats()?.classes ?? [])]], [{ different: 1 }, [[52, 1]]])
    t.equal(Math.max(...(stats()?.differenceCounts ?? [1])), 0)
  })
})

t.test('a pooled connection that has just ended is counted as stale, and not tried again', async (t) => {
  const shadow: BackendScript = {
    onRequest: (_request, connection) => {
      if (connection.requests.length === 1) void connection.send(okAnswer)
      else connection.end()
    },
  }
  await withMirror({ shadow }, async ({ rig, shadow: other, stats, outcomes, counted }) => {
    const client = await rig.client()
    for (let i = 1; i <= 2; i++) {
      await client.send(get())
      await client.answer()
      await counted(i)
    }
    t.strictSame(outcomes(), { same: 1, failed: 1 })
    t.strictSame([...(stats()?.failures ?? [])], [['stale', 1]])
    t.equal(other.requests.length, 2)
  })
})

t.test('a request that was tried again at the version itself is no match', async (t) => {
  const backend: BackendScript = { onRequest: (_request, connection) => connection.abort() }
  // Its weight is 0: only because nobody else is left.
  await withMirror({ backend, shadow: {} }, async ({ rig, outcomes, counted }) => {
    const [, two] = statesOf(rig.plane)
    const table = swapped(rig.plane, (service) => ({
      ...service,
      groups: service.groups.map((group) => ({ ...group, weight: group.version === '2' ? 0.000_001 : 1 })),
    }))
    rig.plane.apply(table)
    const client = await rig.client()
    await client.send(get())
    t.equal((await client.answer()).status, 200)
    t.equal(two?.answers, 1)
    await counted(1)
    t.strictSame(outcomes(), { uncompared: 1 })
  })
})

t.test('the end of the process waits for no mirrored request, and leaves none', async (t) => {
  const clock = new FakeClock()
  await withMirror({ shadow: silent, clock }, async ({ rig, shadow, stats, outcomes }) => {
    const client = await rig.client()
    await client.send(headText('GET / HTTP/1.1', 'Host: a.test', 'Connection: close'))
    await client.answer()
    await client.closedByPeer()
    client.end()
    await until(() => shadow.requests.length === 1 && rig.load.open === 0)
    await rig.plane.drain(60_000)
    await until(() => shadow.openConnections === 0)
    t.strictSame([stats()?.inFlight, outcomes(), clock.pending], [0, {}, 0])
  })
})

t.test('a version that leaves the table may finish what it has', async (t) => {
  await withMirror({ shadow: silent }, async ({ rig, shadow, stats, outcomes, counted }) => {
    const client = await rig.client()
    await client.send(get())
    await client.answer()
    await until(() => shadow.requests.length === 1)
    const kept = stats()
    rig.plane.apply(swapped(rig.plane, (service) => ({ ...service, groups: service.groups.slice(0, 1) })))
    await client.send(get())
    t.equal((await client.answer()).status, 200)
    await shadow.connections[0]?.send(okAnswer)
    await until(() => shadow.openConnections === 0)
    await counted(1)
    t.strictSame([kept?.inFlight, outcomes()], [0, { same: 1 }])
  })
})
