/** Once, `%e0%80%af` passed: an overlong slash that a lenient server decodes after its dot segments were looked for. */
import t from 'tap'
import { routingPath } from '../../src/proxy/path.ts'

void t.test('bytes that no UTF-8 has are refused, others pass', async (t) => {
  for (const path of [
    '%c0%af',
    '%e0%80%af',
    '%E0%9f%bf',
    '%f0%80%80%af',
    '%F0%8F%bf%bf',
    '%ed%a0%80',
    '%ED%bf%bf',
    '%f5%80',
    '%ff',
  ])
    t.equal(routingPath(`/a/${path}x`), undefined, path)
  for (const path of ['%c3%a4', '%e0%a0%80', '%e2%82%ac', '%ed%9f%bf', '%f0%90%80%80', '%f4%8f%bf%bf'])
    t.equal(routingPath(`/a/${path}`), `/a/${path.toUpperCase()}`, path)
  t.equal(routingPath('/a/..%3b/x'), undefined)
  t.equal(routingPath('/a/..%3B/x'), undefined)
})
