import t from 'tap'
import { Claims } from '../../src/health/claims.ts'
import { endpoint } from '../fixtures/tables.ts'

const at = (service: string, life: number, port = 1) => endpoint(`${service}${String(life)}`, { service, life, port })

void t.test('an address is taken by a younger registration of another service only', async (t) => {
  const claims = new Claims()
  const old = at('web', 5)
  const isTaken = (endpoint = old): boolean => claims.isTaken(endpoint, 0)
  claims.set('web', [old, at('web', 9)], 1)
  t.equal(isTaken(), false, 'its own service')
  claims.set('shop', [at('shop', 4), at('shop', 5)], 1)
  t.equal(isTaken(), false, 'older, or as old')
  claims.set('shop', [at('shop', 6, 2)], 1)
  t.equal(isTaken(), false, 'another port')
  claims.set('shop', [at('shop', 4), at('shop', 6)], 1)
  t.equal(isTaken(), true)
  t.equal(isTaken(at('shop', 6)), true, 'by web, of life 9')
  claims.set('shop', [], 1)
  t.equal(isTaken(), false)
  claims.set('web', [], 1)
  t.equal(claims.size, 0, 'nothing is kept')
})

void t.test('where both have lived side by side, one process serves both', async (t) => {
  const claims = new Claims()
  const old = at('web', 5)
  claims.set('web', [old], 10)
  claims.set('shop', [at('shop', 6)], 20)
  t.equal(claims.isTaken(old, 19), true, 'it has not been heard of since')
  t.equal(claims.isTaken(old, 20), false)
  claims.set('shop', [at('shop', 6), at('shop', 3)], 40)
  t.equal(claims.isTaken(old, 30), false, 'told again it is no later')
  claims.set('shop', [at('shop', 7)], 50)
  t.equal(claims.isTaken(old, 30), true, 'a new registration is')
})
