/** Consistent hashing with bounded loads, and zones, by their promises. */
import fc from 'fast-check'
import t from 'tap'
import { affinityToken, identityHash } from '../../src/balance/identity.ts'
import { noKey, pickEndpoint } from '../../src/balance/pick-endpoint.ts'
import { pickHash } from '../../src/balance/hash.ts'
import { hashText } from '../../src/balance/rendezvous.ts'
import { ownShare } from '../../src/balance/zones.ts'
import { seededRandom } from '../../src/core/random.ts'
import type { BoundEndpoint } from '../../src/live/runtime.ts'
import { type BalanceAlgorithm, defaultServicePolicy } from '../../src/policy/policy.ts'
import { boundEndpoint } from '../fixtures/tables.ts'

const fleet = (weights: readonly number[], name = 'e'): BoundEndpoint[] =>
  weights.map((weight, i) => boundEndpoint(`${name}${i}`, { weight, port: 8_000 + i }))

const keys = Array.from({ length: 400 }, (_, i) => hashText(`user-${i}`, 0))
const weightsOf = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 2, maxLength: 8 })

/** Other values would move every user of every proxy: a change here is a break of the contract. */
const contract = {
  hash: 1_322_544_731,
  token: 'd6f1adb87004cbf0f265a6ee',
  picks: 'e0 e1 e2 e1 e0 e2 e1 e1 e1 e0 e2 e0',
}

t.test('the contract: which instance these keys get, and what the cookie says', async (t) => {
  const [a] = fleet([1, 1, 1])
  t.equal(a && identityHash(a.endpoint), contract.hash)
  t.equal(a && affinityToken(a.endpoint), contract.token)
  t.match(contract.token, /^[0-9a-f]{24}$/)
  const picks = keys.slice(0, 12).map((key) => pickHash(fleet([1, 1, 1]), key, 1.25, [])?.endpoint.id)
  t.same(picks.join(' '), contract.picks)
})

t.test(
  'one that goes moves its own keys only, and to where the request would go next; its return moves them back',
  async () => {
    fc.assert(
      fc.property(weightsOf, fc.nat(), (weights, which) => {
        const all = fleet(weights)
        const gone = all[which % all.length]
        const rest = all.filter((one) => one !== gone)
        return keys.every((key) => {
          const before = pickHash(all, key, 1.25, [])
          const after = pickHash(rest, key, 1.25, [])
          if (before !== gone) return before === after
          return gone !== undefined && after === pickHash(all, key, 1.25, [gone.state])
        })
      }),
      { numRuns: 50 },
    )
  },
)

t.test('keys are shared by weight, and a ramp moves keys only to the one that ramps up', async (t) => {
  const all = fleet([1, 2, 5])
  const many = Array.from({ length: 20_000 }, (_, i) => hashText(`key ${i}`, 0))
  const share = (which: number): number =>
    many.filter((key) => pickHash(all, key, 1.25, []) === all[which]).length / many.length
  t.ok(Math.abs(share(0) - 1 / 8) < 0.01 && Math.abs(share(2) - 5 / 8) < 0.015, `${share(0)} ${share(2)}`)
  const [first] = all
  if (first) first.state.ramp = 0.1
  const early = many.map((key) => pickHash(all, key, 1.25, []))
  if (first) first.state.ramp = 1
  const late = many.map((key) => pickHash(all, key, 1.25, []))
  t.ok(early.every((one, i) => one === late[i] || late[i] === first))
  t.ok(early.filter((one) => one === first).length < many.length * 0.03, 'a tenth of its weight at first')
})

t.test('no load is over its bound, whatever the keys, and somebody always has room', async () => {
  const factor = fc.double({ min: 1, max: 3, noNaN: true })
  fc.assert(
    fc.property(weightsOf, factor, fc.array(fc.nat({ max: 3 }), { maxLength: 80 }), (weights, loadFactor, wanted) => {
      const all = fleet(weights)
      const sum = weights.reduce((a, b) => a + b)
      return wanted.every((key, before) => {
        const picked = pickHash(all, keys[key] ?? 0, loadFactor, [])
        if (!picked) return false
        picked.state.inFlight++
        return picked.state.inFlight <= Math.ceil(loadFactor * (before + 1) * (picked.endpoint.weight / sum) + 1e-9)
      })
    }),
    { numRuns: 300 },
  )
})

