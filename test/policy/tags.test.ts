import fc from 'fast-check'
import t from 'tap'
import { parseTag } from '../../src/policy/parse-tag.ts'
import { noHeaderChanges, type ShapingPolicy } from '../../src/policy/traffic.ts'
import { emptyPolicy, type Policy } from '../../src/policy/policy.ts'
import { mergePolicy, readTags } from '../../src/policy/tags.ts'
import { createMatcher } from '../../src/table/match.ts'
import { freezeDeep, instance, route, service, snapshot } from '../fixtures/tables.ts'

const base: Policy = freezeDeep({ ...emptyPolicy, routes: [route('/', 'root')], tagPrefix: 'urlprefix-' })

void t.test('tags that make a route', async (t) => {
  const cases: Readonly<Record<string, string>> = {
    'urlprefix-/': '/',
    'urlprefix-/cart': '/cart',
    'urlprefix-/cart/': '/cart',
    'urlprefix-shop.example.com/': 'shop.example.com/',
    'urlprefix-Shop.Example.COM/Cart': 'shop.example.com/Cart',
    'urlprefix-*.example.com/x': '*.example.com/x',
    'urlprefix-*/x': '/x',
    'urlprefix-localhost/': 'localhost/',
    'urlprefix-10.0.0.1/': '10.0.0.1/',
    'urlprefix-my_host/a//b': 'my_host/a/b',
    'urlprefix-/%63aff%c3%a9': '/caff%C3%A9',
    'urlprefix-/x proto=http': '/x',
    '  urlprefix-  /x \t proto=http  ': '/x',
  }
  for (const [tag, place] of Object.entries(cases)) {
    const slash = place.indexOf('/')
    const expected = { kind: 'route', host: place.slice(0, slash), path: place.slice(slash), options: {} }
    t.same(parseTag(tag, 'urlprefix-'), expected, tag)
  }
})

void t.test("fabio's options", async (t) => {
  const shaped = (parts: Partial<ShapingPolicy>) => ({
    shaping: {
      strip: undefined,
      prepend: undefined,
      host: undefined,
      request: noHeaderChanges,
      response: noHeaderChanges,
      ...parts,
    },
  })
  const cases: readonly (readonly [string, unknown])[] = [
    ['urlprefix-/x strip=/x', shaped({ strip: '/x' })],
    [
      'urlprefix-/x strip=/x/ prepend=/v2 host=dst',
      shaped({ strip: '/x', prepend: '/v2', host: { kind: 'instance' } }),
    ],
    ['urlprefix-/x host=Foo.com:81', shaped({ host: { kind: 'name', name: 'foo.com:81' } })],
    ['urlprefix-/x strip=/', {}],
    ['urlprefix-/x allow=ip:10.0.0.0/8,ip:fd00::/8', { access: { allow: ['10.0.0.0/8', 'fd00::/8'], deny: [] } }],
    ['urlprefix-/x deny=ip:1.2.3.4', { access: { allow: [], deny: ['1.2.3.4'] } }],
    ['urlprefix-/x redirect=302,https://y.com$path', { redirect: { status: 302, to: 'https://y.com/x$path' } }],
    ['urlprefix-/ redirect=301,https://$host/$path', { redirect: { status: 301, to: 'https://$host$path' } }],
    ['urlprefix-/x redirect=303,https://y.com/', { redirect: { status: 303, to: 'https://y.com/' } }],
  ]
  for (const [tag, options] of cases) t.match(parseTag(tag, 'urlprefix-'), { kind: 'route', options }, tag)
  const [first, second] = [
    instance('w', 'a', { tags: ['urlprefix-/x strip=/x'] }),
    instance('w', 'b', { tags: ['urlprefix-/x'] }),
  ]
  const { routes, problems } = readTags(freezeDeep(service('w', [first, second])), 'urlprefix-')
  t.equal(routes.length, 1)
  t.match(problems, [{ code: 'bad-tag', message: /another tag says otherwise of the same host and path/ }])
})

