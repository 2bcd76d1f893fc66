import t from 'tap'
import { ConfigStanding } from '../../src/app/standing.ts'
import { load } from '../../src/config/load.ts'

t.test('of many mistakes the first are told, and how many there are besides', (t) => {
  const standing = new ConfigStanding()
  const { errors = [] } = load(Array.from({ length: 7 }, (_, i) => `wrong${i}: 1\n`).join(''), {}, 'my.yaml')
  standing.refused(errors)
  t.notOk(standing.isInForce)
  const [problem] = standing.problems()
  t.match(problem, { code: 'config-refused', where: 'my.yaml' })
  t.match(problem?.message, /wrong0.*wrong4/)
  t.notMatch(problem?.message, /wrong5/)
  t.match(problem?.message, new RegExp(`and ${errors.length - 5} more`))
  standing.failed('why')
  t.match(standing.problems(), [{ where: 'configuration', message: /cannot be applied: why/ }], 'the later one stands')
  standing.inForce()
  t.ok(standing.isInForce)
  t.same(standing.problems(), [])
  t.end()
})