t.test('without a key it is least-request', async (t) => {
  const endpoints = fleet([1, 1])
  const [busy, idle] = endpoints
  if (busy) busy.state.inFlight = 3
  const policy = { ...defaultServicePolicy, balance: 'hash' as const }
  for (let i = 0; i < 30; i++)
    t.equal(pickEndpoint({ endpoints, zones: undefined }, seededRandom(i), [], policy, noKey), idle)
})

// === Zones ===

const zoned = (own: BoundEndpoint[], others: BoundEndpoint[]) => ({
  endpoints: [...own, ...others],
  zones: { own, others },
})

/** Share of 4,000 picks that fall in the own zone. */
function inOwn(it: ReturnType<typeof zoned>, balance: BalanceAlgorithm): number {
  const random = seededRandom(7)
  let own = 0
  for (let i = 0; i < 4_000; i++) {
    const picked = pickEndpoint(it, random, [], { ...defaultServicePolicy, balance }, hashText(`k${i}`, 0))
    if (picked && it.zones.own.includes(picked)) own++
  }
  return own / 4_000
}

t.test('the own zone gets all while it has its capacity, and its part below that', async (t) => {
  for (const balance of ['least-request', 'round-robin', 'hash'] as const) {
    const it = zoned(fleet([1, 1, 1, 1]), fleet([1, 1], 'o'))
    t.equal(inOwn(it, balance), 1, balance)
    const [a, b, c, d] = it.zones.own
    if (!a || !b || !c || !d) return
    a.state.open = false
    t.equal(inOwn(it, balance), 1, '75 % is enough')
    b.state.ramp = 0.4
    c.state.open = false
    t.ok(
      Math.abs(inOwn(it, balance) - 0.5) < 0.03,
      `${balance}: 35 % of its capacity is for half: ${inOwn(it, balance)}`,
    )
    b.state.open = false
    d.state.open = false
    t.equal(inOwn(it, balance), 0, 'nobody there')
    d.state.open = true
    for (const { state } of it.zones.others) state.open = false
    t.equal(inOwn(it, balance), 1, 'nobody elsewhere')
  }
})

t.test('a zone that is far more loaded than the others passes on, and an idle one does not', async (t) => {
  const it = zoned(fleet([1]), fleet([1, 1], 'o'))
  const [own] = it.zones.own
  const [other] = it.zones.others
  if (!own || !other) return
  own.state.inFlight = 1
  t.equal(ownShare(it.zones, []), 1)
  own.state.inFlight = 2
  t.equal(ownShare(it.zones, []), 0, 'more than twice')
  for (const { state } of it.zones.others) state.inFlight = 1
  t.equal(ownShare(it.zones, []), 1)
  const small = zoned(fleet([1]), fleet([100], 'o'))
  t.equal(ownShare(small.zones, []), 1, 'idle')
})

t.test('zones: whoever is usable is never left out, and nobody gets everything for ever', async () => {
  const part = fc.record({ open: fc.boolean(), inFlight: fc.nat({ max: 9 }), weight: fc.integer({ min: 1, max: 9 }) })
  const parts = fc.array(part, { minLength: 1, maxLength: 4 })
  const make = (all: readonly { open: boolean; inFlight: number; weight: number }[], name: string): BoundEndpoint[] =>
    all.map(({ open, ...rest }, i) => {
      const one = boundEndpoint(`${name}${i}`, rest)
      one.state.open = open
      return one
    })
  fc.assert(
    fc.property(parts, parts, fc.integer(), (own, others, seed) => {
      const it = zoned(make(own, 'a'), make(others, 'b'))
      const usable = it.endpoints.filter(({ state }) => state.open)
      const random = seededRandom(seed)
      const pick = () => pickEndpoint(it, random, [], defaultServicePolicy)
      const picked = pick()
      if (usable.length === 0) return picked === undefined
      if (!picked || !usable.includes(picked)) return false
      // Requests that never end: sooner or later every zone that can gets some.
      const got = new Set<boolean>()
      for (let i = 0; i < 2_000; i++) {
        const one = pick()
        if (!one) return false
        one.state.inFlight++
        got.add(it.zones.own.includes(one))
      }
      const able = [it.zones.own, it.zones.others].filter((zone) => zone.some(({ state }) => state.open)).length
      return got.size === able
    }),
    { numRuns: 60 },
  )
})
