import t from 'tap'
import { Claims } from '../../src/health/claims.ts'
import { endpoint } from '../fixtures/tables.ts'

const at = (service: string, life: number, port = 1) => endpoint(`${service}${String(life)}`, { service, life, port })

void t.test('an address is taken by a younger registration of another service only', async (t) => {
  const claims = new Claims()
  const old = at('web', 5)
  claims.set('web', [old, at('web', 9)])
  t.equal(claims.isTaken(old), false, 'its own service')
  claims.set('shop', [at('shop', 4), at('shop', 5)])
  t.equal(claims.isTaken(old), false, 'older, or as old')
  claims.set('shop', [at('shop', 6, 2)])
  t.equal(claims.isTaken(old), false, 'another port')
  claims.set('shop', [at('shop', 4), at('shop', 6)])
  t.equal(claims.isTaken(old), true)
  t.equal(claims.isTaken(at('shop', 6)), true, 'by web, of life 9')
  claims.set('shop', [])
  t.equal(claims.isTaken(old), false)
  claims.set('web', [])
  t.equal(claims.size, 0, 'nothing is kept')
})
