import t from 'tap'
import { formatConfigError } from '../../src/config/config-error.ts'
import { load } from '../../src/config/load.ts'
import { defaultWireLimits } from '../../src/wire/limits.ts'

/** Errors as `line:column path message`. */
function errorsOf(text: string, env: Readonly<Record<string, string>> = {}): readonly string[] {
  return (load(text, env, 'f.yaml').errors ?? []).map((error) =>
    formatConfigError(error).replace(/^f\.yaml:(\d+:\d+):/, '$1'),
  )
}

function configOf(text: string, env: Readonly<Record<string, string>> = {}, file = 'f.yaml') {
  const { config, errors } = load(text, env, file)
  if (!config) throw new Error(errors.map(formatConfigError).join('\n'))
  return config
}

/** What a route says that says nothing but where it leads. */
const plain = { redirect: undefined, traffic: {}, shaping: undefined, access: undefined }

void t.test('no configuration at all', (t) => {
  const config = configOf('')
  t.match(config, {
    listen: [{ name: '0.0.0.0:8080', host: '0.0.0.0', port: 8080, trust: [] }],
    status: { kind: 'tcp', host: '0.0.0.0', port: 8081 },
    admin: { kind: 'tcp', host: '127.0.0.1', port: 8082 },
    catalog: [{ kind: 'consul', name: 'consul', address: 'http://127.0.0.1:8500', stale: true, waitMs: 60_000 }],
    tagPrefix: 'urlprefix-',
    shutdown: { lameDuckMs: 2_000, deadlineMs: 8_000 },
    log: { level: 'info', access: 'all' },
  })
  t.same(config.limits, defaultWireLimits)
  t.end()
})

void t.test('a whole configuration', (t) => {
  const config = configOf(
    `
listen: [{ address: "[::1]:80", name: a, trust: [10.0.0.0/8, "fd00::1"] }]
status: { address: unix:/run/s.sock }
admin: { address: off }
zone: "\${ZONE:-}"
catalog:
  - consul: { address: consul.example.com:8500, tokenFile: secrets/token, tls: { ca: /etc/ca.pem } }
  - file: services.json
  - embedded: { address: 127.0.0.1:0 }
  - file: { path: more.json, name: more }
register: { tags: [edge], meta: { a: b } }
routes:
  - { host: "*.Example.COM", path: /cart/, service: shop }
  - { service: other }
services:
  shop:
    versions: { 9.10: 90, 1.0: 0.5, "*": 0 }
    balance: round-robin
    timeouts: { firstByte: 1m30s }
    retry: { attempts: 1, budget: 5%, body: 0 }
defaults: { timeouts: { connect: 250ms } }
stateDir: state
limits: { body: 10MB, connectionsPerClient: 100, upstreamIdleTimeout: 2s }
errorPages: { 503: error.html }
`,
    { ZONE: 'eu-1' },
    '/etc/fairlead/f.yaml',
  )
  t.same(config.listen, [{ name: 'a', host: '::1', port: 80, trust: ['10.0.0.0/8', 'fd00::1/128'] }])
  t.same(config.status, { kind: 'unix', path: '/run/s.sock' })
  t.equal(config.admin, undefined)
  t.equal(config.zone, 'eu-1')
  t.match(config.catalog, [
    {
      kind: 'consul',
      name: 'consul',
      address: 'http://consul.example.com:8500',
      tokenFile: '/etc/fairlead/secrets/token',
    },
    { kind: 'file', name: 'file', path: '/etc/fairlead/services.json' },
    { kind: 'embedded', name: 'embedded', stateDir: '/etc/fairlead/state' },
    { kind: 'file', name: 'more', path: '/etc/fairlead/more.json' },
  ])
  t.match(config.register, { source: 'consul', service: 'fairlead', port: 80, tags: ['edge'], ttlMs: 15_000 })
  t.same(config.routes, [
    { host: '*.example.com', path: '/cart', service: 'shop', ...plain },
    { host: '', path: '/', service: 'other', ...plain },
  ])
  t.equal(config.tagPrefix, undefined, 'whoever writes routes gets none from tags unasked')
  const shop = config.services.get('shop')
  t.same(
    [...(shop?.versions ?? [])],
    [
      ['9.10', 90],
      ['1.0', 0.5],
      ['*', 0],
    ],
  )
  t.match(shop, {
    balance: 'round-robin',
    timeouts: { firstByte: 90_000 },
    retry: { attempts: 1, budget: 0.05, body: 0 },
  })
  t.equal(config.limits.bodyBytes, 10_000_000)
  t.equal(config.limits.connectionsPerClient, 100)
  t.equal(config.limits.upstreamIdleTimeoutMs, 2_000)
  t.equal(config.limits.headBytes, defaultWireLimits.headBytes)
  t.same([...config.errorPages], [[503, '/etc/fairlead/error.html']])
  t.end()
})

