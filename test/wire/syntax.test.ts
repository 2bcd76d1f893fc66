import fc from 'fast-check'
import t from 'tap'
import {
  fieldValue,
  isFieldSection,
  isFieldValue,
  isToken,
  parseLength,
  tokenEnd,
  tokenList,
  trimmed,
  withoutFields,
} from '../../src/wire/syntax.ts'
import { latin1 } from '../fixtures/heads.ts'

const tchars = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

t.test('every byte is a token character or not, as RFC 9110 lists them', async (t) => {
  for (let code = 0; code < 256; code++) {
    const char = String.fromCharCode(code)
    if (isToken(char) !== tchars.includes(char)) t.fail(`token ${code}`)
    const control = (code < 0x20 && !'\t\r\n'.includes(char)) || code === 0x7f
    const inValue = !control && char !== '\r' && char !== '\n'
    if (isFieldSection(`a:${char}\r\n`) !== inValue) t.fail(`in a value ${code}`)
    if (isFieldSection(`a${char}:\r\n`) !== (tchars.includes(char) || char === ':')) t.fail(`in a name ${code}`)
    if (isFieldValue(char) !== inValue) t.fail(`value ${code}`)
  }
  t.notOk(isToken(''))
  t.ok(isFieldValue(''))
})

t.test('field sections', async (t) => {
  for (const text of ['', 'a:\r\n', 'a: b\r\nc:\td\xff \r\n', 'a::\r\n'])
    t.ok(isFieldSection(text), JSON.stringify(text))
  for (const text of [
    '\r\n',
    'a\r\n',
    ':\r\n',
    'a :\r\n',
    ' a:\r\n',
    'a: b\r\n c\r\n',
    'a: b',
    'a: b\r',
    'a: b\n',
    'a: b\nc: d\r\n',
    'a: b\rc: d\r\n',
    'a: b\r\n\r\n',
  ])
    t.notOk(isFieldSection(text), JSON.stringify(text))
  t.ok(isFieldSection('a:\r\n'.repeat(13_000)), 'as many lines as fit')
  t.notOk(isFieldSection(`${'a:\r\n'.repeat(13_000)}\n`))
})

t.test('tokenEnd stops at the first other character, and at the end it was given', async (t) => {
  t.equal(tokenEnd('abc: d', 0, 6), 3)
  t.equal(tokenEnd('abc: d', 1, 2), 2)
  t.equal(tokenEnd(': d', 0, 3), 0)
  t.equal(tokenEnd('abc', 0, 3), 3)
})

t.test('trimmed takes blanks off both sides and nothing else', async (t) => {
  for (const [text, wanted] of [
    ['', ''],
    [' \t ', ''],
    ['a', 'a'],
    [' a\tb ', 'a\tb'],
    ['\t\t\xa0a\t', '\xa0a'],
    ['\va', '\va'],
  ] as const)
    t.equal(trimmed(text, 0, text.length), wanted, JSON.stringify(text))
  t.equal(trimmed('xx a yy', 2, 5), 'a')
})

const lists: readonly (readonly [value: string, wanted: readonly string[] | undefined])[] = [
  ['', []],
  [',', []],
  [' , ,\t', []],
  ['Close', ['close']],
  ['a,B', ['a', 'b']],
  ['a , ,\tb', ['a', 'b']],
  ['a b', undefined],
  ['a,"b"', undefined],
  ['a;q=1', undefined],
  ['a,\xe9', undefined],
]

t.test('tokenList', async (t) => {
  for (const [value, wanted] of lists) t.strictSame(tokenList(value), wanted, JSON.stringify(value))
})

const lengths: readonly (readonly [value: string, wanted: number])[] = [
  ['0', 0],
  ['1', 1],
  ['9', 9],
  ['10', 10],
  ['65536', 65_536],
  ['999999999999999', 999_999_999_999_999],
  ['1000000000000000', -1],
  ['9007199254740993', -1],
  ['18446744073709551616', -1],
  ['', -1],
  [' ', -1],
  ['00', -1],
  ['01', -1],
  ['0005', -1],
  ['+5', -1],
  ['-5', -1],
  ['-0', -1],
  ['5.0', -1],
  ['5.', -1],
  ['0x5', -1],
  ['5_0', -1],
  ['1e3', -1],
  ['5,5', -1],
  ['5, 5', -1],
  ['5 5', -1],
  ['5;x', -1],
  [' 5', -1],
  ['5\t', -1],
  ['\xb2', -1],
  ['Infinity', -1],
  ['NaN', -1],
]

t.test('parseLength: canonical decimal of at most 15 digits, nothing else', async (t) => {
  for (const [value, wanted] of lengths) t.equal(parseLength(value), wanted, JSON.stringify(value))
})

t.test('parseLength agrees with the grammar on anything', async (t) => {
  const digits = fc.string({ unit: fc.constantFrom('0', '1', '9', '5', ' ', '+', '\xb9'), maxLength: 18 })
  fc.assert(
    fc.property(fc.oneof(digits, latin1), (text) => {
      const wanted = /^(0|[1-9][0-9]{0,14})$/.test(text) ? Number(text) : -1
      return parseLength(text) === wanted
    }),
    { numRuns: 1_000 },
  )
  t.pass()
})

const line = fc
  .tuple(
    fc.constantFrom('a', 'A', 'ab', 'AB', 'x-a', 'X-A', 'x-ab', 'cookie'),
    fc.constantFrom('', ' ', '\t '),
    fc.constantFrom('', 'v', 'w:x', 'a', '\xff', ':'),
    fc.constantFrom('', ' '),
  )
  .map((parts) => ({ name: parts[0], value: parts[2], text: `${parts[0]}:${parts[1]}${parts[2]}${parts[3]}\r\n` }))
const lines = fc.array(line, { maxLength: 8 })

t.test('withoutFields keeps every other line, as it is and in its order', async (t) => {
  const names = fc.array(fc.constantFrom<string>('a', 'ab', 'x-a', 'cookie', 'none'), { maxLength: 3 })
  fc.assert(
    fc.property(lines, names, (all, unwanted) => {
      const kept = all.filter((each) => !unwanted.includes(each.name.toLowerCase()))
      const text = all.map((each) => each.text).join('')
      return withoutFields(text, new Set(unwanted)) === kept.map((each) => each.text).join('')
    }),
    { numRuns: 500 },
  )
  t.pass()
})

t.test('fieldValue is the trimmed value of the only line of that name, whatever its case', async (t) => {
  fc.assert(
    fc.property(lines, fc.constantFrom('a', 'ab', 'x-a', 'cookie', 'none'), (all, name) => {
      const named = all.filter((each) => each.name.toLowerCase() === name)
      const wanted = named.length === 1 ? named[0]?.value : undefined
      return fieldValue(all.map((each) => each.text).join(''), name) === wanted
    }),
    { numRuns: 500 },
  )
  t.pass()
})
