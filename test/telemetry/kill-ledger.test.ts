/** The kill ledger: what belongs to a death, what Consul knew, what is bounded; and that counts add up whatever comes. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import t from 'tap'
import type { HealthEvent } from '../../src/health/event.ts'
import type { EjectionCause } from '../../src/health/verdict.ts'
import { absentServicesKept } from '../../src/live/registry.ts'
import type { Endpoint } from '../../src/table/table.ts'
import { createKillLedger, type KillLedger } from '../../src/telemetry/kill-ledger.ts'
import type { Kill } from '../../src/telemetry/kill-record.ts'
import { endpoint, tableOf } from '../fixtures/data-plane.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { eventsAt, ref, type Events } from '../fixtures/kills.ts'

interface Rig extends Events {
  readonly clock: FakeClock
  readonly ledger: KillLedger
  readonly send: (...events: readonly HealthEvent[]) => void
  /** The only entry. */
  readonly only: () => Kill
  readonly table: (...endpoints: readonly Endpoint[]) => void
}

function rig(entriesMax?: number): Rig {
  const clock = new FakeClock()
  const ledger = createKillLedger(entriesMax === undefined ? { clock } : { clock, entriesMax })
  return {
    ...eventsAt(clock),
    clock,
    ledger,
    send: (...events) => {
      for (const event of events) ledger.event(event)
    },
    only: () => {
      const { kills } = ledger.read()
      const [kill] = kills
      if (!kill || kills.length !== 1) throw new Error(`${kills.length} entries`)
      return kill
    },
    table: (...endpoints) => ledger.tableChanged(tableOf('shop', endpoints)),
  }
}

const at = (handle: string, parts: Partial<Endpoint> = {}): Endpoint =>
  endpoint({ service: 'shop', version: '9.8.0', handle, ...parts })
const out = { status: 'critical', weight: 0 } as const

t.test('a death, from its detection to the end', async (t) => {
  const { clock, ledger, send, only, ejected, outcome, restored } = rig()
  const a = ref('a')
  send(ejected(a, { cause: 'silence', proven: false, inFlight: 7 }))
  t.match(only(), {
    id: 'k-1',
    wallMs: 1_700_000_001_000,
    service: 'shop',
    version: '9.8.0',
    handle: 'a',
    address: '10.0.0.5',
    port: 8080,
    signal: 'silence',
    proven: false,
    applied: true,
    inFlight: 7,
  })
  t.equal(only().recovery, undefined)
  send(outcome(a, 'rescued'), outcome(a, 'retried'), outcome(a, 'retried', { unsent: true }))
  clock.advance(30)
  send(ejected(a), outcome(a, 'lost', { requestId: 'x', method: 'PUT', reason: 'ejected' }))
  clock.advance(970)
  send(restored(a))
  t.match(only(), {
    signal: 'silence',
    proven: true,
    provenBy: { cause: 'refused', afterMs: 30 },
    inFlight: 7,
    rescued: 1,
    retried: 1,
    retriedUnsent: 1,
    lost: 1,
    lostRequests: [{ requestId: 'x', method: 'PUT', reason: 'ejected', unsent: false, afterMs: 30 }],
    recovery: { kind: 'restored', afterMs: 1_000 },
  })
  t.same([...only().lostByMethod], [['PUT', 1]])
  t.equal(only().consulKnewAfterMs, undefined)
  t.same(ledger.read().totals, {
    deaths: 1,
    observedDeaths: 0,
    rescued: 1,
    retried: 1,
    retriedUnsent: 1,
    lost: 1,
    strayLost: 0,
    strayRescued: 0,
  })
  send(ejected(a))
  t.same(
    ledger.read().kills.map(({ id }) => id),
    ['k-2', 'k-1'],
    'the next death is another entry, and the newest is first',
  )
})

t.test('what other processes of this proxy held is part of the same death', async (t) => {
  const { ledger, send, only, ejected } = rig()
  const a = ref('a')
  send(ejected(a, { cause: 'silence', proven: false, inFlight: 7 }))
  send(ejected(a, { cause: 'silence', proven: false, inFlight: 3, told: true }))
  t.match(only(), { id: 'k-1', inFlight: 10 })
  send(ejected(ref('b'), { cause: 'failure-rate', told: true }))
  const [shop] = [...ledger.counts()]
  t.same([...(shop?.ejections ?? [])], [['silence', 1]], 'an ejection is counted where it was found')
  // The word of a death may come before its first event.
  send(ejected(ref('c'), { inFlight: 2, told: true }))
  t.match(ledger.read().kills[0], { handle: 'c', inFlight: 2 })
})

