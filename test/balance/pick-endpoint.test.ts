import fc from 'fast-check'
import t, { type Test } from 'tap'
import { pickEndpoint as pickFrom } from '../../src/balance/pick-endpoint.ts'
import { seededRandom, type Random } from '../../src/core/random.ts'
import type { BoundEndpoint, EndpointState } from '../../src/live/runtime.ts'
import { type BalanceAlgorithm, defaultServicePolicy } from '../../src/policy/policy.ts'
import { boundEndpoint } from '../fixtures/tables.ts'

function pickEndpoint(
  endpoints: readonly BoundEndpoint[],
  random: Random,
  tried: readonly EndpointState[],
  balance: BalanceAlgorithm = 'least-request',
): BoundEndpoint | undefined {
  return pickFrom({ endpoints, zones: undefined }, random, tried, { ...defaultServicePolicy, balance })
}

const algorithms: readonly BalanceAlgorithm[] = ['least-request', 'round-robin']

function weighted(...weights: readonly number[]): BoundEndpoint[] {
  return weights.map((weight, i) => boundEndpoint(`e${i}`, { weight }))
}

/** Share of each endpoint in `picks` picks; `use` runs after each with what was picked. */
function sharesOf(
  endpoints: readonly BoundEndpoint[],
  algorithm: BalanceAlgorithm,
  picks: number,
  use: (picked: BoundEndpoint, random: Random) => void = () => {},
): number[] {
  const random = seededRandom(42)
  const counts = endpoints.map(() => 0)
  for (let i = 0; i < picks; i++) {
    const picked = pickEndpoint(endpoints, random, [], algorithm)
    if (!picked) continue
    const at = endpoints.indexOf(picked)
    counts[at] = (counts[at] ?? 0) + 1
    use(picked, random)
  }
  return counts.map((count) => count / picks)
}

/** Keeps `concurrency` requests under way, each ending at a random time. */
function closedLoop(concurrency: number): (picked: BoundEndpoint, random: Random) => void {
  const running: EndpointState[] = []
  return ({ state }, random) => {
    state.inFlight++
    running.push(state)
    if (running.length < concurrency) return
    const [ended] = running.splice(Math.floor(random() * running.length), 1)
    if (ended) ended.inFlight--
  }
}

const near = (t: Test, actual: readonly number[], wanted: readonly number[], within: number, name: string): void => {
  const off = actual.map((share, i) => Math.abs(share - (wanted[i] ?? 0)))
  t.ok(Math.max(...off) <= within, `${name}: ${actual.map((share) => share.toFixed(3)).join(' ')}`)
}

void t.test('nobody, one, and the one that is left', async (t) => {
  for (const algorithm of algorithms) {
    const random = seededRandom(1)
    const pick = (endpoints: readonly BoundEndpoint[], tried: readonly EndpointState[] = []) =>
      pickEndpoint(endpoints, random, tried, algorithm)
    t.equal(pick([]), undefined)
    const [a, b] = [boundEndpoint('a'), boundEndpoint('b')]
    t.equal(pick([a]), a)
    t.equal(pick([a], [a.state]), undefined, 'never what was tried')
    for (let i = 0; i < 10; i++) t.equal(pick([a, b], [a.state]), b)
    t.equal(pick([a, b], [a.state, b.state]), undefined)
    t.equal(pick([boundEndpoint('c', { leaving: true })]), undefined, 'never one that is leaving')
    t.equal(pick([boundEndpoint('c', { weight: 0 })]), undefined, 'never one of weight 0')
  }
})

void t.test('least-request takes the less busy of two', async (t) => {
  const [idle, busy] = [boundEndpoint('idle'), boundEndpoint('busy', { inFlight: 1 })]
  const random = seededRandom(1)
  for (let i = 0; i < 50; i++) t.equal(pickEndpoint([busy, idle], random, []), idle)
  const five = [busy, ...['a', 'b', 'c', 'd'].map((key) => boundEndpoint(key))]
  for (let i = 0; i < 200; i++) t.not(pickEndpoint(five, random, []), busy, 'the busiest of any two is never taken')
})

void t.test('least-request judges by weight', async (t) => {
  const big = boundEndpoint('big', { weight: 10, inFlight: 10 })
  const small = boundEndpoint('small', { weight: 1, inFlight: 2 })
  const random = seededRandom(1)
  let toSmall = 0
  for (let i = 0; i < 1_000; i++) if (pickEndpoint([big, small], random, []) === small) toSmall++
  t.ok(toSmall < 30, `10 of weight 10 is less than 2 of weight 1: ${toSmall} of 1000`)
})

void t.test('idle endpoints are shared by weight', async (t) => {
  for (const algorithm of algorithms)
    for (const weights of [
      [1, 1],
      [3, 1],
      [3, 2, 1],
      [1, 1, 1, 1, 1],
      [100, 1],
      [5, 3, 2],
    ]) {
      const sum = weights.reduce((a, b) => a + b)
      const wanted = weights.map((weight) => weight / sum)
      near(t, sharesOf(weighted(...weights), algorithm, 20_000), wanted, 0.015, `${algorithm} ${weights.join(':')}`)
    }
})