/** Each tag in fabio's documentation (quickstart, path stripping and prepending, redirects, access control, config language). */
void t.test("fabio's documented examples", async (t) => {
  const routes: Readonly<Record<string, unknown>> = {
    'urlprefix-/css': { host: '', path: '/css', options: {} },
    'urlprefix-i.com/static': { host: 'i.com', path: '/static', options: {} },
    'urlprefix-mysite.com/': { host: 'mysite.com', path: '/', options: {} },
    'urlprefix-mysite.com/foo': { host: 'mysite.com', path: '/foo', options: {} },
    'urlprefix-/foo/bar strip=/foo': { path: '/foo/bar', options: { shaping: { strip: '/foo', prepend: undefined } } },
    'urlprefix-/foo/bar proto=https': { path: '/foo/bar', options: { upstreamTls: true } },
    'urlprefix-/bar prepend=/foo': { path: '/bar', options: { shaping: { strip: undefined, prepend: '/foo' } } },
    'urlprefix-/bar prepend=/baz strip=/foo': {
      path: '/bar',
      options: { shaping: { strip: '/foo', prepend: '/baz' } },
    },
    'urlprefix-/x host=name': { options: { shaping: { host: { kind: 'name', name: 'name' } } } },
    'urlprefix-/x host=dst': { options: { shaping: { host: { kind: 'instance' } } } },
    'urlprefix-/path redirect=301,https://www.google.com/': {
      path: '/path',
      options: { redirect: { status: 301, to: 'https://www.google.com/' } },
    },
    'urlprefix-/path redirect=303,https://www.foo.com$path': {
      options: { redirect: { status: 303, to: 'https://www.foo.com/path$path' } },
    },
    'urlprefix-/x allow=ip:192.168.1.0/24,ip:fe80::/10': {
      options: { access: { allow: ['192.168.1.0/24', 'fe80::/10'], deny: [] } },
    },
    'urlprefix-/x deny=ip:10.0.0.0/8,ip:fe80::1234': {
      options: { access: { allow: [], deny: ['10.0.0.0/8', 'fe80::1234'] } },
    },
  }
  for (const [tag, expected] of Object.entries(routes))
    t.match(parseTag(tag, 'urlprefix-'), { kind: 'route', ...(expected as object) }, tag)
  const refused: Readonly<Record<string, RegExp>> = {
    // fabio's own parser refuses this one of its examples, too, and then lets everybody in but whom it had read so far.
    'urlprefix-/x deny=ip:fe80::1234,100.123.0.0/16': /^deny= takes ip:CIDR, not 100\.123\.0\.0\/16$/,
    'urlprefix-/foo/bar proto=https tlsskipverify=true': /is not supported/,
    'urlprefix-:3306 proto=tcp': /TCP port/,
    'urlprefix-:3306 proto=tcp pxyproto=true': /TCP port/,
    'urlprefix-/my.service/Method proto=grpc': /proto=grpc is not supported/,
    'urlprefix-/my.service proto=grpcs grpcservername=my.service': /proto=grpcs is not supported/,
    'urlprefix-/my.service proto=grpcs tlsskipverify=true': /is not supported/,
    'urlprefix-example.com:80/ redirect=301,https://example.com$path': /host with a port/,
    'urlprefix-/x register=name': /^register= is not supported/,
    'urlprefix-/x auth=name': /^auth= is not supported/,
    'urlprefix-/x allow=ip:10.0.0.0/8 constructor=1': /^the option constructor=1 is not supported$/,
    'urlprefix-/x redirect=301,https://a/ __proto__=1': /^the option __proto__=1 is not supported$/,
    'urlprefix-/x toString=1': /^the option tostring=1 is not supported$/,
    'urlprefix-/x hasOwnProperty=1': /^the option hasownproperty=1 is not supported$/,
    'urlprefix-/x weight=0': /^weight=0 is not supported: for fabio it is no weight at all/,
    'urlprefix-/x weight=-1': /^weight=-1 is not supported/,
  }
  for (const [tag, reason] of Object.entries(refused))
    t.match(parseTag(tag, 'urlprefix-'), { kind: 'bad', reason }, tag)
})

