import t from 'tap'
import { load } from '../../src/config/load.ts'
import { policyFromConfig } from '../../src/policy/from-config.ts'
import { defaultServicePolicy, defaultVersionFrom } from '../../src/policy/policy.ts'
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
