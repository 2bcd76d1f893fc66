import fc from 'fast-check'
import t from 'tap'
import { Belief, type Evidence, union, type Verdict } from '../../src/catalog/consul/belief.ts'
import { ServiceStore } from '../../src/catalog/consul/store.ts'
import { type Instance, instanceKey } from '../../src/catalog/snapshot.ts'

function instance(id: string, more: Partial<Instance> = {}): Instance {
  const parts = { source: 'consul', node: 'n1', service: 'web', id, address: '10.0.0.1', port: 80 }
  return Object.freeze({
    key: instanceKey(parts),
    ...parts,
    tags: [],
    meta: {},
    nodeMeta: {},
    weights: { passing: 1, warning: 1 },
    status: 'passing' as const,
    agentLost: false,
    createIndex: 1,
    ...more,
  })
}

const list = (ids: string): Instance[] => ids.split('').map((id) => instance(id))

function evidence(more: Partial<Evidence> = {}): Evidence {
  return { nowMs: 100_000, troubleMs: undefined, leader: true, filtered: false, look: async () => undefined, ...more }
}

const holdMs = 10_000
const listed = { reason: 'yet listed', passes: true }
const blind = { reason: 'and all else', passes: false }

async function judge(
  before: string,
  next: string,
  more: Partial<Evidence> = {},
  belief = new Belief(holdMs, 'instances'),
): Promise<Verdict> {
  return await belief.judge('web', list(before), list(next), evidence(more))
}

void t.test('what is believed, and what is held', async (t) => {
  const recent = { troubleMs: 99_000 }
  const cases: [string, string, string, Partial<Evidence>, RegExp | undefined][] = [
    ['nothing known before', '', '', recent, undefined],
    ['more', 'a', 'ab', { leader: false, filtered: true, ...recent }, undefined],
    ['the last one deregistered', 'a', '', {}, undefined],
    ['all of three deregistered', 'abc', '', {}, undefined],
    ['trouble long ago', 'a', '', { troubleMs: 80_000 }, undefined],
    ['all gone after trouble', 'a', '', recent, /1 of 1 instances are gone after Consul was away/],
    ['most gone after trouble', 'abc', 'a', recent, /2 of 3/],
    ['half gone after trouble', 'ab', 'a', recent, undefined],
    ['most gone without trouble', 'abcd', 'a', {}, undefined],
    ['one gone, no leader', 'abc', 'ab', { leader: false }, /no leader/],
    ['all gone, filtered', 'a', '', { filtered: true }, /token hides/],
    ['some gone, filtered', 'ab', 'a', { filtered: true }, undefined],
    ['all gone, the catalog too', 'a', '', { look: async () => blind }, /1 of 1 instances are gone, and all else/],
    ['some gone, and nobody looks', 'ab', 'a', { look: async () => blind }, undefined],
    ['some gone, and somebody looks', 'ab', 'a', { look: async () => blind, looksAlways: true }, /1 of 2.*all else/],
    ['some gone after trouble, looked at', 'abc', 'ab', { ...recent, looksAlways: true }, undefined],
    ['all gone, yet listed', 'a', '', { look: async () => listed }, /yet listed/],
  ]
  for (const [name, before, next, more, reason] of cases) {
    const verdict = await judge(before, next, more)
    if (reason === undefined) t.strictSame(verdict, { kind: 'believe' }, name)
    else t.match(verdict, { kind: 'hold', reason }, name)
  }
})

void t.test('what is held is believed when it stays so', async (t) => {
  const belief = new Belief(holdMs, 'instances')
  const at = async (nowMs: number, more: Partial<Evidence> = {}): Promise<string> =>
    (await judge('a', '', { nowMs, troubleMs: 99_000, ...more }, belief)).kind
  t.equal(await at(100_000), 'hold')
  t.ok(belief.isHeld('web'))
  t.equal(await at(105_000), 'hold')
  t.equal(await at(110_000), 'believe')
  t.notOk(belief.isHeld('web'))
  t.equal(await at(100_000), 'hold')
  t.equal(await at(200_000, { look: async () => blind }), 'hold', 'what does not pass is held for ever')
  t.equal(await at(200_000, { look: async () => listed }), 'believe', 'what passes is believed when it stays so')
  t.equal(await at(100_000), 'hold')
  t.equal(await at(200_000, { filtered: true }), 'hold')
  t.equal(await at(200_000, { leader: false }), 'hold')
})

void t.test('a catalog that cannot be read decides nothing', async (t) => {
  const broken = async (): Promise<never> => Promise.reject(new Error('500'))
  await t.rejects(judge('a', '', { look: broken }), /500/)
})

void t.test('while an answer is held, additions and changes still count', (t) => {
  const changed = instance('b', { status: 'critical' })
  const merged = union(list('abc'), [changed, instance('d')])
  t.strictSame(
    merged.map((one) => one.id),
    ['a', 'b', 'c', 'd'],
  )
  t.equal(merged[1], changed)
  t.end()
})

void t.test('the store keeps what did not change', (t) => {
  const store = new ServiceStore()
  t.ok(store.set('web', list('ab')))
  t.ok(store.set('db', list('x')))
  const first = store.snapshot(1, [])
  t.notOk(store.set('web', list('ab')), 'equal content is no change')
  t.ok(store.set('web', [instance('a'), instance('b', { status: 'warning' })]))
  const second = store.snapshot(2, [])
  t.equal(second.services.get('db'), first.services.get('db'))
  t.equal(second.services.get('web')?.instances[0], first.services.get('web')?.instances[0])
  t.not(second.services.get('web')?.instances[1], first.services.get('web')?.instances[1])
  t.equal(first.services.get('web')?.instances[1]?.status, 'passing', 'an older snapshot stays what it was')
  t.ok(store.set('db', [instance('x', { createIndex: 2 })]), 'a new life is a change')
  t.ok(store.set('db', list('x')))
  const database = store.get('db')?.instances
  const problem = { code: 'bad-instance', where: 'x', message: 'y' }
  t.ok(store.set('db', list('x'), [problem]))
  t.notOk(store.set('db', list('x'), [{ ...problem }]))
  t.strictSame(store.snapshot(3, []).problems, [problem])
  t.equal(store.snapshot(3, []).services.get('db')?.instances, database, 'a problem alone changes no service')
  t.strictSame(store.onNode('n1'), ['web', 'db'])
  t.strictSame(store.onNode('n2'), [])
  t.end()
})

void t.test('any sequence of contents: set reports a change exactly when there is one', (t) => {
  const content = fc.uniqueArray(
    fc.record({ id: fc.constantFrom('a', 'b', 'c'), status: fc.constantFrom('passing', 'critical') }),
    {
      selector: (one) => one.id,
    },
  )
  fc.assert(
    fc.property(fc.array(content, { maxLength: 10 }), (steps) => {
      const store = new ServiceStore()
      let before: string | undefined
      return steps.every((step) => {
        const instances = step.map(({ id, status }) => instance(id, { status: status as Instance['status'] }))
        instances.sort((a, b) => (a.key < b.key ? -1 : 1))
        const text = JSON.stringify(instances)
        const old = store.get('web')
        const changed = store.set('web', instances)
        const right = changed === (text !== before) && (changed || store.get('web') === old)
        before = text
        return right && JSON.stringify(store.get('web')?.instances) === text
      })
    }),
    { numRuns: 300 },
  )
  t.end()
})
