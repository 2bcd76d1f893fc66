import fc from 'fast-check'
import t from 'tap'
import { pickGroup } from '../../src/balance/pick-group.ts'
import { boundEndpoint, boundGroup } from '../fixtures/tables.ts'

const up = () => [boundEndpoint('up')]
const down = () => [boundEndpoint('down', { leaving: true })]

void t.test('by weight, along the line from 0 to 1', async (t) => {
  const service = [boundGroup('a', 90, up()), boundGroup('b', 10, up())]
  for (const [random, version] of [
    [0, 'a'],
    [0.899, 'a'],
    [0.901, 'b'],
    [1 - 2 ** -53, 'b'],
  ] as const)
    t.equal(pickGroup(service, random)?.version, version, `${random}`)
})

void t.test('who cannot answer is left out before anything is weighed', async (t) => {
  const service = [
    boundGroup('a', 3, up()),
    boundGroup('b', 2, up()),
    boundGroup('c', 1, down()),
    boundGroup('d', 0, up()),
    boundGroup('e', 5, []),
  ]
  t.equal(pickGroup(service, 0.599)?.version, 'a')
  t.equal(pickGroup(service, 0.601)?.version, 'b')
  t.equal(pickGroup(service, 0.999)?.version, 'b')
})

void t.test('nobody', async (t) => {
  t.equal(pickGroup([], 0.5), undefined)
  t.equal(pickGroup([boundGroup('a', 1, down()), boundGroup('b', 0, up())], 0.5), undefined)
})

void t.test('a group whose endpoints were all tried is left out too', async (t) => {
  const [a] = up()
  if (!a) return
  const service = [boundGroup('a', 1, [a]), boundGroup('b', 1, up())]
  t.equal(pickGroup(service, 0, [a.state])?.version, 'b')
  t.equal(pickGroup(service, 0)?.version, 'a')
})

void t.test('shares are the weights of those that can answer', async () => {
  const group = fc.record({ weight: fc.integer({ min: 0, max: 100 }), up: fc.boolean() })
  fc.assert(
    fc.property(fc.array(group, { maxLength: 6 }), (parts) => {
      const service = parts.map((each, i) => boundGroup(String(i), each.weight, each.up ? up() : down()))
      const live = parts.map((each) => (each.up ? each.weight : 0))
      const total = live.reduce((a, b) => a + b, 0)
      // One draw from the middle of each unit of weight: each group must get exactly its own.
      const counts = live.map(() => 0)
      for (let i = 0; i < total; i++) {
        const at = Number(pickGroup(service, (i + 0.5) / total)?.version)
        counts[at] = (counts[at] ?? 0) + 1
      }
      return total === 0 ? pickGroup(service, 0.5) === undefined : counts.every((count, i) => count === live[i])
    }),
    { numRuns: 300 },
  )
})
