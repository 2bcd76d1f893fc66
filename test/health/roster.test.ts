/** What is walked often is not made anew for each that goes. */
import t from 'tap'
import { Roster } from '../../src/health/roster.ts'

t.test('the list is the same until something changes, and one that is walked never does', async (t) => {
  const roster = new Roster<string, number>()
  for (let i = 0; i < 10; i++) roster.set(`k${i}`, i)
  const { list } = roster
  t.same(list, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  t.equal(roster.list, list)
  roster.delete('nobody')
  t.equal(roster.list, list, 'nobody went')
  for (const value of list) {
    t.type(roster.get(`k${value}`), 'number')
    if (value % 2 === 0) roster.delete(`k${value}`)
  }
  t.equal(list.length, 10)
  const { list: left } = roster
  t.same(left, [1, 3, 5, 7, 9])
  t.equal(roster.list, left)
  roster.set('k0', 0)
  t.same(roster.list, [1, 3, 5, 7, 9, 0], 'who comes back comes last')
  roster.clear()
  t.same(roster.list, [])
  t.equal(roster.get('k1'), undefined)
})
