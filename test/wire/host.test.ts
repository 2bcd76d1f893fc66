import fc from 'fast-check'
import t from 'tap'
import { routingHost, sameAuthority } from '../../src/wire/host.ts'
import { latin1 } from '../fixtures/heads.ts'

const valid: readonly (readonly [value: string, routing: string])[] = [
  ['a', 'a'],
  ['a.test', 'a.test'],
  ['A.TeSt', 'a.test'],
  ['a.test.', 'a.test'],
  ['a.test:80', 'a.test'],
  ['a.test.:80', 'a.test'],
  ['a.test:1', 'a.test'],
  ['a.test:65535', 'a.test'],
  ['a.test:00080', 'a.test'],
  ['a_b~c-d.test', 'a_b~c-d.test'],
  ['127.0.0.1', '127.0.0.1'],
  ['127.0.0.1:8080', '127.0.0.1'],
  ['[::1]', '[::1]'],
  ['[::1]:8080', '[::1]'],
  ['[2001:DB8::A]', '[2001:db8::a]'],
  ['[::ffff:1.2.3.4]', '[::ffff:1.2.3.4]'],
  ['a'.repeat(255), 'a'.repeat(255)],
]

const invalid: readonly string[] = [
  '', ' ', '.', '..', 'a..b', '.a', 'a..', 'a b', ' a', 'a ', 'a,b', 'u@a', 'u:p@a', 'a/p', 'a?q', 'a#f', 'a\\b',
  'a:', 'a:0', 'a:65536', 'a:99999', 'a:100000', 'a:000080', 'a:8x', 'a:+1', 'a:-1', 'a: 80', 'a:80:80', 'a::80', ':80',
  '[', ']', '[]', '[::1', '::1', '[::1]x', '[::1]:', '[::1]:0', '[::1]:80:80', '[1.2.3.4]', '[a.test]', '[:::1]',
  '[fe80::1%eth0]', '[fe80::1%25eth0]', '[[::1]]', 'a\0', 'a\t', 'a\x7f', '\xe9.test', 'a%2eb', '*.a', 'a"', "a'",
  'a'.repeat(256),
] // prettier-ignore

t.test('hosts that route, without case, port and trailing dot', async (t) => {
  for (const [value, routing] of valid) t.equal(routingHost(value), routing, value.slice(0, 40))
})

t.test('hosts that are refused', async (t) => {
  for (const value of invalid) t.equal(routingHost(value), undefined, JSON.stringify(value.slice(0, 40)))
})

t.test('the answer does not depend on what was asked before', async (t) => {
  const any = fc.oneof(fc.constantFrom(...valid.map(([value]) => value), ...invalid), latin1)
  const known = new Map<string, string | undefined>()
  fc.assert(
    fc.property(any, (value) => {
      const now = routingHost(value)
      if (known.has(value) && known.get(value) !== now) return false
      known.set(value, now)
      return routingHost(value) === now
    }),
    { numRuns: 1_000 },
  )
  t.pass()
})

t.test('what routes is its own routing host, and holds nothing that could not be a host', async (t) => {
  fc.assert(
    fc.property(fc.oneof(fc.constantFrom(...valid.map(([value]) => value)), latin1), (value) => {
      const routing = routingHost(value)
      if (routing === undefined) return true
      return routingHost(routing) === routing && /^[a-z0-9_~.:[\]-]+$/.test(routing)
    }),
    { numRuns: 1_000 },
  )
  t.pass()
})

t.test('authorities that are the same for http', async (t) => {
  for (const [a, b, same] of [
    ['a.test', 'A.TEST', true],
    ['a.test', 'a.test:80', true],
    ['a.test.', 'a.test', true],
    ['a.test.:80', 'a.test', true],
    ['[::1]', '[::1]:80', true],
    ['a.test:8080', 'a.test:8080', true],
    ['a.test', 'a.test:8080', false],
    ['a.test:80', 'a.test:81', false],
    ['a.test', 'b.test', false],
    ['a.test:180', 'a.test:1', false],
    ['[::1]:8080', '[::1]', false],
  ] as const) {
    t.equal(sameAuthority(a, b), same, `${a} and ${b}`)
    t.equal(sameAuthority(b, a), same, `${b} and ${a}`)
  }
})