void t.test('the environment speaks for what the file leaves out', (t) => {
  const env = { CONSUL_HTTP_ADDR: 'consul:8501', CONSUL_HTTP_SSL: 'true', CONSUL_HTTP_TOKEN: 'secret' }
  t.match(configOf('', env).catalog, [{ address: 'https://consul:8501', token: 'secret' }])
  t.match(configOf('catalog: { consul: { address: "http://a:1" } }', env).catalog, [
    { address: 'http://a:1', token: 'secret' },
  ])
  const two = configOf('catalog: [{ consul: { address: "http://a:1" } }, { consul: { name: b } }]', env).catalog
  t.match(two, [{ address: 'http://a:1' }, { name: 'b', token: 'secret' }])
  t.notOk(two[0]?.kind === 'consul' && two[0].token, 'a token is sent to no other cluster')
  t.match(load('', { CONSUL_HTTP_ADDR: 'ftp://x' }, 'f').errors, [{ file: 'environment', path: 'CONSUL_HTTP_ADDR' }])
  t.end()
})

void t.test('all mistakes at once, each with its place', (t) => {
  t.same(
    errorsOf(`listen:
  - adress: 0.0.0.0:8080
    trust: [10.0.2.555/8]
routes:
  - path: /a/../b
services:
  shop:
    versions: { 9.7.0: -1, 9.8.0: x }
    retry: { attempts: 99, budget: 0.2 }
    timeouts: { connect: 10, idle: "\${NOPE}" }
log: { level: warning }
errorPages: { 200: a, 404: }
`),
    [
      '2:5 listen[0].adress: there is no setting "adress"; did you mean "address"?',
      '3:13 listen[0].trust[0]: expected a range of IP addresses such as 10.0.0.0/8 or fd00::/8; found "10.0.2.555/8": 10.0.2.555 is no IP address',
      '5:11 routes[0].path: expected a path such as /cart; found "/a/../b": no request gets through with such a path',
      '8:24 services.shop.versions["9.7.0"]: expected a weight, a number of 0 to 1000000; found "-1": a weight is not negative',
      '8:35 services.shop.versions["9.8.0"]: expected a weight, a number of 0 to 1000000; found "x"',
      '9:24 services.shop.retry.attempts: expected a whole number, 1 to 10; found "99": the most is 10',
      '9:36 services.shop.retry.budget: expected a share such as 20%, 0% to 100%; found "0.2": a share is written with %',
      '10:26 services.shop.timeouts.connect: expected a duration such as 500ms, 2s or 1m30s, 10ms to 1m; found "10": a number needs a unit: ms, s, m, h or d',
      '10:36 services.shop.timeouts.idle: the environment has no NOPE; ${NOPE:-default} would give it one',
      '11:15 log.level: expected debug, info, warn or error; found "warning"',
      '12:15 errorPages.200: expected a status code of 400 to 599; found "200"',
      '12:23 errorPages.404: expected the path of a file; found nothing',
    ],
  )
  t.same(errorsOf('services: { shop: { retry: { attemps: 3 } } }'), [
    '1:30 services.shop.retry.attemps: there is no setting "attemps"; did you mean "attempts"?',
  ])
  t.same(errorsOf('- a\n'), [
    '1:1 expected a mapping with listen, status, admin, zone, catalog, register, ...; found a list',
  ])
  t.match(errorsOf('routes: [{ service: "${NOPE}", redirect: /x }]'), [
    /^1:21 routes\[0\]\.service: the environment has no NOPE/,
  ])
  t.match(errorsOf('log: info'), [/^1:6 log: expected a mapping with level, access; found "info"$/])
  t.match(errorsOf('catalog: { consul: { tls: { verify: yes } } }'), [/expected true or false; found "yes"$/])
  t.end()
})

