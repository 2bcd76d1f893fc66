import t from 'tap'
import { nearest } from '../../src/config/nearest.ts'

void t.test('the nearest name', (t) => {
  const names = ['listen', 'status', 'limits', 'log', 'address', 'attempts']
  const cases: Readonly<Record<string, string | undefined>> = {
    listn: 'listen',
    Listen: 'listen',
    lisetn: 'listen',
    adress: 'address',
    attemps: 'attempts',
    lgo: 'log',
    zebra: undefined,
    x: undefined,
    listen: undefined,
  }
  for (const [word, wanted] of Object.entries(cases)) t.equal(nearest(word, names), wanted, word)
  t.equal(nearest('a'.repeat(100_000), names), undefined)
  t.end()
})
