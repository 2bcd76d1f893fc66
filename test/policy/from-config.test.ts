import t from 'tap'
import { parseServiceSettings } from '../../src/config/parse-settings.ts'
import { load } from '../../src/config/load.ts'
import { policyFromConfig, servicePolicy } from '../../src/policy/from-config.ts'
import { defaultServicePolicy, defaultPipelining, defaultTls, defaultVersionFrom } from '../../src/policy/policy.ts'
import type { Policy } from '../../src/policy/policy.ts'

function policyOf(text: string): Policy {
  const { config, errors } = load(text, {}, 'f')
  if (!config) throw new Error(errors[0]?.message)
  return policyFromConfig(config)
}

/** What a route says that says nothing but where it leads. */
const plain = { redirect: undefined, traffic: undefined, shaping: undefined, access: undefined }

void t.test('nothing configured is the built-in policy', (t) => {
  const policy = policyOf('')
  t.same(policy.defaults, defaultServicePolicy)
  t.same(policy.versionFrom, defaultVersionFrom)
  t.equal(policy.tagPrefix, 'urlprefix-')
  t.same(policy.routes, [])
  t.equal(policy.services.size, 0)
  t.end()
})

void t.test('what a service leaves out comes from defaults, then from the built-in', (t) => {
  const policy = policyOf(`
routes: [{ host: a.b, path: /x, service: shop }, { service: other }]
versionFrom: { meta: v, tag: release- }
policy: { tags: route- }
defaults:
  timeouts: { connect: 250ms, idle: 5s }
  retry: { attempts: 2 }
  versions: { 1: 1 }
  health: { http: /healthz, interval: 3s, identity: X-Service-Id, panicThreshold: 30% }
  drain: { deadline: 4s }
services:
  shop: { versions: { 9.10: 3 }, timeouts: { idle: 1s }, retry: { budget: 50%, body: 1KiB }, balance: round-robin }
  other: {}
  tcp: { health: { tcp: true, mode: observe, timeout: 90ms } }
`)
  t.same(policy.routes, [
    { origin: 'config:routes[0]', host: 'a.b', path: '/x', service: 'shop', ...plain },
    { origin: 'config:routes[1]', host: '', path: '/', service: 'other', ...plain },
  ])
  t.same(policy.versionFrom, { metaKey: 'v', tagPrefix: 'release-' })
  t.equal(policy.tagPrefix, 'route-')
  t.same(policy.services.get('shop'), {
    ...defaultServicePolicy,
    versions: new Map([['9.10', 3]]),
    balance: 'round-robin',
    timeouts: { connectMs: 250, firstByteMs: 60_000, idleMs: 1_000 },
    retry: { attempts: 2, budget: 0.5, bodyBytes: 1_024 },
    health: {
      ...defaultServicePolicy.health,
      http: '/healthz',
      intervalMs: 3_000,
      identity: 'x-service-id',
      panicThreshold: 0.3,
    },
    drain: { deadlineMs: 4_000, tunnelDeadlineMs: 300_000 },
  })
  t.match(
    policy.services.get('tcp')?.health,
    { http: undefined, tcp: true, mode: 'observe', timeoutMs: 90, intervalMs: 3_000 },
    'one kind of probe of its own takes the place of the other kind',
  )
  t.same(policy.services.get('other'), policy.defaults)
  t.same(policy.defaults.versions, new Map([['1', 1]]))
  t.ok(Object.isFrozen(policy) && Object.isFrozen(policy.routes) && Object.isFrozen(policy.defaults.timeouts))
  t.end()
})

void t.test('routes switch tags off, unless they are asked for', (t) => {
  t.equal(policyOf('routes: [{ service: a }]').tagPrefix, undefined)
  t.equal(policyOf('routes: [{ service: a }]\npolicy: { tags: urlprefix- }').tagPrefix, 'urlprefix-')
  t.equal(policyOf('policy: { tags: false }').tagPrefix, undefined)
  t.equal(policyOf('').claims, undefined)
  t.same(policyOf('policy: { claims: [{ service: a, hosts: [x.test] }] }').claims, [
    { service: 'a', hosts: ['x.test'] },
  ])
  t.end()
})

