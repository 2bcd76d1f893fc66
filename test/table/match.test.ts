import fc from 'fast-check'
import t from 'tap'
import { seededRandom } from '../../src/core/random.ts'
import { createMatcher, type MatchEntry } from '../../src/table/match.ts'
import { routePrefix } from '../../src/table/prefix.ts'

const entry = (place: string): MatchEntry<string> => {
  const slash = place.indexOf('/')
  return { host: place.slice(0, slash), path: place.slice(slash), value: place }
}

const cases: readonly {
  readonly name: string
  readonly routes: readonly string[]
  /** Request to the route that wins; '' for none. */
  readonly wins: Readonly<Record<string, string>>
}[] = [
  { name: 'nothing matches nothing', routes: [], wins: { 'a.com/': '', '/': '' } },
  {
    name: 'a prefix ends on a segment boundary',
    routes: ['/cart'],
    wins: { 'a/cart': '/cart', 'a/cart/': '/cart', 'a/cart/x': '/cart', 'a/carton': '', 'a/car': '', 'a/': '' },
  },
  {
    name: 'a slash at the end of a route changes nothing',
    routes: ['/cart/'],
    wins: { 'a/cart': '/cart/', 'a/cart/x': '/cart/', 'a/carton': '' },
  },
  {
    name: 'the longest path wins',
    routes: ['/', '/a', '/a/b', '/a/b/c'],
    wins: {
      'h/': '/',
      'h/x': '/',
      'h/a': '/a',
      'h/ab': '/',
      'h/a/b/cd': '/a/b',
      'h/a/b/c/d': '/a/b/c',
      'h/a/bc': '/a',
    },
  },
  {
    name: 'exact, then wildcard, then any',
    routes: ['/', '*.example.com/', 'shop.example.com/'],
    wins: { 'shop.example.com/x': 'shop.example.com/', 'b.example.com/x': '*.example.com/', 'example.com/x': '/' },
  },
  {
    name: 'a wildcard is any depth below, never the name itself nor a name that only ends alike',
    routes: ['*.example.com/'],
    wins: {
      'a.example.com/': '*.example.com/',
      'a.b.example.com/': '*.example.com/',
      'example.com/': '',
      '.example.com/': '',
      'anexample.com/': '',
      'a.example.com.evil/': '',
    },
  },
  {
    name: 'the longest wildcard wins',
    routes: ['*.com/', '*.b.com/', '*.a.b.com/'],
    wins: { 'x.a.b.com/': '*.a.b.com/', 'a.b.com/': '*.b.com/', 'b.com/': '*.com/', 'x.c.com/': '*.com/' },
  },
  {
    name: 'a host without a matching path leaves it to the next in order',
    routes: ['/any', '*.b.com/wild', '*.a.b.com/deep', 'x.a.b.com/exact'],
    wins: {
      'x.a.b.com/exact': 'x.a.b.com/exact',
      'x.a.b.com/deep': '*.a.b.com/deep',
      'x.a.b.com/wild': '*.b.com/wild',
      'x.a.b.com/any': '/any',
      'x.a.b.com/none': '',
    },
  },
  { name: 'the more precise host beats the longer path', routes: ['/a/b/c', 'h/'], wins: { 'h/a/b/c': 'h/' } },
  { name: 'no host matches any', routes: ['/', 'h/'], wins: { '/x': '/' } },
  { name: 'an IPv6 host is a name like others', routes: ['[::1]/'], wins: { '[::1]/x': '[::1]/', '[::2]/x': '' } },
]

void t.test('named cases', async (t) => {
  for (const { name, routes, wins } of cases) {
    const match = createMatcher(routes.map(entry))
    for (const [request, winner] of Object.entries(wins)) {
      const slash = request.indexOf('/')
      t.equal(match(request.slice(0, slash), request.slice(slash)) ?? '', winner, `${name}: ${request}`)
    }
  }
})

void t.test('the earlier of two for the same host and path wins', async (t) => {
  const match = createMatcher([
    { host: 'h', path: '/a', value: 1 },
    { host: 'h', path: '/a/', value: 2 },
  ])
  t.equal(match('h', '/a'), 1)
})

void t.test('a value that is undefined or false is found all the same', async (t) => {
  t.equal(createMatcher([{ host: '', path: '/', value: false }])('h', '/'), false)
})