void t.test('busy endpoints are shared by weight', async (t) => {
  for (const [weights, concurrency, within] of [
    [[1, 1, 1], 10, 0.01],
    [[3, 1], 2, 0.12],
    [[3, 1], 8, 0.08],
    [[3, 1], 64, 0.02],
    [[3, 2, 1], 64, 0.02],
    [[10, 1, 1], 120, 0.02],
  ] as const) {
    const sum = weights.reduce((a: number, b) => a + b, 0)
    const wanted = weights.map((weight) => weight / sum)
    const shares = sharesOf(weighted(...weights), 'least-request', 20_000, closedLoop(concurrency))
    near(t, shares, wanted, within, `${weights.join(':')} with ${concurrency} under way`)
  }
})

void t.test('filter first, then weigh what is left: 3:2:1 without the third is 3:2', async (t) => {
  for (const algorithm of algorithms) {
    const endpoints = weighted(3, 2, 1)
    const [, , third] = endpoints
    if (third) third.state.open = false
    near(t, sharesOf(endpoints, algorithm, 20_000), [0.6, 0.4, 0], 0.012, algorithm)
  }
})

void t.test('one that ramps up gets that part of its weight', async (t) => {
  for (const algorithm of algorithms) {
    const endpoints = weighted(1, 1, 2)
    const [, , third] = endpoints
    if (third) third.state.ramp = 0.25
    near(t, sharesOf(endpoints, algorithm, 20_000), [0.4, 0.4, 0.2], 0.012, algorithm)
    if (third) third.state.ramp = 1
    near(t, sharesOf(endpoints, algorithm, 20_000), [0.25, 0.25, 0.5], 0.012, algorithm)
  }
})

void t.test('round-robin goes round, smoothly', async (t) => {
  const turn = (endpoints: readonly BoundEndpoint[], picks: number): string => {
    let text = ''
    for (let i = 0; i < picks; i++)
      text += pickEndpoint(endpoints, Math.random, [], 'round-robin')?.endpoint.key.slice(1) ?? '-'
    return text
  }
  t.equal(turn(weighted(1, 1, 1), 7), '0120120')
  t.equal(turn(weighted(3, 1), 8), '00100010')
  t.equal(turn(weighted(5, 1, 1), 7), '0010200')
})

void t.test('round-robin: exact shares in every round, and nothing owed after it', async () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 6 }), (weights) => {
      const endpoints = weighted(...weights)
      const counts = new Map<BoundEndpoint, number>()
      const sum = weights.reduce((a, b) => a + b)
      for (let i = 0; i < sum; i++) {
        const picked = pickEndpoint(endpoints, Math.random, [], 'round-robin')
        if (picked) counts.set(picked, (counts.get(picked) ?? 0) + 1)
      }
      return endpoints.every((each) => counts.get(each) === each.endpoint.weight && each.state.credit === 0)
    }),
  )
})

void t.test('round-robin keeps its place when the table is swapped', async (t) => {
  const before = weighted(1, 1, 1)
  const random = seededRandom(1)
  const pick = (endpoints: readonly BoundEndpoint[]) => pickEndpoint(endpoints, random, [], 'round-robin')?.endpoint.key
  t.equal(pick(before), 'e0')
  const after = [...before.map((each) => ({ ...each, endpoint: { ...each.endpoint } })), boundEndpoint('e3')]
  t.same([pick(after), pick(after), pick(after)], ['e1', 'e2', 'e3'])
})

const figures = (states: readonly EndpointState[]): string =>
  JSON.stringify(states.map(({ inFlight, leaving, credit }) => ({ inFlight, leaving, credit })))

void t.test('asking changes nothing unless it picks', async (t) => {
  for (const algorithm of algorithms) {
    const endpoints = weighted(3, 1)
    const states = endpoints.map(({ state }) => state)
    const before = figures(states)
    t.equal(pickEndpoint(endpoints, seededRandom(1), states, algorithm), undefined)
    t.equal(figures(states), before)
  }
  const endpoints = weighted(1, 2, 3)
  pickEndpoint(endpoints, seededRandom(1), [])
  t.ok(
    endpoints.every(({ state }) => state.inFlight === 0 && state.credit === 0),
    'least-request keeps no state at all',
  )
})

void t.test('whatever may be picked is picked, and nothing else', async () => {
  const one = fc.record({
    weight: fc.oneof(fc.constant(1), fc.integer({ min: 0, max: 100 }), fc.double({ min: 0, max: 1, noNaN: true })),
    inFlight: fc.integer({ min: 0, max: 5 }),
    leaving: fc.boolean(),
    tried: fc.boolean(),
  })
  // 1 - 2^-53 is the largest number a Random may give.
  const chance = fc.oneof(
    fc.constantFrom(0, 1 - 2 ** -53),
    fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  )
  fc.assert(
    fc.property(fc.array(one, { maxLength: 6 }), fc.array(chance, { minLength: 2 }), (parts, draws) => {
      const endpoints = parts.map((each, i) => boundEndpoint(`e${i}`, each))
      const tried = endpoints.filter((_, i) => parts[i]?.tried).map(({ state }) => state)
      const usable = endpoints.filter(
        ({ endpoint, state }) => endpoint.weight > 0 && !state.leaving && !tried.includes(state),
      )
      return algorithms.every((algorithm) => {
        let i = 0
        const picked = pickEndpoint(endpoints, () => draws[i++ % draws.length] ?? 0, tried, algorithm)
        return picked ? usable.includes(picked) : usable.length === 0
      })
    }),
    { numRuns: 1_000 },
  )
})
