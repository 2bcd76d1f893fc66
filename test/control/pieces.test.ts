import t from 'tap'
import type { Snapshot } from '../../src/catalog/snapshot.ts'
import { pieceMax, piecemealMax, piecesMax, piecesOf } from '../../src/control/pieces.ts'
import { instance, service, snapshot } from '../fixtures/tables.ts'

const catalog = (count: number, id: string): Snapshot =>
  snapshot(...Array.from({ length: count }, (_, i) => service(`s${i}`, [instance(`s${i}`, id)])))
const differing = (a: Snapshot, b: Snapshot): number =>
  [...new Set([...a.services.keys(), ...b.services.keys()])].filter(
    (name) => a.services.get(name) !== b.services.get(name),
  ).length

t.test('each piece is a few services further, whole, and the last is where it leads', async (t) => {
  const before = catalog(3 * pieceMax, 'a')
  const after = { ...catalog(pieceMax + 1, 'b'), version: 2, problems: [{ code: 'x', where: 'y', message: 'z' }] }
  const pieces = [...piecesOf(before, after, true)]
  t.equal(pieces.length, 3)
  t.equal(pieces.at(-1), after)
  for (const [i, piece] of pieces.entries()) {
    const last = pieces[i - 1] ?? before
    t.equal(differing(last, piece), pieceMax)
    t.equal(differing(last, after) - differing(piece, after), pieceMax, 'nothing that is not as it was or will be')
    t.equal(piece.problems, i === 2 ? after.problems : before.problems)
  }
})

t.test('what is small, another catalog, or must not be cut is one piece', async (t) => {
  const before = catalog(piecemealMax + 1, 'a')
  const few = { ...before, services: new Map([...before.services, ...catalog(pieceMax, 'b').services]) }
  for (const [what, after, piecemeal] of [
    ['nothing', before, true],
    ['few', few, true],
    ['all', catalog(piecemealMax + 1, 'b'), true],
    ['not to be cut', catalog(piecemealMax, 'b'), false],
  ] as const)
    t.same([...piecesOf(before, after, piecemeal)].length, 1, what)
  const large = catalog(4 * piecemealMax, 'a')
  for (const [count, pieces] of [
    [2 * piecemealMax, (2 * piecemealMax) / pieceMax],
    [2 * piecemealMax + 1, 1],
  ] as const) {
    const after = { ...large, services: new Map([...large.services, ...catalog(count, 'b').services]) }
    t.equal([...piecesOf(large, after, true)].length, pieces, `${String(count)} of ${String(large.services.size)}`)
  }
  t.equal([...piecesOf(catalog(piecemealMax, 'a'), catalog(piecemealMax, 'b'), true)].length, piecemealMax / pieceMax)
})

t.test('however many services differ, the pieces are so many at most, and about as large as each other', async (t) => {
  const before = catalog(2 * 1_024, 'a')
  for (const count of [piecesMax * pieceMax, piecesMax * pieceMax + 1, 1_000, 1_024]) {
    const after = { ...before, services: new Map([...before.services, ...catalog(count, 'b').services]) }
    const pieces = [...piecesOf(before, after, true)]
    t.ok(pieces.length <= piecesMax, `${String(pieces.length)} for ${String(count)}`)
    t.equal(pieces.at(-1), after)
    const steps = pieces.map((piece, i) => differing(pieces[i - 1] ?? before, piece))
    t.equal(
      steps.reduce((sum, step) => sum + step),
      count,
    )
    t.ok(Math.max(...steps) <= Math.ceil(count / piecesMax), steps.join(' '))
  }
})
