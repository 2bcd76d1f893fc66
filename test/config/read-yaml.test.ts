import t from 'tap'
import { readYaml } from '../../src/config/read-yaml.ts'
import type { Raw } from '../../src/config/read-yaml.ts'

function mistakesOf(text: string): readonly string[] {
  const read = readYaml(text)
  return read.mistakes.map(({ offset, message }) => {
    const { line, column } = read.position(offset)
    return `${String(line)}:${String(column)} ${message}`
  })
}

function plain(raw: Raw): unknown {
  return raw === undefined ? undefined : JSON.parse(JSON.stringify(raw))
}

void t.test('no scalar changes', (t) => {
  for (const text of [
    '9.10',
    '1.0',
    '4821e57',
    '007',
    '0x1f',
    'yes',
    'null',
    '~',
    '1_000',
    '2026-11-21',
    '.inf',
    '1:20',
  ]) {
    const { value, mistakes } = readYaml(`a: ${text}\n`)
    t.same(plain(value), { a: text }, text)
    t.same(mistakes, [])
    t.same(plain(readYaml(`%YAML 1.1\n---\na: ${text}\n`).value), { a: text }, `${text}, YAML 1.1 asked for`)
    t.same(plain(readYaml(JSON.stringify({ a: text })).value), { a: text }, `${text}, as JSON`)
  }
  t.end()
})

void t.test('hostile names are refused and reach no object', (t) => {
  const text = '__proto__: { polluted: yes }\na: { constructor: 1, prototype: 2 }\n'
  const { value } = readYaml(text)
  t.same(plain(value), { a: {} })
  t.equal(Object.getPrototypeOf(value), null)
  t.notOk('polluted' in {})
  t.same(mistakesOf(text), [
    '1:1 "__proto__" cannot be used as a name',
    '2:6 "constructor" cannot be used as a name',
    '2:22 "prototype" cannot be used as a name',
  ])
  t.end()
})

void t.test('what cannot be read says where and why', (t) => {
  const cases: Readonly<Record<string, readonly string[]>> = {
    'a: 1\nb: 2\na: 3\n': ['3:1 "a" stands here twice'],
    '? [x]\n: 1\n': ['1:3 a key must be a plain name'],
    'a: *nowhere\n': ['1:4 no anchor of this name stands before it; quote a text that begins with *'],
    'a: !!int 5\n': ['1:4 YAML tags are not supported: write the plain value'],
    '<<: { a: 1 }\n': ['1:1 merge keys are not supported; repeat the settings, or put them into defaults'],
    'a: 1\n---\nb: 2\n': ['2:1 only one YAML document is read; remove what follows the second "---"'],
    'a:\n\tb: 1\n': ['2:1 YAML: Tabs are not allowed as indentation'],
  }
  for (const [text, wanted] of Object.entries(cases)) t.same(mistakesOf(text), wanted, JSON.stringify(text))
  t.end()
})

void t.test('size, depth and what aliases unfold to are bounded', (t) => {
  t.match(mistakesOf('a: b\n'.repeat(300_000)), [/^1:1 the text is longer than 1048576 characters/])
  t.match(mistakesOf(`a: ${'['.repeat(40)}${']'.repeat(40)}`), [/nested more than 32 levels deep$/])
  t.ok(mistakesOf(`a: ${'['.repeat(100_000)}`).length > 0)
  t.match(mistakesOf('a: &a [*a]\n'), [/nested more than 32 levels deep$/])
  const laughs = ['a0: &a0 [x,x,x,x,x,x,x,x,x,x]']
  for (let i = 1; i < 10; i++) laughs.push(`a${String(i)}: &a${String(i)} [${`*a${String(i - 1)},`.repeat(10)}]`)
  const started = performance.now()
  t.match(mistakesOf(laughs.join('\n')).at(0), /too many values, aliases unfolded$/)
  t.ok(performance.now() - started < 5_000)
  t.end()
})

void t.test('aliases and empty values', (t) => {
  const { value, mistakes } = readYaml('a: &a { b: 1 }\nc: *a\nd:\ne: ""\n')
  t.same(plain(value), { a: { b: '1' }, c: { b: '1' }, e: '' })
  t.ok(value !== undefined && typeof value === 'object' && 'd' in value)
  t.same(mistakes, [])
  t.equal(readYaml('').value, undefined)
  t.equal(readYaml('# nothing\n').value, undefined)
  t.end()
})
