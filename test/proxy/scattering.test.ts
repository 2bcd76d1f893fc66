import t from 'tap'
import { Scattering } from '../../src/proxy/scattering.ts'
import type { EndpointState } from '../../src/live/runtime.ts'

const endpoint = (name: string): EndpointState => ({ handle: name }) as unknown as EndpointState
const [a, b, c] = [endpoint('a'), endpoint('b'), endpoint('c')]

/** An endpoint that broke: last heard at `lastLifeMs`, with requests that wait since these times. */
const broken = (lastLifeMs: number, ...sentMs: readonly number[]): EndpointState =>
  ({ lastLifeMs, attempts: sentMs.map((waitingSinceMs) => ({ waitingSinceMs })) }) as unknown as EndpointState

t.test(
  'what it was busy with, and the first that came then, keep away from the rest and the rest from them',
  async (t) => {
    const scattering = new Scattering(broken(100, 97, 99, 103, 110, 150))
    for (const [sentMs, at] of [
      [97, a],
      [110, b],
      [103, a],
      [99, c],
      [150, b],
    ] as const)
      scattering.went(sentMs, at)
    t.strictSame(scattering.places(99), { avoid: [b], own: [a, c] })
    t.strictSame(scattering.places(103), { avoid: [b], own: [a, c] })
    t.strictSame(scattering.places(110), { avoid: [a, c], own: [b] })
  },
)

t.test('the one whose failure is the first to be seen is no longer under way, and counts', async (t) => {
  const scattering = new Scattering(broken(100, 110, 120))
  t.strictSame(scattering.places(105), { avoid: [], own: [] })
  scattering.went(105, a)
  t.strictSame(scattering.places(110), { avoid: [a], own: [] }, 'it came after the first')
})

t.test('one that was never heard: the first that waits', async (t) => {
  const scattering = new Scattering(broken(-Infinity, 20, 10, 30))
  scattering.went(10, a)
  t.strictSame(scattering.places(20), { avoid: [a], own: [] })
})