void t.test('what this version does not have is refused by name', (t) => {
  const refused = [
    ['tls: { cert: x }', 'tls'],
    ['http2: true', 'http2'],
    ['listen: [{ address: "a:1", tls: {} }]', 'listen[0].tls'],
    ['routes: [{ service: a, header: { x: y } }]', 'routes[0].header'],
    ['services: { a: { ejection: {} } }', 'services.a.ejection'],
    ['services: { a: { outlierDetection: {} } }', 'services.a.outlierDetection'],
    ['services: { a: { protocol: h2 } }', 'services.a.protocol'],
    ['defaults: { ejection: {} }', 'defaults.ejection'],
  ] as const
  for (const [text, path] of refused)
    t.match(load(text, {}, 'f').errors, [{ path, message: /is not available in this version$/ }], text)
  t.end()
})

void t.test('rules, stickiness and what a route changes: each mistake with what is expected', (t) => {
  const route = (text: string): string => `routes: [{ service: a, ${text} }]`
  const rule = (text: string): string => `services: { a: { rules: [{ ${text} }] } }`
  const cases: Readonly<Record<string, RegExp>> = {
    'routes: [{ path: /a }]':
      /^1:10 routes\[0\]: expected a service, or a redirect; found a mapping: neither stands here$/,
    'routes: [{ path: /a, split: [{ service: a, weight: 1 }] }]':
      /found a mapping: beside split a route needs service: the one whose settings hold/,
    [route('redirect: /x')]: /both stand here/,
    [route('redirect: { to: x.test }')]: /redirect\.to: .*it begins with \/ or with http:/,
    [route('redirect: { to: /x$pth }')]: /only \$path and \$host are replaced/,
    [route('redirect: { to: /x, status: 200 }')]: /redirect\.status: expected 301, 302, 303, 307 or 308/,
    [route('strip: api')]: /strip: expected a path such as .*it begins with \//,
    [route('strip: /')]: /it changes nothing/,
    [route('hostHeader: "*.x"')]: /hostHeader: expected client, instance or a host/,
    [route('allow: [10.0.0.0/33]')]: /allow\[0\]: .*the prefix is 0 to 32/,
    [route('headers: { request: { set: { Content-Length: 1 } } }')]: /Content-Length is Fairlead's own to write/,
    [route('headers: { request: { remove: [Sec-WebSocket-Key] } }')]: /sec-websocket-key is Fairlead's own to write/,
    [route('headers: { request: { set: { X-A: 1, x-a: 2 } } }')]: /x-a stands there twice, in other letters/,
    [route('headers: { request: { remove: [Host] } }')]: /host is Fairlead's own to write/,
    [route('headers: { response: { add: { "a b": 1 } } }')]: /expected the name of a header that may be changed/,
    [route('headers: { response: { add: { a: "x\\ny" } } }')]: /expected a header value/,
    [rule('version: 1')]:
      /rules\[0\]\.when: expected a mapping with header, cookie, query, method, path, client; found nothing/,
    [rule('when: {}, version: 1')]: /none of them stands here/,
    [rule('when: { header: { x: y } }')]: /expected one of version, service, redirect and answer; .*none of them/,
    [rule('when: { header: { x: y } }, version: 1, service: b')]: /version and service stand here together/,
    [rule('when: { header: { x: { regex: y } } }, version: 1')]:
      /there is no setting "regex"; the keys here are equals, prefix/,
    [rule('when: { header: { x: { equals: a, prefix: b } } }, version: 1')]: /equals and prefix stand here together/,
    [rule('when: { cookie: { x: { oneOf: [] } } }, version: 1')]: /oneOf is empty/,
    [rule('when: { client: 10.0.0 }, version: 1')]: /10\.0\.0 is no IP address/,
    [rule('when: { client: [] }, version: 1')]: /an empty list of ranges matches nobody/,
    [rule('when: { method: post }, version: 1')]:
      /rules\[0\]\.when\.method: expected a method such as GET; found "post": case matters .*; did you mean "POST"\?/,
    [rule('when: { method: { not: { oneOf: [GET, Head] } } }, version: 1')]:
      /rules\[0\]\.when\.method\.not\.oneOf\[1\]: .*found "Head".* did you mean "HEAD"\?/,
    [rule('when: { method: { prefix: prop } }, version: 1')]: /when\.method\.prefix: .*did you mean "PROP"\?/,
    [rule('when: { method: { glob: "*ock" } }, version: 1')]: /when\.method\.glob: .*did you mean "\*OCK"\?/,
    [rule('when: { method: "GET, POST" }, version: 1')]: /when\.method: .*several are a list in oneOf/,
    [rule('when: { method: "" }, version: 1')]: /when\.method: .*a method is one word/,
    [rule('when: { path: cart }, version: 1')]: /when\.path: expected a path such as \/cart; .*it begins with \//,
    [rule('when: { path: { oneOf: [/a, "/b?c=1"] } }, version: 1')]:
      /when\.path\.oneOf\[1\]: .*query asks for parameters/,
    [rule('when: { path: { glob: "/caf\u00e9/*" } }, version: 1')]: /when\.path\.glob: .*as %XX/,
    [rule('when: { header: { Host: a.test } }, version: 1')]: /when\.header\.Host: .*host of a route asks for it/,
    [rule('when: { header: { X-Forwarded-For: 10.0.0.1 } }, version: 1')]: /the client address is, as `trust` lets it/,
    [rule('when: { header: { content-length: { present: true } } }, version: 1')]:
      /of one connection, or Fairlead's own/,
    [rule('when: { header: { x: { not: { present: false } } } }, version: 1')]: /under not is present: true/,
    'services: { a: { sticky: { header: X-Real-IP } } }':
      /sticky\.header: .*it is not seen here; the client address is/,
    [rule('when: { method: POST }, answer: { status: 204, body: x }')]: /204 has no body/,
    'services: { a: { sticky: { cookie: x, header: y } } }': /cookie and header stand here together/,
    'services: { a: { sticky: { header: y, maxAge: 1d } } }': /maxAge belongs to a cookie/,
    'services: { a: { sticky: { cookie: "a b" } } }': /expected the name of a cookie/,
    'services: { a: { sticky: on } }': /sticky: expected a mapping with cookie, header, ip, maxAge; found "on"/,
    'services: { a: { fallback: never } }': /expected others or none/,
    'services: { a: { mirror: { share: 10% } } }': /mirror\.version: /,
    'services: { a: { mirror: 9.8.0 } }':
      /mirror: expected a mapping with version, share, timeout, concurrency; found "9\.8\.0"/,
    'routes: [{ service: a, mirror: { version: 1, share: 0% } }]': /routes\[0\]\.mirror: .*write mirror: off/,
    'defaults: { mirror: { version: 1, share: 0.1 } }': /a share is written with %/,
    'defaults: { mirror: { version: 1, share: 110% } }': /share/,
    'defaults: { mirror: { version: 1, timeout: 1ms } }': /timeout/,
    'defaults: { mirror: { version: 1, concurrency: 0 } }': /concurrency/,
    'policy: { kv: "a b" }': /policy\.kv: expected a prefix of keys/,
  }
  for (const [text, message] of Object.entries(cases)) t.match(errorsOf(text), [message], text)
  t.end()
})

