import t from 'tap'
import { parseIp } from '../../src/policy/ip.ts'
import type { Condition, Rule, TextMatch } from '../../src/policy/traffic.ts'
import { allHold, compileConditions, compileRules, type RequestView } from '../../src/table/condition.ts'
import { conditionText } from '../../src/table/show-rule.ts'

const request = (parts: Partial<RequestView> & { readonly ip?: string } = {}): RequestView => ({
  method: 'GET',
  target: '/',
  path: '/',
  lines: '',
  clientIp: parseIp(parts.ip ?? '10.1.2.3'),
  ...parts,
})

const compileCondition =
  (condition: Condition) =>
  (view: RequestView): boolean =>
    allHold(compileConditions([condition]), view)

const equals = (value: string): TextMatch => ({ kind: 'equals', value })

t.test('headers: any of the values, whatever the case of the name', async (t) => {
  const header = (match: TextMatch, ...lines: readonly string[]): boolean =>
    compileCondition({ subject: 'header', name: 'x-a', match })(
      request({ lines: lines.map((line) => `${line}\r\n`).join('') }),
    )
  t.ok(header(equals('1'), 'X-A: 1'))
  t.ok(header(equals('1'), 'Y: 1', 'x-A:\t1 ', 'Z: 2'))
  t.ok(header(equals('2'), 'X-A: 1', 'X-A: 2'))
  t.notOk(header(equals('1'), 'X-AB: 1', 'AX-A: 1', 'Y: X-A: 1'))
  t.notOk(header(equals('a'), 'X-A: A'), 'values have their case')
  t.ok(header({ kind: 'prefix', value: 'be' }, 'X-A: beta'))
  t.notOk(header({ kind: 'prefix', value: 'be' }, 'X-A: a be'))
  t.ok(header({ kind: 'oneOf', values: ['a', 'b'] }, 'X-A: b'))
  t.notOk(header({ kind: 'oneOf', values: ['a', 'b'] }, 'X-A: a, b'))
  t.ok(header({ kind: 'glob', value: '*eta' }, 'X-A: beta'))
  t.ok(header({ kind: 'present' }, 'X-A:'), 'an empty value is there')
  t.notOk(header({ kind: 'present' }))
  t.ok(header({ kind: 'not', match: equals('1') }), 'what is absent is not 1')
  t.notOk(header({ kind: 'not', match: equals('1') }, 'X-A: 2', 'X-A: 1'), 'none of them may be')
  t.ok(header({ kind: 'not', match: { kind: 'present' } }))
})

t.test('cookies: by name among the pairs of every line', async (t) => {
  const cookie = (match: TextMatch, ...lines: readonly string[]): boolean =>
    compileCondition({ subject: 'cookie', name: 'v', match })(
      request({ lines: lines.map((line) => `Cookie: ${line}\r\n`).join('') }),
    )
  t.ok(cookie(equals('2'), 'a=1; v=2;b=3'))
  t.ok(cookie(equals('2'), 'a=1', 'v=2'))
  t.ok(cookie(equals('2=3'), 'v=2=3'))
  t.notOk(cookie(equals('2'), 'V=2; vv=2; a=v=2'))
  t.ok(cookie(equals('%20'), 'v=%20'), 'nothing is decoded')
  t.notOk(cookie({ kind: 'present' }, 'v'))
})

t.test('query parameters: decoded', async (t) => {
  const query = (match: TextMatch, target: string): boolean =>
    compileCondition({ subject: 'query', name: 'q v', match })(request({ target }))
  t.ok(query(equals('a b'), '/x?q+v=a%20b'))
  t.ok(query(equals('ä'), '/?x=1&q%20v=%C3%A4'))
  t.ok(query(equals('2'), '/?q+v=1&q+v=2'))
  t.ok(query(equals(''), '/?q+v'))
  t.ok(query(equals('%zz b'), '/?q+v=%zz+b'), 'what cannot be decoded stays')
  t.notOk(query({ kind: 'present' }, '/q+v=1'))
  t.notOk(query({ kind: 'present' }, '/?'))
})

t.test('method and client', async (t) => {
  const method = compileCondition({ subject: 'method', match: { kind: 'oneOf', values: ['GET', 'HEAD'] } })
  t.ok(method(request()))
  t.notOk(method(request({ method: 'POST' })))
  const ranges = ['10.0.0.0/8', 'fd00::/8']
  const inside = compileCondition({ subject: 'client', ranges, within: true })
  const outside = compileCondition({ subject: 'client', ranges, within: false })
  for (const [ip, is] of [
    ['10.255.0.1', true],
    ['11.0.0.1', false],
    ['::ffff:10.0.0.1', true],
    ['fd12::1', true],
    ['fe80::1', false],
  ] as const) {
    t.equal(inside(request({ ip })), is, ip)
    t.equal(outside(request({ ip })), !is, ip)
  }
  const nobody = { ...request(), clientIp: undefined }
  t.notOk(inside(nobody))
  t.ok(outside(nobody))
})

t.test('all must hold', async (t) => {
  const all: readonly Condition[] = [
    { subject: 'method', match: equals('GET') },
    { subject: 'query', name: 'a', match: equals('1') },
  ]
  t.ok(allHold(compileConditions(all), request({ target: '/?a=1' })))
  t.notOk(allHold(compileConditions(all), request({ target: '/?a=2' })))
  t.notOk(allHold(compileConditions(all), request({ target: '/?a=1', method: 'PUT' })))
  t.same(all.map(conditionText), ["method is 'GET'", "query a is '1'"])
})

t.test('a path in a condition is brought to the form that it is compared in', async (t) => {
  const holds = (match: TextMatch, path: string): boolean =>
    compileCondition({ subject: 'path', match })(request({ path }))
  t.ok(holds({ kind: 'prefix', value: '/%61dmin' }, '/admin/x'))
  t.ok(holds({ kind: 'equals', value: '/caf%c3%a9' }, '/caf%C3%A9'))
  t.ok(holds({ kind: 'oneOf', values: ['/a//b'] }, '/a/b'))
  t.notOk(holds({ kind: 'not', match: { kind: 'glob', value: '/%61*' } }, '/abc'))
  t.notOk(holds({ kind: 'prefix', value: '/x/' }, '/x'), 'a slash at its end stays')
})

t.test('equal conditions are compiled once, and no others are', async (t) => {
  const asked = (name: string, value: string): readonly Condition[] => [
    { subject: 'header', name, match: { kind: 'equals', value } },
  ]
  const first = compileConditions(asked('x-a', '1'))
  t.equal(compileConditions(asked('x-a', '1')), first)
  t.not(compileConditions(asked('x-a', '2')), first)
  t.not(compileConditions(asked('x-b', '1')), first)
  t.not(compileConditions([{ subject: 'cookie', name: 'x-a', match: { kind: 'equals', value: '1' } }]), first)
  t.not(compileConditions([...asked('x-a', '1'), ...asked('x-a', '1')]), first)
  // However many there are, only so many are remembered, and all are right.
  for (let i = 0; i < 10_000; i++) compileConditions(asked('x-a', `many ${String(i)}`))
  t.not(compileConditions(asked('x-a', '1')), first)
})

t.test('the same rules are compiled once', async (t) => {
  const rules: readonly Rule[] = [{ when: [], action: { kind: 'version', version: '1' } }]
  t.equal(compileRules(rules), compileRules(rules))
  t.not(compileRules([...rules]), compileRules(rules))
})
