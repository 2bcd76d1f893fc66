/** The hash that every proxy and every release must agree on, and what rendezvous hashing promises. */
import fc from 'fast-check'
import t from 'tap'
import { pickStickyGroup } from '../../src/balance/pick-group.ts'
import { hashText, mix, pairHash } from '../../src/balance/rendezvous.ts'
import { boundEndpoint, boundGroup } from '../fixtures/tables.ts'

t.test('MurmurHash3_x86_32, by its published vectors', async (t) => {
  for (const [text, seed, hash] of [
    ['', 0, 0],
    ['', 1, 0x514e28b7],
    ['', 0xffffffff, 0x81f16f39],
    ['test', 0, 0xba6bd213],
    ['test', 0x9747b28c, 0x704b81dc],
    ['Hello, world!', 0x9747b28c, 0x24884cba],
    ['aaaa', 0x9747b28c, 0x5a97808a],
    ['aaa', 0x9747b28c, 0x283e0130],
    ['aa', 0x9747b28c, 0x5d211726],
    ['a', 0x9747b28c, 0x7fa09ea6],
    ['The quick brown fox jumps over the lazy dog', 0x9747b28c, 0x2fa826cd],
  ] as const)
    t.equal(hashText(text, seed), hash, JSON.stringify(text))
})

t.test('the contract: which of two versions these users get, for good', async (t) => {
  const pick = (key: string): string =>
    winner(
      key,
      new Map([
        ['9.7.0', 90],
        ['9.8.0', 10],
      ]),
    )
  const got = Array.from({ length: 40 }, (_, i) => (pick(`user-${i}`) === '9.8.0' ? i : -1)).filter((i) => i >= 0)
  t.same(got, contract)
  t.equal(
    pairHash('user-1', hashText('9.8.0', 0)),
    mix(hashText('user-1', hashText('9.8.0', 0)) ^ hashText('9.8.0', 0)),
  )
})

const contract: readonly number[] = [1, 4, 13, 17, 18, 30]

/** The version that a user with this key gets. */
function winner(key: string, weights: ReadonlyMap<string, number>): string {
  const groups = [...weights].map(([version, weight]) => boundGroup(version, weight, up))
  return pickStickyGroup(groups, key, false)?.version ?? ''
}

const up = [boundEndpoint('up')]
const down = [boundEndpoint('down', { leaving: true })]

t.test('a version that cannot answer leaves its users to the others, or with strict to nobody', async (t) => {
  const a = boundGroup('a', 50, down)
  const b = boundGroup('b', 50, up)
  let strict = 0
  for (let i = 0; i < 100; i++) {
    t.equal(pickStickyGroup([a, b], `u${i}`, false), b)
    if (pickStickyGroup([a, b], `u${i}`, true) === undefined) strict++
  }
  t.ok(strict > 30 && strict < 70, `${strict} of 100 are the other's`)
  t.equal(pickStickyGroup([boundGroup('a', 0, up)], 'u', false), undefined, 'zero is none')
})

const shares = fc
  .uniqueArray(fc.string({ minLength: 1, maxLength: 8 }), { minLength: 2, maxLength: 6 })
  .chain((names) => fc.tuple(...names.map((name) => fc.tuple(fc.constant(name), fc.integer({ min: 0, max: 100 })))))
  .filter((pairs) => pairs.some(([, weight]) => weight > 0))

t.test('raising one weight moves users only to it, lowering only away from it', async () => {
  fc.assert(
    fc.property(shares, fc.nat(), fc.integer({ min: 0, max: 200 }), (pairs, which, weight) => {
      const before = new Map(pairs)
      const [name = '', old = 0] = pairs[which % pairs.length] ?? []
      const after = new Map(before).set(name, weight)
      if (![...after.values()].some((each) => each > 0)) return true
      for (let i = 0; i < 60; i++) {
        const [was, is] = [winner(`u${i}`, before), winner(`u${i}`, after)]
        if (was !== is && (weight > old ? is : was) !== name) return false
      }
      return true
    }),
  )
})

t.test('shares are the weights, within three standard deviations', async (t) => {
  const weights = new Map([
    ['a', 1],
    ['b', 10],
    ['c', 89],
    ['d', 0],
  ])
  const counts = new Map<string, number>()
  const n = 20_000
  for (let i = 0; i < n; i++) {
    const version = winner(`visitor ${i}`, weights)
    counts.set(version, (counts.get(version) ?? 0) + 1)
  }
  for (const [version, weight] of weights) {
    const p = weight / 100
    const off = Math.abs((counts.get(version) ?? 0) - n * p)
    t.ok(off <= 3 * Math.sqrt(n * p * (1 - p)), `${version}: ${counts.get(version) ?? 0} of ${n}`)
  }
})

t.test('the next release picks other first users', async (t) => {
  const first = (version: string): Set<number> =>
    new Set(
      Array.from({ length: 2_000 }, (_, i) => i).filter(
        (i) =>
          winner(
            `u${i}`,
            new Map([
              ['old', 90],
              [version, 10],
            ]),
          ) === version,
      ),
    )
  const [one, two] = [first('9.8.0'), first('9.9.0')]
  const both = [...one].filter((user) => two.has(user)).length
  t.ok(both < one.size / 4, `${both} of ${one.size} are first twice; by chance it would be a tenth`)
})
