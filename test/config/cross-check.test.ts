import t from 'tap'
import { formatConfigError } from '../../src/config/config-error.ts'
import { load } from '../../src/config/load.ts'

function found(text: string): { readonly errors: readonly string[]; readonly warnings: readonly string[] } {
  const { errors, warnings } = load(text, {}, 'f')
  return { errors: (errors ?? []).map(formatConfigError), warnings: warnings.map(formatConfigError) }
}

void t.test('errors between settings', (t) => {
  const cases: Readonly<Record<string, RegExp>> = {
    'listen: [{ address: 0.0.0.0:80 }, { address: 127.0.0.1:80 }]':
      /^f:1:46: listen\[1\]\.address: 127\.0\.0\.1:80 is already taken by listen\[0\]\.address$/,
    'listen: [{ address: "[::]:80" }, { address: 10.0.0.1:80 }]': /already taken/,
    'listen: [{ address: 10.0.0.1:8081 }]': /status\.address: 0\.0\.0\.0:8081 is already taken by listen/,
    'status: { address: 0.0.0.0:8080 }': /already taken by listen$/,
    'admin: { address: 127.0.0.1:8081 }': /admin\.address: 127\.0\.0\.1:8081 is already taken by status\.address/,
    'status: { address: unix:/a }\nadmin: { address: unix:/a }': /unix:\/a is already taken/,
    'catalog: { embedded: { address: 127.0.0.1:8082 } }': /catalog\.embedded\.address: .* already taken by admin/,
    'listen: [{ address: a:1, name: x }, { address: a:2, name: x }]':
      /listen\[1\]\.name: listen\[0\] has this name already/,
    'admin: { address: 0.0.0.0:8082 }': /admin\.address: anything but a loopback address or unix:\/path needs tokens$/,
    'admin: { address: 0.0.0.0:8082, tokens: [] }': /admin\.address: anything but a loopback address/,
    'admin: { tokens: [{ name: a, file: b }, { name: a, file: c }] }':
      /admin\.tokens\[1\]\.name: tokens\[0\] has this name already$/,
    'admin: { tokens: [{ name: local, file: b }] }': /name: .*that is what those without a token are called/,
    'admin: { tokens: [{ name: "a b", file: b }] }': /name: .*expected a name of letters/,
    'admin: { tokens: [{ name: a, file: b, role: write }] }': /role: .*operate or read/,
    'admin: { tokens: [{ name: a }] }': /file/,
    'catalog: { consul: {}, file: x }': /catalog: one source is consul, file or embedded; here stands consul and file/,
    'catalog: [{}]': /catalog\[0\]: .* here stands none/,
    'catalog: [{ file: a }, { file: { path: b, name: file } }]': /is called "file" already/,
    'catalog: { consul: { token: a, tokenFile: b } }': /catalog\.consul\.tokenFile: there is a token already/,
    'catalog: { consul: { tls: { cert: a } } }': /catalog\.consul\.tls: .* key is missing/,
    'services: { a: { tls: { cert: x } } }': /services\.a\.tls: .* key is missing/,
    'defaults: { tls: { key: x } }': /defaults\.tls: .* cert is missing/,
    'catalog: { file: a }\nregister: {}': /register: there is no consul or embedded source/,
    'catalog: [{ consul: { name: main } }]\nregister: { source: mian }': /register\.source: .* did you mean "main"/,
    'services: { a: { versions: { 1: 0, 2: 0.0 } } }': /services\.a\.versions: every weight is zero/,
    'defaults: { versions: {} }': /defaults\.versions: every weight is zero/,
  }
  for (const [text, message] of Object.entries(cases)) t.match(found(text).errors, [message], text)
  t.end()
})

