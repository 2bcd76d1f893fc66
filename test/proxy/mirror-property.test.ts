/** Mirroring without sockets: the share of any chance, and the bookkeeping of any order of events. */
import fc from 'fast-check'
import t from 'tap'
import type { MirrorPolicy } from '../../src/policy/traffic.ts'
import { answerBytesMax, type Mirrored, Mirrors, type MirrorSource } from '../../src/proxy/mirror.ts'
import type { ForwardingFacts } from '../../src/proxy/upstream-head.ts'
import type { ClientConnection } from '../../src/wire/client-connection.ts'
import type { ClientExchange } from '../../src/wire/client-exchange.ts'
import { Deadlines } from '../../src/wire/deadlines.ts'
import type { FailureKind } from '../../src/wire/failure.ts'
import { defaultWireLimits } from '../../src/wire/limits.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { accepted, readRequest, readResponse } from '../fixtures/heads.ts'
import { boundEndpoint, boundGroup, boundService } from '../fixtures/tables.ts'

const head = accepted(readRequest('GET / HTTP/1.1\r\nHost: a\r\n\r\n'))

/** A connection that does what the test says. */
class ScriptedConnection {
  isReady: boolean
  sent = ''
  cancelled = false
  exchange: ClientExchange | undefined

  constructor(isReady: boolean) {
    this.isReady = isReady
  }

  begin(exchange: ClientExchange): void {
    this.exchange = exchange
  }

  requestDone(): void {}

  write(text: string): boolean {
    this.sent += text
    return true
  }

  cancel(): void {
    this.cancelled = true
    this.exchange = undefined
  }
}

class Stage {
  readonly clock = new FakeClock()
  readonly deadlines = new Deadlines(this.clock)
  readonly connections: ScriptedConnection[] = []
  readonly mirrors: Mirrors
  readonly group = boundGroup('2', 0, [boundEndpoint('b')])
  isReady = true
  readonly #source: MirrorSource

  constructor(random: () => number) {
    this.mirrors = new Mirrors({ random, deadlines: this.deadlines, limits: defaultWireLimits })
    const [endpoint] = this.group.endpoints
    Object.assign(endpoint?.state.pool ?? {}, { acquire: () => this.#acquire() })
    const own = boundGroup('1', 1, [boundEndpoint('a')])
    this.#source = {
      service: boundService([own, this.group]),
      group: own,
      upstreamHead: () => 'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
    }
  }

  #acquire(): ClientConnection {
    const made = new ScriptedConnection(this.isReady)
    this.connections.push(made)
    // The real one has private fields; nothing here reaches them.
    return made as unknown as ClientConnection
  }

  send(policy: MirrorPolicy): Mirrored | undefined {
    return this.mirrors.send(policy, this.#source, head, {} as ForwardingFacts, 'id')
  }
}

const policy: MirrorPolicy = { version: '2', share: 1, timeoutMs: 1_000, concurrency: 1_000 }

t.test('a request is of the share exactly when chance falls below it', (t) => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1, noNaN: true, minExcluded: true }),
      fc.array(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), { maxLength: 20 }),
      (share, draws) => {
        let at = 0
        const stage = new Stage(() => draws[at] ?? 0)
        for (; at < draws.length; at++) stage.send({ ...policy, share })
        return stage.connections.length === draws.filter((draw) => draw < share).length
      },
    ),
  )
  t.end()
})

const ok = readResponse('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n')
const kinds: readonly FailureKind[] = ['refused', 'local', 'closed', 'reset', 'invalid', 'idle-timeout']

const event = fc.oneof(
  fc.record({ do: fc.constant('connect' as const) }),
  fc.record({ do: fc.constant('head' as const), status: fc.constantFrom(200, 304, 404, 500), whole: fc.boolean() }),
  fc.record({ do: fc.constant('body' as const), bytes: fc.constantFrom(1, answerBytesMax) }),
  fc.record({ do: fc.constant('complete' as const) }),
  fc.record({ do: fc.constant('fail' as const), kind: fc.constantFrom(...kinds), reused: fc.boolean() }),
  fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(10, 600, 1_100) }),
  fc.record({ do: fc.constant('client' as const), status: fc.constantFrom(200, 404, 502), from: fc.constantFrom('1', '2') }),
  fc.record({ do: fc.constant('end' as const), status: fc.constantFrom(0, 200, 499, 502) }),
) // prettier-ignore
type Event = typeof event extends fc.Arbitrary<infer E> ? E : never

