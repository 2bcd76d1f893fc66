/** Whether a service is reached by TLS, from what its routes and its policy say. */
import t from 'tap'
import { defaultServicePolicy, defaultTls } from '../../src/policy/policy.ts'
import { buildTable, emptyTable } from '../../src/table/build.ts'
import type { RouteTable } from '../../src/table/table.ts'
import { mergePolicy } from '../../src/policy/tags.ts'
import { instance, policy, route, service, snapshot } from '../fixtures/tables.ts'

const prefix = { tagPrefix: 'urlprefix-' }

/** The table of one service `web` whose two instances have these tags. */
function built(tags: readonly string[], base = policy([], {}, prefix), previous: RouteTable = emptyTable): RouteTable {
  const web = service('web', [instance('web', 'a', { tags }), instance('web', 'b', { tags })])
  const now = snapshot(web)
  return buildTable(previous, now, mergePolicy(base, now)).table
}

const tlsOf = (table: RouteTable): unknown => table.services.get('web')?.policy.tls
const told = (table: RouteTable): readonly string[] => table.problems.map(({ code, where }) => `${code} ${where}`)

void t.test('a tag asks for TLS', (t) => {
  const table = built(['urlprefix-/a proto=https', 'urlprefix-/b proto=https'])
  t.same(tlsOf(table), defaultTls)
  t.same(told(table), [])
  t.equal(tlsOf(built(['urlprefix-/a', 'urlprefix-/b proto=http'])), undefined)
  t.equal(defaultServicePolicy.tls, undefined)
  t.equal(built(['urlprefix-/a proto=https', 'urlprefix-/b proto=https'], undefined, table), table, 'nothing changed')
  t.end()
})

void t.test('all routes of a service go one way: one that asks for TLS is enough, and is told', (t) => {
  const table = built(['urlprefix-/a proto=https', 'urlprefix-/b'])
  t.same(tlsOf(table), defaultTls)
  t.same(told(table), ['mixed-upstream-scheme tag:web:urlprefix-/b'])
  const routed = built(['urlprefix-/a proto=https'], policy([route('/c', 'web')], {}, prefix))
  t.same(tlsOf(routed), defaultTls)
  t.same(told(routed), [], 'a route of the configuration leaves it to its service')
  t.end()
})

void t.test('the policy of the service comes first', (t) => {
  const own = { ...defaultTls, serverName: 'a.test' }
  const table = built(['urlprefix-/a proto=https'], policy([], { web: { tls: own } }, prefix))
  t.same(tlsOf(table), own)
  t.same(told(table), [])
  t.same(tlsOf(built(['urlprefix-/a'], policy([], { web: { tls: own } }, prefix))), own)
  const off = built(['urlprefix-/a proto=https'], policy([], { web: { tls: 'off' } }, prefix))
  t.equal(tlsOf(off), 'off')
  t.same(told(off), ['mixed-upstream-scheme service:web'])
  t.end()
})

void t.test('a tag that turns bad leaves the way as it was', (t) => {
  const table = built(['urlprefix-/a proto=https'])
  const bad = built(['urlprefix-/a proto=https nonsense'], undefined, table)
  t.same(told(bad), ['bad-tag tag:web:urlprefix-/a'])
  t.same(tlsOf(bad), defaultTls)
  t.equal(tlsOf(built(['urlprefix-/a'], undefined, bad)), undefined)
  t.end()
})
