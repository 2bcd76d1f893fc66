import fc from 'fast-check'
import t from 'tap'
import { cookieValues, someCookie, someHeader, someQuery } from '../../src/table/request-text.ts'

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
function shown(some: (test: (value: string) => boolean) => boolean): string[] {
  const values: string[] = []
  some((value) => {
    values.push(value)
    return false
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
        shown((test) => someHeader(text, name, test)),
        headersPlainly(text, name),
      )
      const cookies = cookiesPlainly(text, name)
      t.strictSame(
        shown((test) => someCookie(text, name, test)),
        cookies,
      )
      t.strictSame(cookieValues(text, name), cookies)
    }),
    { numRuns: 300 },
  )
})

t.test('the first value that the test holds for is the last that is asked', async (t) => {
  const asked: string[] = []
  const isTwo = (value: string): boolean => {
    asked.push(value)
    return value === '2'
  }
  t.ok(someHeader('X-A: 1\r\nX-A: 2\r\nX-A: 3\r\n', 'x-a', isTwo))
  t.ok(someCookie('Cookie: a=1; a=2; a=3\r\n', 'a', isTwo))
  t.ok(someQuery('/?a=1&a=2&a=3', 'a', isTwo))
  t.strictSame(asked, ['1', '2', '1', '2', '1', '2'])
  t.notOk(someQuery('/', 'a', () => true))
  t.notOk(
    someQuery('/?&', '', () => true),
    'an empty pair is no parameter',
  )
})
