/** Once, each broken escape in a query threw inside: one request of 8 KiB stopped a worker for 40 ms a rule that asks for a parameter. */
import fc from 'fast-check'
import t from 'tap'
import { findQuery, someQuery } from '../../src/table/request-text.ts'
import { Spans } from '../../src/table/spans.ts'

/** The same, said plainly. */
function plainly(target: string, name: string): string[] {
  const decoded = (text: string): string => {
    const spaced = text.replaceAll('+', ' ')
    try {
      return decodeURIComponent(spaced)
    } catch {
      return spaced
    }
  }
  const mark = target.indexOf('?')
  return (mark < 0 ? [] : target.slice(mark + 1).split('&'))
    .filter((pair) => pair !== '')
    .map((pair): [string, string] => {
      const equals = pair.indexOf('=')
      return equals < 0 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)]
    })
    .filter(([key]) => decoded(key) === name)
    .map(([, value]) => decoded(value))
    .toSorted()
}

function values(target: string, name: string): string[] {
  const found: string[] = []
  const pairs = new Spans()
  findQuery(target, pairs)
  someQuery(target, pairs, name, {
    holds(text, from, end) {
      found.push(text.slice(from, end))
      return false
    },
  })
  return found.toSorted()
}

void t.test('what cannot be decoded is never tried', async (t) => {
  const decode = globalThis.decodeURIComponent
  let threw = 0
  globalThis.decodeURIComponent = (text) => {
    try {
      return decode(text)
    } catch (error) {
      threw++
      throw error
    }
  }
  t.teardown(() => {
    globalThis.decodeURIComponent = decode
  })
  for (const escape of [
    '%',
    '%4',
    '%zz',
    '%ff',
    '%c3',
    '%c3%28',
    '%c0%af',
    '%e0%80%af',
    '%ed%a0%80',
    '%f4%90%80%80',
    '%f5',
  ])
    t.strictSame(values(`/?${`${escape}&`.repeat(100)}beta=${escape}&${escape}=1`, 'beta'), [escape], escape)
  t.equal(threw, 0)
})

void t.test('names and values are what a plain reading of them gives', async (t) => {
  const pieces = 'a b ? = & & = % + %61 %62 %3D %26 %2B %25 %c3 %a4 %C3%A4 %e2%82%ac %E2 %f0%9f%98%80 %ed%a0%80'
  const piece = fc.constantFrom(...pieces.split(' '))
  const text = fc.array(piece, { maxLength: 24 }).map((pieces) => pieces.join(''))
  const name = fc.oneof(fc.constantFrom('', 'a', 'ab', 'a+', '%', 'ä', '€', '😀', 'a=b'), text)
  fc.assert(
    fc.property(text, name, (query, name) => {
      t.strictSame(values(`/${query}`, name), plainly(`/${query}`, name))
      t.strictSame(values(`/?${query}`, name), plainly(`/?${query}`, name))
    }),
    { numRuns: 3_000 },
  )
})

void t.test('a name may be all escapes, of one byte or of four', async (t) => {
  t.strictSame(values('/?%61%62=1&ab=2&a%62=3', 'ab'), ['1', '2', '3'])
  t.strictSame(values('/?%e2%82%ac%E2%82%AC=1', '€€'), ['1'])
  t.strictSame(values('/?%f0%9f%98%80', '😀'), [''])
})