void t.test('finds the same as a reading of the rules, whatever the routes', async () => {
  const segment = fc.constantFrom('a', 'b', 'ab', 'ba', 'c')
  const path = fc.array(segment, { maxLength: 4 }).map((segments) => `/${segments.join('/')}`)
  const name = fc.array(segment, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'))
  const host = fc.oneof(
    fc.constant(''),
    name,
    name.map((suffix) => `*.${suffix}`),
  )
  const naive = (entries: readonly MatchEntry<number>[], askedHost: string, askedPath: string): number | undefined => {
    const rank = (pattern: string): number =>
      pattern === '' ? 0 : pattern.startsWith('*.') ? pattern.length : Number.MAX_SAFE_INTEGER
    return entries
      .filter((each) =>
        each.host.startsWith('*.')
          ? askedHost.endsWith(each.host.slice(1)) && askedHost.length > each.host.length - 1
          : each.host === '' || each.host === askedHost,
      )
      .filter((each) => each.path === '/' || `${askedPath}/`.startsWith(`${each.path}/`))
      .toSorted((a, b) => rank(b.host) - rank(a.host) || b.path.length - a.path.length)[0]?.value
  }
  fc.assert(
    fc.property(
      fc.array(fc.record({ host, path }), { maxLength: 30 }),
      fc.array(fc.record({ host: name, path }), { minLength: 1, maxLength: 20 }),
      (routes, requests) => {
        const entries = routes.map((each, value) => ({ ...each, value }))
        const match = createMatcher(entries)
        for (const asked of requests)
          if (match(asked.host, asked.path) !== naive(entries, asked.host, asked.path)) return false
        return true
      },
    ),
    { numRuns: 1_000 },
  )
})

void t.test('hosts and paths of any text are matched without a throw', async () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ host: fc.string(), path: fc.string() })),
      fc.string(),
      fc.string(),
      (routes, h, p) => {
        const match = createMatcher(routes.map((each, value) => ({ ...each, value })))
        match(h, p)
        const own = routes[0]
        return !own || own.host.startsWith('*.') || match(own.host, routePrefix(own.path)) !== undefined
      },
    ),
    { numRuns: 300 },
  )
})

void t.test('texts with equal hashes are told apart', async (t) => {
  const hash = (text: string): number => {
    let value = 0x811c9dc5 | 0
    for (const char of text) value = Math.imul(value ^ char.charCodeAt(0), 0x01000193)
    return value
  }
  /** Two texts that begin with `start` and have the same 32-bit FNV-1a hash. */
  const collision = (start: string): [string, string] => {
    const random = seededRandom(7)
    const seen = new Map<number, string>()
    for (;;) {
      const text = start + String(random()).slice(2)
      const value = hash(text)
      const other = seen.get(value)
      if (other !== undefined && other !== text) return [other, text]
      seen.set(value, text)
    }
  }
  const [a, b] = collision('/')
  const paths = createMatcher([entry(a), entry(b)])
  t.equal(paths('h', a), a)
  t.equal(paths('h', b), b)
  t.equal(createMatcher([entry(a)])('h', b), undefined, 'the other alone does not match')

  // Wildcards are hashed from their end.
  const [c, d] = collision('').map((text) => `*.${Array.from(text).reverse().join('')}/`) as [string, string]
  const hosts = createMatcher([entry(c), entry(d)])
  for (const each of [c, d]) t.equal(hosts(each.slice(0, -1).replace('*', 'x'), '/'), each)
  t.equal(createMatcher([entry(c)])(d.slice(0, -1).replace('*', 'x'), '/'), undefined)
})

void t.test('routePrefix', async (t) => {
  const forms: Readonly<Record<string, string>> = {
    '': '/',
    '/': '/',
    '//': '/',
    cart: '/cart',
    '/cart': '/cart',
    '/cart/': '/cart',
    '/cart///': '/cart',
    '//a//b/': '/a/b',
    '/%63art': '/cart',
    '/a%2fb': '/a%2Fb',
    '/a%zz': '/a%zz',
  }
  for (const [given, form] of Object.entries(forms)) t.equal(routePrefix(given), form, JSON.stringify(given))
  fc.assert(fc.property(fc.string(), (path) => routePrefix(routePrefix(path)) === routePrefix(path)))
})