void t.test('what is no conflict', (t) => {
  for (const text of [
    'listen: [{ address: 0.0.0.0:0 }, { address: 0.0.0.0:0, name: b }]',
    'listen: [{ address: 10.0.0.1:80 }, { address: 10.0.0.2:80 }]',
    'listen: [{ address: 0.0.0.0:80 }, { address: "[::1]:80" }]',
    'admin: { address: localhost:8082 }',
    'admin: { address: 0.0.0.0:8082, tokens: [{ name: alice, file: a, role: operate }] }',
    'admin: { address: 127.8.8.8:8082 }',
    'status: { address: off }\nadmin: { address: off }',
    'listen: []',
    'services:\ndefaults:\nroutes:\ncatalog:\n',
    'services: { a: { versions: { 1: 0, 2: 1 } } }',
  ])
    t.same(found(text).errors, [], text)
  t.end()
})

void t.test('lists that allow', (t) => {
  const one = '{ service: a, hosts: [a.test] }'
  const cases: Readonly<Record<string, RegExp>> = {
    'policy: { addresses: [] }': /policy\.addresses: an empty list would refuse every instance; leave it out for all$/,
    'policy: { claims: [] }':
      /policy\.claims: an empty list would refuse every tag; leave it out for all, or write tags: /,
    [`policy: { claims: [${one}, { service: b, hosts: [] }] }`]:
      /policy\.claims\[1\]\.hosts: an empty list allows no host$/,
  }
  for (const [text, message] of Object.entries(cases)) t.match(found(text).errors, [message], text)
  const routed = `routes: [{ service: a }]\npolicy: { claims: [${one}]`
  t.match(found(`${routed} }`), {
    errors: [],
    warnings: [/policy\.claims: it has no effect: with routes configured tags make none; policy\.tags would change/],
  })
  t.match(found(`policy: { tags: false, claims: [${one}] }`).warnings, [/it has no effect: tags: false$/])
  t.same(found(`${routed}, tags: urlprefix- }`).warnings, [])
  t.same(found(`policy: { claims: [${one}] }`).warnings, [])
  t.end()
})