t.test('what comes shortly before a death belongs to it', async (t) => {
  const { clock, ledger, send, only, ejected, outcome } = rig()
  const [a, b] = [ref('a'), ref('b')]
  send(outcome(a, 'lost', { requestId: 'too early' }), outcome(a, 'retried'))
  clock.advance(1)
  send(outcome(a, 'lost', { requestId: 'in time' }), outcome(b, 'lost'), outcome(ref('a', { life: 2 }), 'lost'))
  clock.advance(2_000)
  send(ejected(a))
  t.match(only(), { lost: 1, retried: 0, lostRequests: [{ requestId: 'in time', afterMs: -2_000 }] })
  t.match(ledger.read(), { totals: { lost: 1, strayLost: 1 }, strays: [{ requestId: 'too early' }] })
  clock.advance(1)
  t.equal(ledger.read().totals.strayLost, 3, 'another endpoint and another life are not its business')
  t.match(ledger.read('shop'), { totals: { strayLost: 3 } })
  t.match(ledger.read('cart'), { totals: { strayLost: 0 }, kills: [], strays: [] })
})

t.test('what comes up to a minute after a death belongs to it', async (t) => {
  const { clock, ledger, send, only, ejected, outcome } = rig()
  const a = ref('a')
  send(ejected(a))
  clock.advance(60_000)
  send(outcome(a, 'lost'))
  clock.advance(1)
  send(outcome(a, 'lost'))
  clock.advance(2_001)
  t.equal(only().lost, 1)
  t.equal(ledger.read().totals.strayLost, 1)
})

t.test('what is told out of order is judged by its own time', async (t) => {
  const { clock, ledger, send, ejected, outcome } = rig()
  const [a, b] = [ref('a'), ref('b')]
  const old = { nowMs: clock.now() - 2_001 }
  // The first holds the second back, which is too old for the death all the same.
  send(outcome(b, 'lost'), outcome(a, 'lost', old), ejected(a), outcome(a, 'lost', old))
  clock.advance(2_001)
  t.match(ledger.read(), { kills: [{ lost: 0 }], totals: { lost: 0, strayLost: 3 } })
})

t.test('a restart within milliseconds: lost without a death, and named', async (t) => {
  const { clock, ledger, send, outcome } = rig()
  send(outcome(ref('a'), 'lost', { requestId: 'x', reason: 'reset' }), outcome(ref('a'), 'retried'))
  t.match(ledger.read(), { kills: [], totals: { strayLost: 0 } })
  clock.advance(2_001)
  t.match(ledger.read(), {
    kills: [],
    totals: { lost: 0, strayLost: 1 },
    strays: [
      { handle: 'a', requestId: 'x', method: 'POST', reason: 'reset', unsent: false, wallMs: 1_700_000_001_000 },
    ],
  })
})

t.test('once it was restored, what fails there waits for another death', async (t) => {
  const { clock, ledger, send, ejected, restored, outcome } = rig()
  const a = ref('a')
  send(ejected(a), restored(a), outcome(a, 'lost'))
  clock.advance(100)
  send(ejected(a))
  t.match(ledger.read().kills, [
    { id: 'k-2', lost: 1 },
    { id: 'k-1', lost: 0 },
  ])
})

t.test('causes that are no death open no entry, and are counted', async (t) => {
  const { ledger, send, ejected, restored, outcome, clock } = rig()
  const causes: readonly EjectionCause[] = [
    'consecutive-failures',
    'failure-rate',
    'identity',
    'address-taken',
    'operator',
  ]
  for (const cause of causes) send(ejected(ref(cause), { cause, proven: false }), restored(ref(cause)))
  send(ejected(ref('a'), { cause: 'identity' }), outcome(ref('a'), 'rescued'), outcome(ref('a'), 'lost'))
  t.same(ledger.read().kills, [])
  const [counts] = ledger.counts()
  t.same(Object.fromEntries(counts?.ejections ?? []), {
    'consecutive-failures': 1,
    'failure-rate': 1,
    identity: 2,
    'address-taken': 1,
    operator: 1,
  })
  t.match(counts, { service: 'shop', rescued: 1, lost: 0 })
  t.equal(counts?.deaths.size, 0)
  clock.advance(3_000)
  t.match(ledger.read().totals, { lost: 0, strayLost: 1 })
})

