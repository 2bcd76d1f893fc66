import fc from 'fast-check'
import t from 'tap'
import { compileGlob } from '../../src/table/glob.ts'

/** The same, by a regular expression that may backtrack. */
const reference = (pattern: string): RegExp =>
  new RegExp(
    `^${pattern
      .split('*')
      .map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`))
      .join('.*')}$`,
    's',
  )

t.test('it means what a regular expression with .* means', async () => {
  const letters = fc.stringMatching(/^[ab.]{0,12}$/)
  fc.assert(
    fc.property(
      fc.stringMatching(/^[ab.*]{0,8}$/),
      letters,
      (pattern, text) => compileGlob(pattern)(text) === reference(pattern).test(text),
    ),
    { numRuns: 5_000 },
  )
})

t.test('cases', async (t) => {
  for (const [pattern, text, is] of [
    ['*', '', true],
    ['a*a', 'a', false],
    ['*beta*', 'my-beta-1', true],
    ['**', 'x', true],
    ['a?c', 'abc', false],
    ['a?c', 'a?c', true],
    ['', '', true],
    ['', 'x', false],
    ['*aab', 'aaaab', true],
    ['*aba*aba*', 'ababa', false],
  ] as const)
    t.equal(compileGlob(pattern)(text), is, `${pattern} ${text}`)
})

t.test('no pattern makes a long text costly', async (t) => {
  const text = 'a'.repeat(60_000)
  let looked = 0
  const counted = new Proxy(Object(text) as object, {
    get: (target, key) => {
      looked++
      const value: unknown = Reflect.get(target, key)
      return typeof value === 'function' ? (value as () => unknown).bind(text) : value
    },
  })
  t.equal(compileGlob(`*${'a'.repeat(500)}b*c`)(counted as unknown as string), false)
  t.ok(looked < text.length * 3 + 1_000, `${looked} looks at ${text.length} characters`)
})