void t.test(
  'a method in other letters is told with what was meant; what somebody made up, and what can match, stays',
  (t) => {
    const [error] =
      load('services: { a: { rules: [{ when: { method: post }, version: 1 }] } }', {}, 'f.yaml').errors ?? []
    t.match(error, {
      path: 'services.a.rules[0].when.method',
      line: 1,
      column: 44,
      found: '"post"',
      suggestion: 'POST',
    })
    const texts = [
      'POST',
      'M-SEARCH',
      'flush',
      '{ prefix: P }',
      '{ glob: "*" }',
      '{ glob: "P*T" }',
      '{ present: true }',
    ]
    for (const text of texts)
      t.ok(configOf(`services: { a: { rules: [{ when: { method: ${text} }, version: 1 }] } }`), text)
    for (const text of ['/', '{ glob: "*.png" }', '{ prefix: /a/. }', '/caf%C3%A9'])
      t.ok(configOf(`services: { a: { rules: [{ when: { path: ${text} }, version: 1 }] } }`), text)
    for (const name of ['X-A', 'via', 'Date', 'x-original-url', 'authorization', 'Cookie'])
      t.ok(configOf(`services: { a: { rules: [{ when: { header: { ${name}: b } }, version: 1 }] } }`), name)
    t.end()
  },
)