t.test('a death is one ejection, however often it is confirmed', async (t) => {
  const { ledger, send, only, ejected } = rig()
  send(ejected(ref('a'), { cause: 'silence', proven: false }), ejected(ref('a')), ejected(ref('a'), { cause: 'probe' }))
  t.match(only(), { signal: 'silence', provenBy: { cause: 'refused' } })
  const [counts] = ledger.counts()
  t.same([...(counts?.ejections ?? [])], [['silence', 1]])
  t.same([...(counts?.deaths ?? [])], [['silence', 1]])
})

t.test('an ejection for another reason, while it is dead, is counted beside', async (t) => {
  const { ledger, send, only, ejected } = rig()
  send(ejected(ref('a')), ejected(ref('a'), { cause: 'operator', proven: false }))
  t.match(only(), { signal: 'refused', provenBy: undefined })
  t.same(
    [...([...ledger.counts()][0]?.ejections ?? [])],
    [
      ['refused', 1],
      ['operator', 1],
    ],
  )
})

t.test('what is only observed is told apart, until it is carried out', async (t) => {
  const { ledger, send, only, ejected, outcome } = rig()
  const a = ref('a')
  send(ejected(a, { applied: false }), outcome(a, 'lost'))
  t.match(only(), { applied: false, lost: 1 })
  t.match(ledger.read().totals, { deaths: 0, observedDeaths: 1 })
  const observed = [...ledger.counts()][0]
  t.same([...(observed?.observedEjections ?? [])], [['refused', 1]])
  t.equal(observed?.ejections.size, 0)
  t.equal(observed?.deaths.size, 0)
  t.equal(observed?.lost, 1, 'lost it was, all the same')
  send(ejected(a, { cause: 'silence', proven: false }), ejected(a))
  t.match(only(), { applied: true, signal: 'refused' })
  t.match(ledger.read().totals, { deaths: 1, observedDeaths: 0 })
  const [counts] = ledger.counts()
  t.same([...(counts?.ejections ?? [])], [['silence', 1]])
  t.same([...(counts?.deaths ?? [])], [['refused', 1]])
})

t.test('when Consul knew', async (t) => {
  const cases: Record<string, (r: Rig) => void> = {
    'not yet': ({ table, send, ejected, clock }) => {
      table(at('a'), at('b'))
      send(ejected(ref('a')))
      clock.advance(500)
      table(at('a'), at('b', out))
    },
    'after us, critical': ({ table, send, ejected, clock }) => {
      table(at('a'))
      send(ejected(ref('a')))
      clock.advance(500)
      table(at('a', out))
      clock.advance(500)
      table()
    },
    'after us, in maintenance': ({ table, send, ejected, clock }) => {
      table(at('a'))
      send(ejected(ref('a')))
      clock.advance(500)
      table(at('a', { status: 'maintenance', weight: 0 }))
    },
    'after us, gone': ({ table, send, ejected, clock }) => {
      table(at('a'))
      send(ejected(ref('a')))
      clock.advance(500)
      table(at('b'))
    },
    'after us, replaced': ({ table, send, ejected, clock }) => {
      table(at('a'))
      send(ejected(ref('a')))
      clock.advance(500)
      table(at('a', { life: 2 }))
    },
    'after us, its service gone': ({ table, send, ejected, clock, ledger }) => {
      table(at('a'))
      send(ejected(ref('a')))
      clock.advance(500)
      ledger.tableChanged(tableOf('cart', []))
    },
    'before us, critical': ({ table, send, ejected, clock }) => {
      table(at('a'))
      table(at('a', out))
      clock.advance(300)
      table(at('a', { ...out, weight: 1, agentLost: true }))
      send(ejected(ref('a')))
      clock.advance(500)
      table()
    },
    'before us, gone': ({ table, send, ejected, clock }) => {
      table(at('a'))
      table()
      clock.advance(300)
      send(ejected(ref('a')))
    },
    'long before us': ({ table, send, ejected, clock }) => {
      table(at('a', out))
      clock.advance(120_000)
      send(ejected(ref('a')))
    },
    'it changed its mind': ({ table, send, ejected, clock }) => {
      table(at('a'))
      table(at('a', out))
      clock.advance(300)
      table(at('a'))
      send(ejected(ref('a')))
    },
    'it was back before Consul could know': ({ table, send, ejected, restored, clock }) => {
      table(at('a'))
      send(ejected(ref('a')))
      clock.advance(500)
      send(restored(ref('a')))
      table(at('a', out))
    },
    'no table was ever seen': ({ send, ejected }) => send(ejected(ref('a'))),
  }
  const expected: Record<string, readonly [number | undefined, string | undefined, number?]> = {
    'not yet': [undefined, undefined],
    'after us, critical': [500, 'gone', 1_000],
    'after us, in maintenance': [500, undefined],
    'after us, gone': [500, 'gone', 500],
    'after us, replaced': [500, 'replaced', 500],
    'after us, its service gone': [500, 'gone', 500],
    'before us, critical': [-300, 'gone', 500],
    'before us, gone': [-300, 'gone', 0],
    'long before us': [-60_000, undefined],
    'it changed its mind': [undefined, undefined],
    'it was back before Consul could know': [undefined, 'restored', 500],
    'no table was ever seen': [undefined, undefined],
  }
  for (const [name, play] of Object.entries(cases)) {
    const one = rig()
    play(one)
    const { consulKnewAfterMs, recovery } = one.only()
    t.same([consulKnewAfterMs, recovery?.kind, ...(recovery ? [recovery.afterMs] : [])], expected[name], name)
  }
})