void t.test('health', (t) => {
  t.match(found('services: { a: { health: { http: /x, tcp: true } } }').errors, [
    /^f:1:\d+: services\.a\.health\.tcp: http is probed already/,
  ])
  t.same(found('services: { a: { health: { http: /x, tcp: false } } }').errors, [])
  t.match(found('defaults: { health: { baseEjection: 5m, maxEjection: 1s } }').errors, [/baseEjection: it is longer/])
  t.match(found('defaults: { health: { interval: 200ms, timeout: 5s } }'), {
    errors: [],
    warnings: [/timeout: it is longer/],
  })
  t.match(found('defaults: { health: { mode: off, http: /x } }'), { errors: [], warnings: [/off: nothing is probed/] })
  for (const [text, message] of [
    ['http: healthz', /it must start with \//],
    ['http: "/a b"', /expected a path such as \/healthz/],
    ['http: "/a\\r\\nX: y"', /expected a path/],
    ['identity: "a b"', /expected the name of a header/],
    ['mode: on', /act.*observe.*off/],
    ['panicThreshold: 0.5', /a share is written with %/],
    ['intervall: 1s', /did you mean "interval"/],
    ['interval: 1', /a number needs a unit/],
  ] as const)
    t.match(found(`defaults: { health: { ${text} } }`).errors, [message], text)
  t.end()
})

void t.test('warnings', (t) => {
  const cases: Readonly<Record<string, RegExp>> = {
    'routes: [{ service: a, path: /x }, { service: b, path: /x/ }]':
      /^f:1:36: routes\[1\]: routes\[0\] has the same host and path and wins/,
    'routes: [{ service: a, host: A.b }, { service: b, host: a.b }]': /routes\[1\]: routes\[0\] has the same/,
    'routes: [{ service: shop }]\nservices: { shp: {} }':
      /^f:2:13: services\.shp: no route leads to this service; did you mean "shop"\?$/,
    'listen: []': /^f:1:1: listen: an empty list: no client is served/,
    'catalog: []': /^f:1:1: catalog: an empty list means .* Consul, as the environment says$/,
    'catalog: { embedded: { address: 0.0.0.0:8500 } }': /whoever reaches this address/,
    'catalog: { consul: { address: "http://a:1", tls: { ca: x } } }': /tls: it has no effect/,
    'defaults: { health: { identity: x-id } }': /defaults\.health\.identity: without http it is asked only/,
    'defaults: { versions: { 1: 5 }, mirror: { version: 1 } }':
      /^f:1:52: defaults\.mirror\.version: every request that no rule sends elsewhere goes to this version already/,
    'routes: [{ service: a, versions: { 1: 5 }, mirror: { version: 1 } }]': /routes\[0\]\.mirror\.version: every/,
  }
  for (const [text, message] of Object.entries(cases)) t.match(found(text), { errors: [], warnings: [message] }, text)
  t.same(found('services: { shop: {} }').warnings, [], 'tags may route it')
  for (const versions of ['{ 1: 5, 2: 1 }', '{ 1: 5, "*": 1 }', '{ 2: 5 }'])
    t.same(found(`defaults: { versions: ${versions}, mirror: { version: 1 } }`).warnings, [], versions)
  t.end()
})

void t.test('one bad setting hides no conflict elsewhere', (t) => {
  const { errors, warnings } = found(
    'log: { level: x }\nroutes: [{ service: a }, { service: a, path: x }, { service: b }]\nadmin: { address: 10.0.0.1:1 }\n',
  )
  t.match(errors, [/log\.level/, /routes\[1\]\.path/, /admin\.address/])
  t.match(warnings, [/routes\[2\]: routes\[0\] has the same/])
  t.end()
})

void t.test('an unverified instance is warned of', (t) => {
  t.same(found('services: { a: { tls: on } }\nroutes: [{ service: a }]').warnings, [])
  t.match(
    found('services: { a: { tls: { verify: false, ca: /x, serverName: b } } }\nroutes: [{ service: a }]').warnings,
    [
      /services\.a\.tls\.verify: whoever can stand between/,
      /services\.a\.tls\.ca: nothing is verified/,
      /tls\.serverName: nothing/,
    ],
  )
  t.end()
})

void t.test('settings that choose an instance', (t) => {
  const twice = /cookie: sticky and affinity need a cookie each; give one of them another name$/
  const errors: Readonly<Record<string, RegExp>> = {
    'services: { a: { sticky: { cookie: c }, affinity: { cookie: c } } }': /services\.a\.affinity\.cookie: sticky and/,
    'defaults: { sticky: { cookie: c }, affinity: { cookie: c } }': /defaults\.affinity\.cookie: sticky and/,
    'defaults: { affinity: { cookie: c } }\nservices: { a: { sticky: { cookie: c } } }':
      /services\.a\.sticky\.cookie: /,
    'defaults: { sticky: { cookie: c } }\nservices: { a: { affinity: { cookie: c } } }':
      /services\.a\.affinity\.cookie: /,
  }
  for (const [text, message] of Object.entries(errors)) {
    t.match(found(text).errors, [message], text)
    t.match(found(text).errors, [twice], text)
  }
  for (const text of [
    'services: { a: { sticky: { cookie: c }, affinity: { cookie: d } } }',
    'services: { a: { sticky: { header: c }, affinity: { cookie: c } } }',
    'services: { a: { sticky: { cookie: c } }, b: { affinity: { cookie: c } } }',
  ])
    t.same(found(text), { errors: [], warnings: [] }, text)
  const idle = /services\.a\.hash: it has no effect without balance: hash$/
  t.match(found('services: { a: { hash: { ip: true } } }'), { errors: [], warnings: [idle] })
  t.match(found('services: { a: { balance: round-robin, hash: { ip: true } } }').warnings, [idle])
  t.same(found('services: { a: { balance: hash, hash: { ip: true } } }').warnings, [])
  t.same(found('defaults: { balance: hash }\nservices: { a: { hash: { ip: true } } }').warnings, [])
  t.same(found('defaults: { hash: { ip: true } }\nservices: { a: { balance: hash } }').warnings, [])
  t.end()
})
