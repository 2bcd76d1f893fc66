import t from 'tap'
import { routeView } from '../../src/admin/route-view.ts'
import { noHeaderChanges } from '../../src/policy/traffic.ts'
import type { Route } from '../../src/table/table.ts'
import { configOf } from '../fixtures/app.ts'
import { routeOf, tableOf } from '../fixtures/data-plane.ts'
import { policyFromConfig } from '../../src/policy/from-config.ts'

const service = tableOf('shop', []).services.get('shop') ?? t.fail('no service')

/** A route of the configuration, as a table has it. */
function shown(text: string, parts: Partial<Route> = {}): unknown {
  const [policy] = policyFromConfig(configOf(`routes: [{ service: shop${text} }]`)).routes
  if (typeof service === 'boolean' || !policy) throw new Error('no route')
  // As it stands in JSON.
  return JSON.parse(JSON.stringify(routeView({ ...routeOf('o', 'h', '/p', service), policy, ...parts })))
}

t.test('a route in the words of the configuration', async (t) => {
  const plain = { host: 'h', path: '/p', service: 'shop', origin: 'o' }
  t.same(shown(''), plain)
  t.same(shown(', hostHeader: client'), plain, 'what changes nothing is not shown')
  t.same(shown(', versions: { 1: 2 }', { weights: new Map([['1', 2]]) }), { ...plain, weights: { 1: 2 } })
  const options: Readonly<Record<string, unknown>> = {
    'strip: /a, prepend: /b': { strip: '/a', prepend: '/b' },
    'hostHeader: instance': { hostHeader: 'instance' },
    'hostHeader: app.internal:81': { hostHeader: 'app.internal:81' },
    'allow: [10.0.0.0/8]': { allow: ['10.0.0.0/8'] },
    'allow: [10.0.0.0/8], deny: [10.0.0.1]': { allow: ['10.0.0.0/8'], deny: ['10.0.0.1/32'] },
    'headers: { request: { remove: [X-A], set: { X-B: c } }, response: { add: { X-D: e } } }': {
      headers: {
        request: { remove: ['x-a'], set: { 'X-B': 'c' }, add: {} },
        response: { remove: [], set: {}, add: { 'X-D': 'e' } },
      },
    },
  }
  for (const [text, expected] of Object.entries(options))
    t.same(shown(`, ${text}`), { ...plain, options: expected }, text)
  const redirect = { status: 301, to: '/new' } as const
  t.match(shown('', { policy: { ...plain, redirect } }), { options: { redirect } })
  const shaping = { strip: undefined, prepend: undefined, host: undefined, request: noHeaderChanges }
  const empty = { ...shaping, response: { ...noHeaderChanges, remove: ['x-a'] } }
  t.match(shown('', { policy: { ...plain, shaping: empty } }), {
    options: { headers: { response: { remove: ['x-a'] } } },
  })
})