t.test('one that the catalog dropped is proven dead: the same death; back in the catalog, it dies anew', async (t) => {
  const { table, send, only, ejected, outcome, ledger } = rig()
  table(at('a'))
  send(ejected(ref('a'), { cause: 'silence', proven: false }))
  table()
  send(ejected(ref('a')), outcome(ref('a'), 'lost'))
  t.match(only(), { proven: true, lost: 1, recovery: { kind: 'gone' } })
  table(at('a'))
  send(ejected(ref('a')))
  t.match(ledger.read().kills, [{ id: 'k-2', lost: 0, recovery: undefined }, { id: 'k-1' }])
})

t.test('a hundred are named, all are counted; odd names are cut and copied', async (t) => {
  const { send, only, ejected, outcome } = rig()
  const a = ref('a')
  send(ejected(a))
  for (let i = 0; i < 150; i++) send(outcome(a, 'lost', { requestId: `r${i}`, method: `M${i}` }))
  const kill = only()
  t.equal(kill.lost, 150)
  t.equal(kill.lostRequests.length, 100)
  t.equal(kill.lostRequests[99]?.requestId, 'r99')
  t.equal(kill.lostByMethod.size, 16)
  t.equal(kill.lostByMethod.get('other'), 135)
  const other = rig()
  other.send(other.ejected(a), other.outcome(a, 'lost', { requestId: 'i'.repeat(999), method: 'M'.repeat(99) }))
  t.match(other.only().lostRequests, [{ requestId: 'i'.repeat(128), method: 'M'.repeat(32) }])
})

t.test('the ring is bounded; totals and counts are not shortened by it', async (t) => {
  const { ledger, send, ejected, restored, outcome } = rig(3)
  for (const name of ['a', 'b', 'c', 'd']) send(ejected(ref(name), { cause: 'silence', proven: false }))
  send(outcome(ref('a'), 'lost'), ejected(ref('a')))
  t.same(
    ledger.read().kills.map(({ id }) => id),
    ['k-4', 'k-3', 'k-2'],
    'a second verdict on one that is not listed is no new death',
  )
  t.match(ledger.read().totals, { deaths: 4, lost: 1, strayLost: 0 })
  send(restored(ref('a')), ejected(ref('a')))
  t.match(ledger.read().totals, { deaths: 5 })
  const [counts] = ledger.counts()
  t.equal(counts?.deaths.get('silence'), 4)
})

t.test('what can matter no more is let go of', async (t) => {
  const { clock, ledger, send, ejected, outcome, table } = rig(1)
  const base = ledger.held()
  for (const name of ['a', 'b']) {
    send(ejected(ref(name)))
    for (let i = 0; i < 100; i++) send(outcome(ref(name), 'lost'))
  }
  // Two deaths that may change, one of them listed with its names; a method each; a service with a cause and a signal.
  t.equal(ledger.held() - base, 2 + 1 + 100 + 2 + 3)
  table()
  clock.advance(60_001)
  table(at('c'))
  t.equal(ledger.held() - base, 1 + 100 + 1 + 3)

  const many = rig()
  const endpoints = Array.from({ length: 3_000 }, (_, i) => at(`e${i}`))
  many.table(...endpoints)
  const before = many.ledger.held()
  many.table()
  t.equal(many.ledger.held() - before, 1_024)
  many.clock.advance(60_001)
  many.table()
  t.equal(many.ledger.held() - before, 0)
})