void t.test('tags that make none, each with its reason', async (t) => {
  const cases: readonly [string, RegExp, string?][] = [
    ['urlprefix-', /neither a host nor a path/],
    ['urlprefix-   ', /neither a host nor a path/],
    ['urlprefix-:1234', /TCP port/],
    ['urlprefix-:1234 proto=tcp', /TCP port/],
    ['urlprefix-10.0.0.1:1234 proto=tcp', /^TCP routes are not supported; only HTTP routes are$/],
    ['urlprefix-tcp.example.com:443 proto=tcp', /^TCP routes are not supported/],
    ['urlprefix-tcp.example.com proto=tcp+sni', /^TCP routes are not supported/],
    ['urlprefix-tcp.example.com:443', /^a host and a port without a path make a TCP route, which is not supported$/],
    ['urlprefix-shop.example.com', /for all of an HTTP host write urlprefix-shop\.example\.com\//],
    ['urlprefix-$DC.example.com/', /variables/],
    ['urlprefix-/${DC}/x', /variables/],
    ['urlprefix-shop.example.com:9999/', /host with a port/],
    ['urlprefix-:80/x', /TCP port/],
    ['urlprefix-{a,b}.example.com/', /neither a name/],
    ['urlprefix-shop.*/', /neither a name/],
    ['urlprefix-sh?p.com/', /neither a name/],
    ['urlprefix-.example.com/', /neither a name/],
    ['urlprefix-a..b/', /neither a name/],
    ['urlprefix-/a?b', /characters/],
    ['urlprefix-/a#b', /characters/],
    ['urlprefix-/a\\b', /characters/],
    ['urlprefix-/caffé', /characters/],
    ['urlprefix-/a/../b', /segment/],
    ['urlprefix-/a/.', /segment/],
    ['urlprefix-/a/%2e%2e/b', /segment/],
    ['urlprefix-/a%2', /two hex digits/],
    ['urlprefix-/x weight=half', /^weight=half is not supported: it is a part of the traffic, as 0\.05 is 5 %/, '/x'],
    ['urlprefix-Shop/x/ strip=x', /strip=x is no path/, 'shop/x'],
    ['urlprefix-/x strip=/a/../b', /is no path/, '/x'],
    ['urlprefix-/x host=a/b', /host=a\/b is no host/, '/x'],
    ['urlprefix-/x allow=10.0.0.0/8', /allow= takes ip:CIDR, not 10/, '/x'],
    ['urlprefix-/x allow=ip:10.0.0.0/8 deny=ip:10.0.0.1', /allow= and deny= on one route/, '/x'],
    ['urlprefix-/x redirect=300,https://x/', /with 301, 302, 303, 307 or 308/, '/x'],
    ['urlprefix-/x redirect=302,javascript:x', /has no URL/, '/x'],
    ['urlprefix-/x register=y', /^register= is not supported/, '/x'],
    ['urlprefix-/x auth=basic', /^auth= is not supported/, '/x'],
    ['urlprefix-/x strip', /options are written NAME=VALUE/, '/x'],
    ['urlprefix-/x proto=grpc', /proto=grpc is not supported/, '/x'],
    ['urlprefix-/x proto=https tlsskipverify=true', /tlsskipverify= is not supported: the configuration/, '/x'],
    ['urlprefix-/x proto=http nonsense', /the option nonsense is/, '/x'],
  ]
  for (const [tag, reason, place] of cases) {
    const parsed = parseTag(tag, 'urlprefix-')
    t.equal(parsed?.kind, 'bad', tag)
    if (parsed?.kind !== 'bad') continue
    t.match(parsed.reason, reason, tag)
    t.equal(parsed.place, place, tag)
  }
})

void t.test('other tags are none of ours', async (t) => {
  for (const tag of ['', 'web', 'urlprefix', 'x urlprefix-/', 'URLPREFIX-/'])
    t.equal(parseTag(tag, 'urlprefix-'), undefined)
})

void t.test('no tag throws, and each route that one makes can be reached', async () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.string({ unit: fc.constantFrom('a', '/', '.', '*', '-', ' ', ':', '%', '$', '=', 'é') }),
      ),
      (text) => {
        const parsed = parseTag(`urlprefix-${text}`, 'urlprefix-')
        if (parsed?.kind !== 'route') return parsed?.kind === 'bad' && parsed.reason !== ''
        const match = createMatcher([{ ...parsed, value: true }])
        return match(parsed.host.replace('*', 'x'), parsed.path) === true
      },
    ),
    { numRuns: 1_000 },
  )
})

