import fc from 'fast-check'
import t from 'tap'
import {
  cookieValues,
  findCookies,
  findFields,
  findQuery,
  someCookie,
  someHeader,
  someQuery,
  type ValueTest,
} from '../../src/table/request-text.ts'
import { Spans } from '../../src/table/spans.ts'

const fields = new Spans()
const pairs = new Spans()

function header(lines: string, name: string, test: ValueTest): boolean {
  findFields(lines, fields)
  return someHeader(lines, fields, name, test)
}

function cookie(lines: string, name: string, test: ValueTest): boolean {
  findFields(lines, fields)
  findCookies(lines, fields, pairs)
  return someCookie(lines, pairs, name, test)
}

function query(target: string, name: string, test: ValueTest): boolean {
  findQuery(target, pairs)
  return someQuery(target, pairs, name, test)
}

const blank = /^[ \t]*|[ \t]*$/g

/** The same, said plainly: all values, by splitting. */
function headersPlainly(lines: string, name: string): string[] {
  return lines
    .split('\r\n')
    .filter((line) => line.slice(0, line.indexOf(':')).toLowerCase() === name)
    .map((line) => line.slice(line.indexOf(':') + 1).replaceAll(blank, ''))
}

function cookiesPlainly(lines: string, name: string): string[] {
  return headersPlainly(lines, 'cookie')
    .flatMap((header) => header.split(';'))
    .filter((pair) => pair.includes('=') && pair.slice(0, pair.indexOf('=')).replaceAll(blank, '') === name)
    .map((pair) => pair.slice(pair.indexOf('=') + 1).replaceAll(blank, ''))
}

/** What `some` shows its test, when that never says yes. */
function shown(some: (test: ValueTest) => boolean): string[] {
  const values: string[] = []
  some({
    holds(text, from, end) {
      values.push(text.slice(from, end))
      return false
    },
  })
  return values
}

const line = fc
  .tuple(
    fc.constantFrom('Cookie', 'cookie', 'COOKIE', 'Cookies', 'X-A', 'x-a', 'A'),
    fc.stringMatching(/^[ab=; \t]{0,16}$/),
  )
  .map(([name, value]) => `${name}:${value}\r\n`)
const lines = fc.array(line, { maxLength: 6 }).map((each) => each.join(''))

t.test('every value is shown, in order, as plain splitting finds them', async (t) => {
  fc.assert(
    fc.property(lines, fc.constantFrom('a', 'b', 'ab', 'aa', 'x-a', 'cookie'), (text, name) => {
      t.strictSame(
        shown((test) => header(text, name, test)),
        headersPlainly(text, name),
      )
      const cookies = cookiesPlainly(text, name)
      t.strictSame(
        shown((test) => cookie(text, name, test)),
        cookies,
      )
      t.strictSame(cookieValues(text, name), cookies)
    }),
    { numRuns: 300 },
  )
})

t.test('the first value that the test holds for is the last that is asked', async (t) => {
  const asked: string[] = []
  const isTwo: ValueTest = {
    holds(text, from, end) {
      asked.push(text.slice(from, end))
      return asked.at(-1) === '2'
    },
  }
  t.ok(header('X-A: 1\r\nX-A: 2\r\nX-A: 3\r\n', 'x-a', isTwo))
  t.ok(cookie('Cookie: a=1; a=2; a=3\r\n', 'a', isTwo))
  t.ok(query('/?a=1&a=2&a=3', 'a', isTwo))
  t.strictSame(asked, ['1', '2', '1', '2', '1', '2'])
  const any: ValueTest = { holds: () => true }
  t.notOk(query('/', 'a', any))
  t.notOk(query('/?&', '', any), 'an empty pair is no parameter')
})

t.test('lines and pairs may be many', async (t) => {
  const many = Array.from({ length: 300 }, (_, i) => `X-${String(i)}: ${String(i)}\r\nX-A: ${String(i)}\r\n`).join('')
  t.equal(shown((test) => header(many, 'x-a', test)).length, 300)
  t.strictSame(
    shown((test) => header(many, 'x-299', test)),
    ['299'],
  )
})