t.test('services of the table are counted from nothing; those that are gone are kept for a while', async (t) => {
  const { ledger, send, ejected } = rig()
  ledger.tableChanged(tableOf('shop', []))
  t.match([...ledger.counts()], [{ service: 'shop', rescued: 0, lost: 0 }])
  for (let i = 0; i < absentServicesKept * 2; i++) {
    ledger.tableChanged(tableOf(`s${i}`, []))
    send(ejected(ref('a', { service: `gone${i}`, life: i })))
  }
  t.equal([...ledger.counts()].length, absentServicesKept + 1)
  t.equal(ledger.read().totals.deaths, absentServicesKept * 2)
})

t.test('no name keeps the head in memory that it was cut out of', async (t) => {
  const { send, ejected, outcome, ledger } = rig()
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const used = (): number => {
    collect()
    return process.memoryUsage().heapUsed
  }
  const before = used()
  for (let i = 0; i < 1_000; i++) {
    const head = Buffer.alloc(65_536, `request ${i} `).toString('latin1')
    const cut = outcome(ref(`e${i % 20}`), 'lost', { requestId: head.slice(100, 136), method: head.slice(0, 20) })
    if (i < 20) send(ejected(ref(`e${i}`)))
    send(cut)
  }
  t.equal(ledger.read().totals.lost, 1_000)
  const grown = used() - before
  t.ok(grown < 16_000_000, `${Math.round(grown / 1_000)} kB`)
})

// === Whatever comes ===

type Step =
  | { readonly do: 'advance'; readonly ms: number }
  | { readonly do: 'table'; readonly endpoints: readonly { name: number; life: number; out: boolean }[] }
  | {
      readonly do: 'event'
      readonly name: number
      readonly life: number
      readonly what: number
      readonly ageMs: number
    }

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('advance' as const), ms: fc.constantFrom(1, 500, 1_999, 2_001, 30_000, 61_000) }),
  fc.record({
    do: fc.constant('table' as const),
    endpoints: fc.array(fc.record({ name: fc.nat(3), life: fc.integer({ min: 1, max: 2 }), out: fc.boolean() }), {
      maxLength: 4,
    }),
  }),
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('event' as const),
      name: fc.nat(3),
      life: fc.integer({ min: 1, max: 2 }),
      what: fc.nat(8),
      ageMs: fc.constantFrom(0, 0, 0, 5, 3_000, -5),
    }),
  },
)

function play(one: Rig, steps: readonly Step[]): { lost: number; rescued: number; deathsAtMost: number } {
  const told = { lost: 0, rescued: 0, deathsAtMost: 0 }
  for (const each of steps) {
    if (each.do === 'advance') one.clock.advance(each.ms)
    else if (each.do === 'table') {
      const unique = new Map(each.endpoints.map((found) => [found.name, found]))
      one.table(
        ...[...unique.values()].map(({ name, life, out: isOut }) => at(`e${name}`, { life, ...(isOut ? out : {}) })),
      )
    } else {
      const where = ref(`e${each.name}`, { life: each.life })
      const nowMs = one.clock.now() - each.ageMs
      const { what } = each
      if (what === 0) one.send(one.ejected(where, { nowMs }))
      else if (what === 1) one.send(one.ejected(where, { nowMs, cause: 'silence', proven: false }))
      else if (what === 2) one.send(one.ejected(where, { nowMs, cause: 'operator' }))
      else if (what === 3) one.send(one.ejected(where, { nowMs, applied: false }))
      else if (what === 4) one.send({ kind: 'restored', endpoint: where, nowMs, wallMs: 0 })
      else if (what === 5) one.send(one.outcome(where, 'rescued', { nowMs }))
      else if (what === 6) one.send(one.outcome(where, 'retried', { nowMs }))
      else one.send(one.outcome(where, 'lost', { nowMs, method: what === 7 ? 'POST' : 'PUT' }))
      if (what < 4 && what !== 2) told.deathsAtMost++
      if (what === 5) told.rescued++
      if (what > 6) told.lost++
    }
  }
  // What still waits comes to its end, also behind an event that was told too early.
  one.clock.advance(10_000)
  return told
}