void t.test('rules and routes as the program uses them', (t) => {
  const { services, routes } = configOf(`
routes:
  - service: a
    strip: /api
    hostHeader: App.Internal:81
    sticky: off
    headers: { request: { set: { X-A: b }, remove: [X-C] } }
    deny: [10.0.0.1]
services:
  a:
    sticky: { cookie: sid, maxAge: 1h }
    rules:
      - when: { header: { X-A: b, c: { present: false } }, client: 10.0.0.0/8 }
        answer: { status: 403 }
      - when: { method: { not: { oneOf: [GET, HEAD] } } }
        version: 9.10
`)
  t.same(services.get('a')?.sticky, { from: 'cookie', name: 'sid', maxAgeSeconds: 3_600 })
  t.same(services.get('a')?.rules, [
    {
      when: [
        { subject: 'header', name: 'x-a', match: { kind: 'equals', value: 'b' } },
        { subject: 'header', name: 'c', match: { kind: 'not', match: { kind: 'present' } } },
        { subject: 'client', ranges: ['10.0.0.0/8'], within: true },
      ],
      action: { kind: 'answer', answer: { status: 403, body: '', contentType: 'text/plain; charset=utf-8' } },
    },
    {
      when: [{ subject: 'method', match: { kind: 'not', match: { kind: 'oneOf', values: ['GET', 'HEAD'] } } }],
      action: { kind: 'version', version: '9.10' },
    },
  ])
  t.match(routes[0], {
    traffic: { sticky: 'off' },
    shaping: {
      strip: '/api',
      prepend: undefined,
      host: { kind: 'name', name: 'app.internal:81' },
      request: { remove: ['x-c'], set: new Map([['X-A', 'b']]) },
    },
    access: { allow: [], deny: ['10.0.0.1/32'] },
  })
  t.end()
})

void t.test('what is mirrored, and where it is not', (t) => {
  const { services, routes, defaults } = configOf(`
routes:
  - { service: a, path: /x, mirror: { version: 9.10, timeout: 2s, concurrency: 3 } }
  - { service: a, mirror: off }
services: { a: { mirror: { version: 9.8.0, share: 10% } } }
`)
  t.same(services.get('a')?.mirror, { version: '9.8.0', share: 0.1, timeoutMs: 10_000, concurrency: 64 })
  t.match(routes[0], { traffic: { mirror: { version: '9.10', share: 1, timeoutMs: 2_000, concurrency: 3 } } })
  t.match(routes[1], { traffic: { mirror: 'off' } })
  t.equal(defaults.mirror, undefined)
  t.end()
})

void t.test('what looks like a switch is no beginning of tags', (t) => {
  for (const word of ['true', 'on', 'yes', 'off', 'no', 'True', 'null'])
    t.match(
      errorsOf(`policy: { tags: ${word} }`),
      [new RegExp(`^1:17 policy\\.tags: .*found "${word}": write false, or a prefix such as urlprefix-$`)],
      word,
    )
  t.equal(configOf('policy: { tags: false }').tagPrefix, undefined)
  t.equal(configOf('policy: { tags: true- }').tagPrefix, 'true-')
  t.end()
})

void t.test('who may claim which hosts by tags', (t) => {
  t.equal(configOf('').claims, undefined)
  t.same(configOf('policy: { claims: [{ service: shop-*, hosts: [Shop.Example.com, "*.x.test", "*"] }] }').claims, [
    { service: 'shop-*', hosts: ['shop.example.com', '*.x.test', '*'] },
  ])
  const cases: Readonly<Record<string, RegExp>> = {
    'policy: { claims: { shop: [a.test] } }': /^1:19 policy\.claims: expected a list of claims; found a mapping$/,
    'policy: { claims: [{ hosts: [a.test] }] }':
      /claims\[0\]\.service: expected the name of a service, or a pattern such as shop-\*; found nothing$/,
    'policy: { claims: [{ service: shop }] }': /claims\[0\]\.hosts: expected a list of hosts; found nothing$/,
    'policy: { claims: [{ service: shop, hosts: [a.*.test] }] }': /hosts\[0\]: .*a \* stands only for the whole first/,
    'policy: { claims: [{ service: shop, hosts: [a.test/x] }] }': /hosts\[0\]: .*the path belongs into path/,
    'policy: { claims: [{ service: shop, host: a.test }] }':
      /host: there is no setting "host"; did you mean "hosts"\?$/,
  }
  for (const [text, message] of Object.entries(cases)) t.match(errorsOf(text), [message], text)
  t.end()
})

void t.test('where instances may be', (t) => {
  t.equal(configOf('').addresses, undefined)
  t.same(configOf('policy: { addresses: [10.0.0.0/8, fd00::1] }').addresses, ['10.0.0.0/8', 'fd00::1/128'])
  t.match(errorsOf('policy: { addresses: [web.internal] }'), [/^1:23 policy\.addresses\[0\]: .*is no IP address/])
  t.end()
})

