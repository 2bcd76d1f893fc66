import fc from 'fast-check'
import t from 'tap'
import { routingPath } from '../../src/proxy/path.ts'
import { latin1 } from '../fixtures/heads.ts'

const kept = [
  '/',
  '/a',
  '/a/',
  '/a/b.c',
  '/.hidden',
  '/a/...',
  '/..a',
  '/a..',
  '/a.',
  '/a;b=c',
  "/~!$&'()*+,-:=@_",
  '/a%2Fb',
  '/%25',
]

const changed: readonly (readonly [target: string, path: string])[] = [
  ['*', '/'],
  ['/a?b', '/a'],
  ['/?/../', '/'],
  ['/a?b%zz', '/a'],
  ['//', '/'],
  ['//a///b//', '/a/b/'],
  ['/%61%5A%30%2d%2E%5f%7e', '/aZ0-._~'],
  ['/a%2fb', '/a%2Fb'],
  ['/%3a%c3%a9', '/%3A%C3%A9'],
  ['/%2541', '/%2541'],
  ['/a%3Fb', '/a%3Fb'],
  ['/%2ehidden', '/.hidden'],
]

const refused = [
  '/.', '/..', '/./', '/../', '/a/.', '/a/..', '/a/./b', '/a/../b', '/..?a', '/%2e', '/%2E%2e', '/.%2e/', '/a/%2e./b', '//..//a',
  '/..;', '/.;a', '/..;a=b/c', '/a/%2e%2e;/b', '/..%2fa', '/a%2f..', '/a%2F%2e%2e%2Fb', '/a%2f./b',
  '/%00', '/a%00b', '/%5c', '/%5C..', '/%', '/%a', '/%zz', '/a%2', '/%%41', '/%u0041', '/%c0%af', '/%C1%81', '/%f5%80', '/%ff',
] // prettier-ignore

t.test('paths that are their own normal form', async (t) => {
  for (const path of kept) t.equal(routingPath(path), path, path)
})

t.test('paths that are read as another', async (t) => {
  for (const [target, path] of changed) t.equal(routingPath(target), path, target)
})

t.test('paths that servers read in different ways', async (t) => {
  for (const target of refused) t.equal(routingPath(target), undefined, target)
})

const piece = fc.constantFrom(
  '/',
  '//',
  '.',
  '..',
  '%2e',
  '%2E',
  '%2f',
  '%2F',
  '%5c',
  '%00',
  '%41',
  '%25',
  '2e',
  '2f',
  ';',
  'a',
  'B',
  '?',
  '%',
  '%c3%a9',
  '%c0%af',
)
const target = fc.oneof(
  fc.array(piece, { maxLength: 8 }).map((pieces) => `/${pieces.join('')}`),
  latin1.map((text) => `/${text}`),
)

t.test('what routes is its own routing path, has no query, no empty and no dot segment in any spelling', async (t) => {
  fc.assert(
    fc.property(target, (text) => {
      const path = routingPath(text)
      if (path === undefined) return true
      if (routingPath(path) !== path || !path.startsWith('/') || path.includes('?') || path.includes('//')) return false
      // As the most lenient of servers would: escaped slashes are slashes, parameters are cut off.
      const segments = path
        .replaceAll('%2F', '/')
        .split('/')
        .map((segment) => segment.split(';')[0])
      return !segments.some((segment) => segment === '.' || segment === '..')
    }),
    { numRuns: 2_000 },
  )
  t.pass()
})

t.test('spelling unreserved characters as escapes changes nothing', async (t) => {
  fc.assert(
    fc.property(target, fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }), (text, escape) => {
      const path = text.split('?')[0] ?? ''
      if (path.includes('%')) return true
      const other = Array.from(path, (char, index) =>
        escape[index] && /[A-Za-z0-9._~-]/.test(char) ? `%${char.charCodeAt(0).toString(16)}` : char,
      )
      return routingPath(other.join('')) === routingPath(path)
    }),
    { numRuns: 1_000 },
  )
  t.pass()
})
