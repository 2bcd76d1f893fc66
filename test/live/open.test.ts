import fc from 'fast-check'
import t from 'tap'
import { setOpen } from '../../src/live/open.ts'
import { admission, type Admission, type BoundService } from '../../src/live/runtime.ts'
import { defaultServicePolicy } from '../../src/policy/policy.ts'
import { boundEndpoint, boundGroup, boundService } from '../fixtures/tables.ts'

const words = { o: admission.open, j: admission.joining, e: admission.ejected, d: admission.dead } as const

/** A service from a word: a letter per endpoint, upper case for one that is leaving. Every second one is of version 2. */
function service(word: string, panicThreshold = 0.5): BoundService {
  const endpoints = word.split('').map((letter, index) => {
    const bound = boundEndpoint(`e${index}`, { leaving: letter !== letter.toLowerCase() })
    bound.state.admission = words[letter.toLowerCase() as keyof typeof words]
    return bound
  })
  const groups = [0, 1].map((rest) =>
    boundGroup(
      String(rest),
      1,
      endpoints.filter((_, index) => index % 2 === rest),
    ),
  )
  const made = boundService(groups)
  const health = { ...defaultServicePolicy.health, panicThreshold }
  return { ...made, table: { ...made.table, policy: { ...made.table.policy, health } } }
}

/** The word with those that may not be picked as dots. */
function open(word: string, panicThreshold?: number): string {
  const made = service(word, panicThreshold)
  setOpen(made)
  const states = new Map(made.groups.flatMap(({ endpoints }) => endpoints.map(({ state }) => [state.key, state.open])))
  return word
    .split('')
    .map((letter, index) => (states.get(`e${index}`) ? letter : '.'))
    .join('')
}

t.test('who may be picked', async (t) => {
  for (const [word, wanted, threshold] of [
    ['oooo', 'oooo'],
    ['oooe', 'ooo.'],
    ['ooee', 'oo..'], // half is not below half
    ['oeee', 'oeee'], // panic
    ['oeed', 'oee.'],
    ['eeee', 'eeee'],
    ['dddd', '....'],
    ['oj', 'o.'],
    ['ej', 'ej'], // neither is better than the other for certain
    ['dj', '.j'],
    ['jjjj', 'jjjj'],
    ['oejjj', 'o....'], // those that join do not count
    ['oOeE', 'o...'],
    ['OOOO', '....'],
    ['oeee', 'o...', 0],
    ['oooe', 'oooe', 1],
    ['', ''],
  ] as const)
    t.equal(open(word, threshold), wanted, `${word} ${threshold ?? ''}`)
})

t.test('whatever the mix: the dead and the leaving never, and never nobody while anybody could', async (t) => {
  const letter = fc.constantFrom('o', 'j', 'e', 'd', 'O', 'E')
  fc.assert(
    fc.property(
      fc.string({ unit: letter, maxLength: 12 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (word, share) => {
        const result = open(word, share)
        if (/[dOE]/.test(result)) return false
        if (word.includes('o') && !result.includes('o')) return false
        const usable = /[oj]/.test(word) || (word.includes('e') && share > 0)
        return usable === /[oje]/.test(result)
      },
    ),
  )
  t.pass()
})

t.test('what an operator has ordered out is never open, and counts for nothing', async (t) => {
  const ordered = (word: string, ...out: readonly number[]): string => {
    const made = service(word)
    const states = made.groups.flatMap(({ endpoints }) => endpoints.map(({ state }) => state))
    const at = (index: number) => states.find(({ key }) => key === `e${index}`)
    for (const index of out) {
      const state = at(index)
      const order = {
        kind: 'drain',
        sinceMs: 0,
        untilMs: Infinity,
        wallMs: 0,
        reason: '',
        by: 'a',
        document: undefined,
      } as const
      if (state) state.order = order
    }
    setOpen(made)
    return word
      .split('')
      .map((letter, index) => (at(index)?.open ? letter : '.'))
      .join('')
  }
  t.equal(ordered('oooo', 0), '.ooo')
  t.equal(ordered('oooo', 0, 1, 2), '...o', 'no panic: one of one is there')
  t.equal(ordered('ooee', 0), '.oee', 'panic: one of three')
  t.equal(ordered('oooo', 0, 1, 2, 3), '....')
  t.equal(ordered('oe', 0), '.e')
  t.equal(ordered('oj', 0), '.j')
})

t.test('admissions are ordered: the higher, the less', async (t) => {
  const order: Admission[] = [admission.open, admission.joining, admission.ejected, admission.dead]
  t.strictSame(
    order,
    order.toSorted((a, b) => a - b),
  )
})