void t.test('addresses, hosts and paths', (t) => {
  const bad: Readonly<Record<string, RegExp>> = {
    'listen: [{ address: "8080" }]': /write 0\.0\.0\.0:8080/,
    'listen: [{ address: ":8080" }]': /write 0\.0\.0\.0:8080 or \[::\]:8080/,
    'listen: [{ address: "::1" }]': /\[::1\]:8080/,
    'listen: [{ address: "10.0.2.555:80" }]': /no IP address and no host name/,
    'listen: [{ address: "a:70000" }]': /a port is 0 to 65535/,
    'listen: [{ address: "a b:80" }]': /no host name/,
    'listen: [{ address: "a:80", trust: [10.0.0.0/33] }]': /prefix is 0 to 32/,
    'admin: { address: "unix:relative" }': /absolute path/,
    'catalog: { consul: { address: "http://u:p@h:1" } }': /credentials do not belong/,
    'catalog: { consul: { address: "ftp://h" } }': /only http, https and unix/,
    'routes: [{ service: a, host: "*" }]': /leave host out/,
    'routes: [{ service: a, host: "a.*.b" }]': /whole first label/,
    'routes: [{ service: a, host: "a.b:80" }]': /ports play no part/,
    'routes: [{ service: a, host: "http://a" }]': /only the host/,
    'routes: [{ service: a, host: "bücher.de" }]': /xn--bcher-kva\.de/,
    'routes: [{ service: a, host: "10.0.0.256" }]': /expected a host/,
    'routes: [{ service: a, path: cart }]': /begins with \//,
    'routes: [{ service: a, path: /a?b }]': /query/,
    'routes: [{ service: a, path: /a/* }]': /without \*/,
    'routes: [{ service: a, path: //a }]': /write it as requests are compared: \/a$/,
    'routes: [{ service: a, path: /%7ea }]': /write it as requests are compared: \/~a$/,
    'routes: [{ service: a, path: /a%2e%2e }]': /write it as requests are compared/,
    'routes: [{ service: a, path: /a/%2e%2e }]': /no request gets through/,
    'routes: [{ service: "" }]': /it is empty/,
  }
  for (const [text, message] of Object.entries(bad)) t.match(errorsOf(text), [message], text)
  for (const address of ['0.0.0.0:1', '[::]:0', 'localhost:80', 'my_host-1.lan:8080'])
    t.same(errorsOf(`listen: [{ address: "${address}" }]`), [], address)
  t.end()
})

void t.test('long lines and many mistakes take no long time', (t) => {
  const started = performance.now()
  for (const text of [`${'a'.repeat(200_000)}: "`, `zone: ${'//a'.repeat(60_000)}`, `a: [${'x: y, '.repeat(10_000)}`])
    t.ok(load(text, {}, 'f').errors?.every(({ excerpt, message }) => excerpt.length <= 160 && message.length < 300))
  const many = Array.from({ length: 5_000 }, (_, n) => `k${String(n)}: 1`).join('\n')
  t.equal(load(many, {}, 'f').errors?.length, 5_000)
  t.ok(performance.now() - started < 15_000)
  t.end()
})

void t.test('no secret is ever shown', (t) => {
  const texts = [
    'catalog: { consul: { token: "hunter2 x" } }',
    'catalog: { consul: { token: "hunter2", stale: maybe } }',
    'catalog: { consul: { tokn: hunter2 } }',
    'catalog: { consul: { "token": "hunter2", : } }',
    'catalog:\n  consul:\n    token: hunter2: x\n',
    'catalog:\n  consul:\n    token: >\n      hunter2 hunter2\n',
    'catalog:\n  consul:\n    token:\n      hunter2 : {[\n',
    'catalog: { consul: { token: hunter2 } }\n x: "hunter3',
    'catalog: { consul: { token: "${CONSUL_TOKEN} x" } }',
    'catalog: { consul: { address: "http://user:hunter2@consul:8500" } }',
    'log: { level: "${CONSUL_TOKEN}" }',
    'token: |hunter2\n',
    'token: ]hunter2\n',
    'token: !hunter2 x\n',
    'token: !e!hunter2 x\n',
    'token: |9x hunter2\n a\n',
    'token: *hunter2\n',
    'token: &a &b hunter2\n',
    'token: "\\hunter2"\n',
    'token: "a\nhunter2\n',
    'catalog:\n  consul:\n    token: >\n      hunter2\n      hunter2 x\n     y\n    : {\n',
  ]
  for (const text of texts) {
    const { errors, warnings } = load(text, { CONSUL_TOKEN: 'hunter2' }, 'f.yaml')
    t.ok(errors && errors.length > 0, text)
    t.notMatch(JSON.stringify([errors, warnings]), /hunter2/, text)
  }
  t.end()
})
