import fc from 'fast-check'
import t from 'tap'
import type { Instance } from '../../src/catalog/snapshot.ts'
import { decideBrake, isServing, matters, type BrakeInput } from '../../src/control/brake.ts'
import { instance, service, snapshot, type InstanceParts } from '../fixtures/tables.ts'

/** `a` passing, `a!` critical, `a~` warning, `a?` critical for a lost agent, `a-` in maintenance. */
function list(name: string, text: string): Instance[] {
  const marks: Record<string, InstanceParts> = {
    '!': { status: 'critical' },
    '~': { status: 'warning' },
    '?': { status: 'critical', agentLost: true },
    '-': { status: 'maintenance' },
  }
  return text
    .split(' ')
    .filter((word) => word !== '')
    .map((word) => instance(name, word.slice(0, 1), marks[word.slice(1)] ?? {}))
}

type Services = Readonly<Record<string, string>>

const of = (services: Services) =>
  snapshot(...Object.entries(services).map(([name, text]) => service(name, list(name, text))))

function decide(before: Services, next: Services, more: Partial<BrakeInput> = {}): Record<string, string> {
  const holds = decideBrake({
    before: of(before),
    next: of(next),
    interest: { names: new Set(['web', 'db', 'x', 'y', 'z']), tagPrefix: undefined },
    isHeld: () => false,
    troubled: false,
    restored: false,
    inPieces: false,
    ...more,
  })
  return Object.fromEntries(holds.map((hold) => [hold.service, hold.instances.map(({ id }) => id).join('')]))
}

void t.test('what one update takes away of a service', async (t) => {
  const cases: readonly [string, string, string, string][] = [
    ['nothing', 'a b', 'a b', ''],
    ['one of one', 'a', '', ''],
    ['one of two', 'a b', 'a', ''],
    ['both of two', 'a b', '', 'ab'],
    ['one of three', 'a b c', 'a b', ''],
    ['half of four', 'a b c d', 'a b', ''],
    ['three of four', 'a b c d', 'a', 'bcd'],
    ['all of four turn critical', 'a b c d', 'a! b! c! d!', 'abcd'],
    ['two critical and one gone of four', 'a b c d', 'a! b! c', 'abd'],
    ['criticals that were so before are no loss', 'a! b! c d', 'c', ''],
    ['nor do they count among those that served', 'a! b! c d', 'a! b!', 'cd'],
    ['warning serves', 'a b~', '', 'ab'],
    ['a lost agent takes nothing away', 'a b c', 'a? b? c?', ''],
    ['those of a lost agent still served', 'a? b?', '', 'ab'],
    ['maintenance is an operator’s word', 'a b c', 'a- b- c-', ''],
    ['and what it takes is no part of a mass', 'a b c d', 'a- b- c', ''],
    ['a fleet is replaced', 'a b c', 'd e f', ''],
    ['a fleet is replaced by fewer', 'a b c', 'd e', 'abc'],
    ['by some that do not serve', 'a b', 'c! d!', 'ab'],
    ['more come and some go', 'a b c', 'a d e', ''],
  ]
  for (const [name, before, next, held] of cases)
    t.same(decide({ web: before }, { web: next }), held === '' ? {} : { web: held }, name)
})

void t.test('services with one instance', async (t) => {
  t.same(decide({ x: 'a', y: 'b', z: 'c' }, { x: '', y: '', z: '' }), { x: 'a', y: 'b', z: 'c' }, 'all at once')
  t.same(decide({ x: 'a', y: 'b', z: 'c' }, { x: '', y: '', z: 'c' }), { x: 'a', y: 'b' }, 'more than half at once')
  t.same(decide({ x: 'a', y: 'b' }, { x: '', y: 'b' }), {}, 'half')
  t.same(decide({ x: 'a' }, { x: '' }), {}, 'the only one there is')
  t.same(decide({ x: 'a', web: 'a b c d e' }, { x: '', web: 'a b c d' }), {}, 'few of all')
  t.same(decide({ x: 'a', web: 'a b c' }, { x: '', web: '' }), { x: 'a', web: 'abc' })
  t.same(decide({ x: 'a' }, { x: '' }, { troubled: true }), { x: 'a' }, 'after trouble')
  t.same(decide({ x: 'a' }, { x: 'a-' }, { troubled: true }), {}, 'but never against an operator')
  t.same(decide({ web: 'a b' }, { web: 'a' }, { troubled: true }), {}, 'trouble or not, one of two is no mass')
})

void t.test('what has no route is not held', async (t) => {
  t.same(decide({ other: 'a b c' }, { other: '' }), {})
  t.same(decide({ web: 'a b c' }, {}), {}, 'the source says that it matters no more')
  t.same(decide({ web: 'a b c' }, {}, { restored: true }), { web: 'abc' }, 'or has never heard of it')
  const tagged = [instance('other', 'a', { tags: ['urlprefix-/x'] })]
  t.ok(matters({ names: new Set(), tagPrefix: 'urlprefix-' }, 'other', tagged))
  t.notOk(matters({ names: new Set(), tagPrefix: undefined }, 'other', tagged))
})

void t.test('what is held already is neither lost again nor counted', async (t) => {
  const isHeld = (key: string): boolean => 'abc'.includes(key.split('\u001f')[3] ?? '-')
  t.same(decide({ web: 'a b c d' }, { web: '' }, { isHeld }), {}, 'one of one')
  t.same(decide({ web: 'a b c d e' }, { web: '' }, { isHeld }), { web: 'de' })
})

void t.test('whatever comes, only what served and is not said to be in maintenance is held', async () => {
  const text = fc
    .uniqueArray(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e'), fc.constantFrom('', '!', '~', '?', '-')), {
      selector: ([id]) => id,
    })
    .map((words) => words.map((word) => word.join('')).join(' '))
  const services = fc.record({ web: text, x: text, y: text })
  fc.assert(
    fc.property(services, services, fc.boolean(), (before, next, troubled) => {
      const [was, is] = [of(before), of(next)]
      const holds = decideBrake({
        before: was,
        next: is,
        interest: { names: new Set(['web', 'x']), tagPrefix: undefined },
        isHeld: () => false,
        troubled,
        restored: false,
        inPieces: false,
      })
      for (const { service: name, instances } of holds) {
        const [old, now] = [was, is].map((one) => one.services.get(name)?.instances ?? [])
        const serving = old?.filter(isServing) ?? []
        if (name === 'y') throw new Error('it does not matter')
        if (instances.length * 2 <= serving.length) throw new Error('no mass')
        for (const one of instances) {
          if (!serving.includes(one)) throw new Error('it did not serve')
          const successor = now?.find(({ key }) => key === one.key)
          if (successor && (isServing(successor) || successor.status === 'maintenance')) throw new Error('not lost')
        }
      }
    }),
  )
})
