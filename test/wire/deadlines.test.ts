import fc from 'fast-check'
import t from 'tap'
import { Deadlines, sweepMs, type Watched } from '../../src/wire/deadlines.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'

class Entry implements Watched {
  slot = -1
  deadline = Infinity
  addedAt = 0
  firedAt = -1
  sweeps = 0
  act: (() => void) | undefined
  onSweep(now: number): void {
    this.sweeps++
    if (this.firedAt < 0 && now >= this.deadline) {
      this.firedAt = now
      this.act?.()
    }
  }
}

t.test('the timer runs while anything is watched, and only then', async (t) => {
  const clock = new FakeClock()
  const deadlines = new Deadlines(clock)
  t.equal(clock.pending, 0)
  const a = new Entry()
  const b = new Entry()
  deadlines.add(a)
  deadlines.add(b)
  t.equal(clock.pending, 1, 'one timer for all')
  t.equal(deadlines.size, 2)
  clock.advance(10 * sweepMs)
  t.equal(a.sweeps, 10)
  t.equal(clock.pending, 1)
  deadlines.remove(a)
  t.equal(clock.pending, 1)
  deadlines.remove(a)
  t.equal(deadlines.size, 1, 'removing twice removes once')
  deadlines.remove(b)
  t.equal(clock.pending, 0)
  clock.advance(1_000)
  t.equal(a.sweeps, 10)
  deadlines.add(a)
  t.equal(clock.pending, 1, 'and it starts again')
  t.equal(deadlines.now(), clock.now())
})

t.test('a deadline is noticed at most one sweep late', async (t) => {
  const clock = new FakeClock()
  const deadlines = new Deadlines(clock)
  const entry = new Entry()
  deadlines.add(entry)
  entry.deadline = clock.now() + 120
  clock.advance(119)
  t.equal(entry.firedAt, -1)
  clock.advance(1 + sweepMs)
  t.ok(entry.firedAt >= entry.deadline && entry.firedAt < entry.deadline + sweepMs)
})

t.test('the last one leaving in a sweep stops the timer, one coming in a sweep starts it', async (t) => {
  const clock = new FakeClock()
  const deadlines = new Deadlines(clock)
  const first = new Entry()
  const second = new Entry()
  first.deadline = 0
  first.act = () => deadlines.remove(first)
  deadlines.add(first)
  clock.advance(sweepMs)
  t.equal(clock.pending, 0)
  first.firedAt = -1
  first.act = () => {
    deadlines.remove(first)
    deadlines.add(second)
  }
  deadlines.add(first)
  clock.advance(sweepMs)
  t.equal(clock.pending, 1, 'not two')
  t.equal(second.sweeps, 0, 'what came in this sweep waits for the next')
  clock.advance(sweepMs)
  t.equal(second.sweeps, 1)
})

t.test('whoever leaves in a sweep, nobody is passed over', async (t) => {
  for (let leaving = 0; leaving < 4; leaving++) {
    const clock = new FakeClock()
    const deadlines = new Deadlines(clock)
    const entries = Array.from({ length: 4 }, () => new Entry())
    for (const entry of entries) {
      entry.deadline = clock.now() + sweepMs
      deadlines.add(entry)
    }
    const first = entries[leaving]
    if (first) first.act = () => deadlines.remove(first)
    clock.advance(sweepMs)
    t.strictSame(entries.map((entry) => entry.firedAt), entries.map((entry) => entry.deadline)) // prettier-ignore
  }
})

type Step =
  | { readonly kind: 'add'; readonly id: number; readonly inMs: number }
  | { readonly kind: 'remove'; readonly id: number }
  | { readonly kind: 'advance'; readonly ms: number }
  /** When `id` falls due it removes these, itself perhaps among them, and adds others. */
  | { readonly kind: 'react'; readonly id: number; readonly drop: readonly number[]; readonly take: readonly number[] }

const id = fc.nat({ max: 7 })
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('add' as const), id, inMs: fc.nat({ max: 400 }) }),
  fc.record({ kind: fc.constant('remove' as const), id }),
  fc.record({ kind: fc.constant('advance' as const), ms: fc.nat({ max: 200 }) }),
  fc.record({
    kind: fc.constant('react' as const),
    id,
    drop: fc.array(id, { maxLength: 4 }),
    take: fc.array(id, { maxLength: 2 }),
  }),
)

/** Runs the steps against real deadlines and a set; returns what does not agree, or ''. */
function run(steps: readonly Step[]): string {
  const clock = new FakeClock()
  const deadlines = new Deadlines(clock)
  const entries = Array.from({ length: 8 }, () => new Entry())
  const watched = new Set<Entry>()
  const add = (entry: Entry | undefined): void => {
    if (!entry || watched.has(entry)) return
    watched.add(entry)
    entry.addedAt = clock.now()
    deadlines.add(entry)
  }
  const remove = (entry: Entry | undefined): void => {
    if (!entry) return
    watched.delete(entry)
    deadlines.remove(entry)
  }
  for (const each of steps) {
    if (each.kind === 'advance') clock.advance(each.ms)
    else {
      const entry = entries[each.id]
      if (!entry) throw new Error('unreachable')
      if (each.kind === 'remove') remove(entry)
      else if (each.kind === 'react')
        entry.act = () => {
          for (const other of each.drop) remove(entries[other])
          for (const other of each.take) add(entries[other])
        }
      else if (!watched.has(entry)) {
        entry.deadline = clock.now() + each.inMs
        entry.firedAt = -1
        add(entry)
      }
    }
    if (deadlines.size !== watched.size) return `size ${deadlines.size}, not ${watched.size}`
    if (clock.pending !== (watched.size > 0 ? 1 : 0)) return `${clock.pending} timers for ${watched.size}`
    if (new Set([...watched].map((entry) => entry.slot)).size !== watched.size) return 'two in one slot'
    if (entries.some((entry) => entry.slot >= 0 !== watched.has(entry))) return 'a slot without a place'
    for (const entry of watched)
      if (entry.firedAt < 0 && clock.now() >= Math.max(entry.deadline, entry.addedAt) + sweepMs)
        return `a deadline passed unnoticed`
    for (const entry of watched)
      if (entry.firedAt > Math.max(entry.deadline, entry.addedAt) + sweepMs) return 'too late'
    for (const entry of entries) if (entry.firedAt >= 0 && entry.firedAt < entry.deadline) return 'too early'
  }
  return ''
}

t.test('agrees with a plain set, whatever comes and goes, in sweeps too', async (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const wrong = run(steps)
      if (wrong !== '') throw new Error(wrong)
    }),
    { numRuns: 500 },
  )
  t.pass()
})