void t.test('the tags of a service', async (t) => {
  const web = service('web', [
    instance('web', 'a', { tags: ['b', 'urlprefix-/x', 'urlprefix-/y strip=y'] }),
    instance('web', 'b', { tags: ['urlprefix-/x', 'urlprefix-/x/ proto=http'], status: 'critical' }),
    instance('web', 'c', { tags: ['urlprefix-h/', 'urlprefix-:1'], status: 'maintenance' }),
  ])
  const { routes, problems } = readTags(freezeDeep(web), 'urlprefix-')
  t.same(routes, [
    { origin: 'tag:web:urlprefix-/x', host: '', path: '/x', service: 'web' },
    { origin: 'tag:web:urlprefix-h/', host: 'h', path: '/', service: 'web' },
  ])
  t.same(
    problems.map(({ code, where }) => `${code} ${where}`),
    ['bad-tag tag:web:urlprefix-/y', 'bad-tag tag:web:urlprefix-:1'],
  )
  t.match(problems[0]?.message, /service web makes no route/)
  t.equal(readTags(web, 'urlprefix-'), readTags(web, 'urlprefix-'), 'read once')
  t.same(readTags(web, 'other-').routes, [], 'another prefix is another reading')
})

void t.test('the policy comes first, then services by name', async (t) => {
  const tag = (name: string, ...tags: string[]) => service(name, [instance(name, 'a', { tags })])
  const merged = mergePolicy(base, snapshot(tag('z', 'urlprefix-/'), tag('b', 'urlprefix-/b'), tag('none', 'x')))
  t.same(
    merged.routes.map(({ origin }) => origin),
    ['config:/', 'tag:b:urlprefix-/b', 'tag:z:urlprefix-/'],
  )
  t.equal(merged.defaults, base.defaults)
})

void t.test('merging is the same object while it says the same', async (t) => {
  const web = (tags: readonly string[], status: 'passing' | 'critical' = 'passing') =>
    service('web', [instance('web', 'a', { tags, status })])
  const first = mergePolicy(base, snapshot(web(['urlprefix-/x'])))
  t.equal(mergePolicy(base, snapshot(web(['urlprefix-/x'], 'critical'))), first, 'health is not a route')
  t.equal(mergePolicy(base, snapshot(web(['urlprefix-/x', 'v']), service('new', []))), first, 'nor is another tag')
  const second = mergePolicy(base, snapshot(web(['urlprefix-/y'])))
  t.same(second.routes[1]?.path, '/y')
  t.same(mergePolicy(base, snapshot()).routes, base.routes)
  t.same(mergePolicy(base, snapshot(web(['urlprefix-/x']))).routes, first.routes, 'and back')

  const off = { ...base, tagPrefix: undefined }
  t.equal(mergePolicy(off, snapshot(web(['urlprefix-/x']))), off)
})
