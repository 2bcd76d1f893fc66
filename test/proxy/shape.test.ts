/** What a route changes on the way: paths as pure text, and heads at raw sockets. */
import fc from 'fast-check'
import t from 'tap'
import { routingPath } from '../../src/proxy/path.ts'
import { isStripped, shapeTarget } from '../../src/proxy/shape.ts'

t.test('paths', async (t) => {
  for (const [target, strip, prepend, shaped] of [
    ['/api/x?q=1', '/api', '', '/x?q=1'],
    ['/api', '/api', '', '/'],
    ['/api?q', '/api', '', '/?q'],
    ['/api/', '/api', '', '/'],
    ['/apix', '/api', '', '/apix'],
    ['/x/api', '/api', '', '/x/api'],
    ['/api//evil.test', '/api', '', '/evil.test'],
    ['/%61pi/%61', '/api', '', '/a'],
    ['//api/x', '/api', '', '/x'],
    ['/api/%2Fx', '/api', '', '/%2Fx'],
    ['/x', '', '/v2', '/v2/x'],
    ['/', '', '/v2', '/v2/'],
    ['/api', '/api', '/v2', '/v2'],
    ['/api/x', '/api', '/v2', '/v2/x'],
    ['*', '/api', '/v2', '*'],
  ] as const)
    t.equal(shapeTarget(target, strip, prepend), shaped, `${target} -${strip} +${prepend}`)
  t.ok(isStripped('/%61pi', '/api'))
  t.notOk(isStripped('/apix', '/api'))
  t.notOk(isStripped('/apix', ''))
})

t.test('whatever is asked for, what goes on is a path that begins with one slash, with the same query', async () => {
  const part = fc.constantFrom('a', 'b', 'api', '/', '//', '%61', '%2F', '.', '?', 'v2', ';')
  const target = fc.array(part, { maxLength: 10 }).map((parts) => `/${parts.join('')}`)
  fc.assert(
    fc.property(
      target,
      fc.constantFrom('', '/api', '/a', '/a/b'),
      fc.constantFrom('', '/v2'),
      (text, strip, prepend) => {
        const path = routingPath(text)
        if (path === undefined) return true
        const shaped = shapeTarget(text, strip, prepend)
        const query = (of: string): string => (of.includes('?') ? of.slice(of.indexOf('?')) : '')
        const isOurs = strip !== '' && isStripped(text, strip)
        return (
          shaped.startsWith('/') &&
          (!isOurs || prepend !== '' || !shaped.startsWith('//')) &&
          query(shaped) === query(text) &&
          !/\s/.test(shaped) &&
          (prepend === '' || shaped.startsWith(prepend)) &&
          // What is left means what was routed by, less the prefix.
          (!isOurs || routingPath(shaped) === routingPath(`${prepend}${path.slice(strip.length)}` || '/'))
        )
      },
    ),
    { numRuns: 3_000 },
  )
})