t.test('whatever the order of events, every lost request is counted once', async () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const one = rig(1_000)
      const told = play(one, steps)
      const { kills, totals, strays } = one.ledger.read()
      const sum = (of: (kill: Kill) => number): number => kills.reduce((total, kill) => total + of(kill), 0)
      const named = [...kills.flatMap(({ lostRequests }) => lostRequests), ...strays].map(({ requestId }) => requestId)
      const [counts] = one.ledger.counts()
      const add = (map: ReadonlyMap<string, number> | undefined): number =>
        [...(map?.values() ?? [])].reduce((total, count) => total + count, 0)
      return (
        sum(({ lost }) => lost) + totals.strayLost === told.lost &&
        totals.lost + totals.strayLost === told.lost &&
        named.length === told.lost &&
        new Set(named).size === named.length &&
        kills.every(({ lost, lostByMethod }) => add(lostByMethod) === lost) &&
        sum(({ rescued }) => rescued) === totals.rescued &&
        totals.rescued <= told.rescued &&
        (counts?.rescued ?? 0) === told.rescued &&
        sum(({ retried }) => retried) === totals.retried &&
        totals.deaths === kills.filter(({ applied }) => applied).length &&
        totals.observedDeaths === kills.filter(({ applied }) => !applied).length &&
        add(counts?.deaths) === totals.deaths &&
        kills.length <= told.deathsAtMost &&
        kills.every(({ recovery }) => recovery === undefined || recovery.afterMs >= 0) &&
        new Set(kills.map(({ id }) => id)).size === kills.length
      )
    }),
    { numRuns: 400 },
  )
})

t.test('however much comes, what it holds is bounded', async (t) => {
  const one = rig(4)
  const { ledger, send, ejected, outcome, clock } = one
  let most = 0
  for (let round = 0; round < 8; round++) {
    const endpoints: Endpoint[] = []
    for (let i = 0; i < 200; i++) {
      const where = ref(`e${i}`, { life: round, service: 'shop' })
      endpoints.push(at(where.handle, { life: round }))
      send(outcome(where, 'lost'), outcome(where, 'retried'))
      if (i % 3 === 0) send(ejected(where))
      for (let j = 0; j < 120; j++) send(outcome(where, 'lost', { method: `M${j}` }), outcome(where, 'retried'))
    }
    one.table(...endpoints)
    most = Math.max(most, ledger.held())
    clock.advance(100)
  }
  // 2,000 and 4,000 orphans, 100 strays, 1,024 endpoints that the catalog dropped, and few entries with their names.
  t.ok(most < 8_000, String(most))
  clock.advance(3_000)
  const { totals } = ledger.read()
  t.equal(totals.lost + totals.strayLost, 8 * 200 * 121)
})

t.test('what an operator takes out and puts back is no death, and brings no dead one back', async (t) => {
  const { ledger, send, only, ejected, restored, clock } = rig()
  const a = ref('a')
  const operator = { by: 'alice', reason: '', forMs: undefined }
  const times = { nowMs: clock.now(), wallMs: clock.wall() }
  send(ejected(a, { cause: 'operator', proven: false, operator }))
  send({ kind: 'draining', endpoint: a, inFlight: 1, operator, ...times })
  t.same(ledger.read().kills, [])
  t.equal([...ledger.counts()][0]?.ejections.get('operator'), 1)
  send(ejected(a))
  send({ kind: 'restored', endpoint: a, operator: { by: 'alice', reason: '', expired: false }, ...times })
  t.equal(only().recovery, undefined)
  send(restored(a))
  t.match(only().recovery, { kind: 'restored' })
})

t.test(
  'what was rescued from one that was not found dead is counted apart, once it is clear that no death follows',
  async (t) => {
    const clock = new FakeClock()
    const ledger = createKillLedger({ clock })
    const make = eventsAt(clock)
    ledger.event(make.outcome(ref('a'), 'rescued'))
    ledger.event(make.outcome(ref('b'), 'rescued'))
    ledger.event(make.outcome(ref('b'), 'retried'))
    t.match(ledger.read().totals, { rescued: 0, strayRescued: 0 })
    ledger.event(make.ejected(ref('a')))
    clock.advance(10_000)
    t.match(ledger.read(), { kills: [{ rescued: 1 }], totals: { rescued: 1, retried: 0, strayRescued: 1 } })
  },
)