/** Tells the exchange what its connection may tell it, as long as it holds it. */
function tell(connection: ScriptedConnection, what: Event): void {
  const { exchange } = connection
  if (!exchange) return
  switch (what.do) {
    case 'connect':
      if (connection.isReady) return
      connection.isReady = true
      exchange.onConnected()
      return
    case 'head':
      if (!connection.isReady) return
      if (what.whole) connection.exchange = undefined
      exchange.onHead(Object.assign(accepted(ok), { status: what.status }), '', what.whole)
      return
    case 'body':
      exchange.onBody({ length: what.bytes } as Buffer)
      return
    case 'complete':
      connection.exchange = undefined
      exchange.onComplete('')
      return
    case 'fail':
      connection.exchange = undefined
      exchange.onFailure({ kind: what.kind, detail: '', reused: what.reused, sent: true, received: false })
      return
    default:
  }
}

t.test('whatever happens, and in whatever order: each ends once, is counted once, and holds nothing', (t) => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(2), event), { maxLength: 40 }), fc.boolean(), (events, isReady) => {
      const stage = new Stage(() => 0)
      stage.isReady = isReady
      const all = [0, 1, 2].map(() => stage.send(policy))
      const begun = new Set<number>()
      const over = new Set<number>()
      const headSeen = new Set<number>()
      for (const [which, what] of events) {
        const mirrored = all[which]
        const connection = stage.connections[which]
        if (!mirrored || !connection) throw new Error('three are sent')
        if (what.do === 'pass') stage.clock.advance(what.ms)
        else if (what.do === 'client') {
          if (over.has(which) || begun.has(which)) continue
          begun.add(which)
          mirrored.clientAnswered(what.status, what.from)
        } else if (what.do === 'end') {
          if (over.has(which)) continue
          over.add(which)
          mirrored.clientEnded(what.status)
        } else {
          const isAfterHead = what.do === 'body' || what.do === 'complete'
          if (isAfterHead !== headSeen.has(which) && what.do !== 'fail') continue
          if (what.do === 'head' && connection.isReady) headSeen.add(which)
          tell(connection, what)
        }
        const held = stage.connections.filter(({ exchange }) => exchange).length
        const stats = stage.group.stats.mirrored
        if (stats?.inFlight !== held) throw new Error(`${String(stats?.inFlight)} under way, ${String(held)} held`)
        if (stage.deadlines.size !== held) throw new Error('a deadline is watched that nobody needs')
        if (connection.isReady !== connection.sent.includes('Fairlead-Mirror: 1\r\n\r\n')) throw new Error('not sent')
      }
      stage.clock.advance(1_100)
      for (const [which, mirrored] of all.entries()) if (!over.has(which)) mirrored?.clientEnded(200)
      const { outcomes, failures, classes, inFlight } = stage.group.stats.mirrored ?? {}
      const sum = (counts: Iterable<number> = []): number => [...counts].reduce((total, each) => total + each, 0)
      const compared = (outcomes?.get('same') ?? 0) + (outcomes?.get('different') ?? 0)
      return (
        sum(outcomes?.values()) === 3 &&
        sum(failures?.values()) === (outcomes?.get('failed') ?? 0) &&
        sum(classes?.values()) === compared &&
        inFlight === 0 &&
        stage.clock.pending === 0
      )
    }),
    { numRuns: 400 },
  )
  t.end()
})

t.test('a connection that is never made is given up in time', (t) => {
  const stage = new Stage(() => 0)
  stage.isReady = false
  stage.send(policy)
  stage.clock.advance(900)
  t.equal(stage.group.stats.mirrored?.inFlight, 1)
  stage.clock.advance(200)
  t.equal(stage.connections[0]?.cancelled, true)
  t.strictSame([...(stage.group.stats.mirrored?.failures ?? [])], [['timeout', 1]])
  t.end()
})

t.test('the end of the process counts nothing', (t) => {
  const stage = new Stage(() => 0)
  const mirrored = stage.send(policy)
  stage.send(policy)
  stage.mirrors.destroy()
  mirrored?.clientEnded(200)
  t.ok(stage.connections.every(({ cancelled }) => cancelled))
  t.match(stage.group.stats.mirrored, { inFlight: 0, outcomes: new Map(), failures: new Map() })
  t.equal(stage.clock.pending, 0)
  t.end()
})