void t.test('TLS: words, what is inherited, and paths from the folder of the file', (t) => {
  const policy = policyFromFile(`
defaults: { tls: { ca: ca.pem, cert: /own.pem, key: /own-key.pem } }
services:
  same: {}
  on: { tls: on }
  yes: { tls: true }
  off: { tls: off }
  no: { tls: false }
  named: { tls: { serverName: API.example.com., verify: false } }
  other: { tls: { cert: b.pem, key: b-key.pem } }
`)
  const tls = (name: string): unknown => policy.services.get(name)?.tls
  const own = { cert: '/own.pem', key: '/own-key.pem' }
  const inherited = { verify: true, serverName: undefined, identity: undefined, files: { ca: '/etc/ca.pem', ...own } }
  for (const name of ['same', 'on', 'yes']) t.same(tls(name), inherited, name)
  for (const name of ['off', 'no']) t.equal(tls(name), 'off', name)
  t.same(tls('named'), { ...inherited, verify: false, serverName: 'api.example.com' })
  t.same(tls('other'), {
    ...inherited,
    files: { ca: '/etc/ca.pem', cert: '/etc/b.pem', key: '/etc/b-key.pem' },
  })
  t.equal(policyOf('services: { a: {} }').services.get('a')?.tls, undefined)
  t.same(policyOf('services: { a: { tls: on } }').services.get('a')?.tls, defaultTls)
  for (const name of ['10.0.0.1', '"::1"', 'a b', '""', 'a..b', '-a'])
    t.ok(load(`services: { a: { tls: { serverName: ${name} } } }`, {}, 'f').errors, name)
  t.end()
})

void t.test('pipelining: words, parts, and what is inherited', (t) => {
  const policy = policyOf(`
defaults: { pipelining: { wait: 5ms } }
services:
  same: {}
  on: { pipelining: on }
  yes: { pipelining: true }
  off: { pipelining: off }
  no: { pipelining: false }
  more: { pipelining: { requests: 16 } }
`)
  const of = (name: string): unknown => policy.services.get(name)?.pipelining
  for (const name of ['same', 'on', 'yes']) t.same(of(name), { requests: 8, waitMs: 5 }, name)
  for (const name of ['off', 'no']) t.equal(of(name), undefined, name)
  t.same(of('more'), { requests: 16, waitMs: 5 })
  t.equal(policyOf('services: { a: {} }').services.get('a')?.pipelining, undefined)
  t.same(policyOf('services: { a: { pipelining: on } }').services.get('a')?.pipelining, defaultPipelining)
  for (const text of ['{ requests: 1 }', '{ requests: 33 }', '{ wait: 0s }', 'maybe'])
    t.ok(load(`services: { a: { pipelining: ${text} } }`, {}, 'f').errors, text)
  t.end()
})

function policyFromFile(text: string): Policy {
  const { config, errors } = load(text, {}, '/etc/fairlead.yaml')
  if (!config) throw new Error(errors[0]?.message)
  return policyFromConfig(config)
}

void t.test('documents of the KV cannot say whom this machine trusts', (t) => {
  for (const tls of ['on', 'off', { verify: false }, { ca: '/etc/shadow' }])
    t.same(parseServiceSettings({ timeouts: { idle: '1s' }, tls }), {
      kind: 'bad',
      messages: ['tls: this stands in the configuration file alone'],
    })
  t.match(parseServiceSettings({ timeouts: { idle: '1s' } }), { kind: 'good' })
  t.end()
})

void t.test('a document of the KV may say how an instance is chosen', (t) => {
  const read = parseServiceSettings({
    balance: 'hash',
    hash: { header: 'X-User' },
    affinity: { cookie: 'place' },
    sticky: { cookie: 'user', maxAge: '1h' },
  })
  if (read.kind !== 'good') throw new Error('it is read')
  t.match(servicePolicy(read.settings, defaultServicePolicy), {
    balance: 'hash',
    hash: { key: { from: 'header', name: 'x-user' }, loadFactor: 1.25 },
    affinity: { cookie: 'place' },
    sticky: { from: 'cookie', name: 'user', maxAgeSeconds: 3_600 },
  })
  t.match(parseServiceSettings({ balance: 'hsah' }), { kind: 'bad', messages: [/balance.*did you mean "hash"/] })
  t.end()
})
