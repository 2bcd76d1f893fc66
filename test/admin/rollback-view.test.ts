/** What going back to an earlier revision means, before it is done. */
import t from 'tap'
import { type RevisionView, rollbackView } from '../../src/admin/rollback-view.ts'

/** Newest first: the settings of the first are those of the highest revision. */
const revisions = (...settings: readonly unknown[]): readonly RevisionView[] =>
  settings.map((one, at) => ({ revision: settings.length - at, by: 'alice', at: 'then', reason: '', settings: one }))

const a = { versions: { 1: 1 }, sticky: { cookie: 'c' } }
const sameAsA = { sticky: { cookie: 'c' }, versions: { 1: 1 } }
const [b, c, d] = [{ versions: { 2: 1 } }, { versions: { 3: 1 } }, { versions: { 4: 1 } }]

t.test('which is applied again, what that undoes, and where further back leads', async (t) => {
  const of = (known: readonly RevisionView[], target: number, now: unknown, isNewest = true): unknown => {
    const { reapplies, undoes, earlier } = rollbackView(known, known, target, now, isNewest)
    return [
      reapplies?.revision,
      undoes && [undoes.revision, undoes.wentBackTo],
      earlier.map(({ revision }) => revision),
    ]
  }
  t.same(of(revisions(b, a), 1, b), [1, [2, null], []])
  t.same(of(revisions(sameAsA, b, a), 2, a), [2, [3, 1], []], 'back and forth: what is the same leads nowhere further')
  t.same(of(revisions(b, sameAsA, b, a), 3, b), [3, [4, 2], []])
  t.same(of(revisions(a, b, a, c, c, d), 5, a), [5, [6, 4], [3, 1]])
  t.same(of(revisions(a, a, b), 2, a), [2, [3, null], [1]], 'nothing had changed')
  t.same(of(revisions(a, sameAsA, a, b), 1, a), [1, [4, null], []], 'nor twice')
  t.same(of(revisions(null, a), 1, null), [1, [2, 0], []], 'to no document')
  t.same(of(revisions(null, a, null, b), 3, null), [3, [4, 2], [1]])
  t.same(of(revisions(b, a), 0, b), [undefined, [2, null], []], 'before any')
  t.same(of(revisions(b, a), 2, c, false), [2, null, [1]], 'what another tool wrote')
  t.same(of(revisions(b, d, c, a, { n: 1 }, { n: 2 }), 5, b), [5, [6, null], [4, 3, 2]], 'so many, and no more')
  const [broken, ...usable] = revisions('broken', a, b)
  t.match(rollbackView(broken ? [broken, ...usable] : [], usable, 2, 'broken', true), {
    undoes: { revision: 3, by: 'alice', at: 'then', wentBackTo: null },
    earlier: [{ revision: 1 }],
  })
})
