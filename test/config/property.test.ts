import fc from 'fast-check'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { load } from '../../src/config/load.ts'

const template = readFileSync(new URL('../../templates/fairlead.yaml', import.meta.url), 'utf8')
const lines = template.split('\n').length

/** Pieces that mean something to YAML, to the schema, or to a careless program. */
const piece = fc.oneof(
  fc.constantFrom(
    '\n',
    '  ',
    '\t',
    ': ',
    '- ',
    '{',
    '}',
    '[',
    ']',
    '"',
    "'",
    '#',
    '&a ',
    '*a',
    '? ',
    '|',
    '>',
    '---\n',
    '<<: ',
  ),
  fc.constantFrom(
    '${',
    '${X}',
    '${X:-',
    '}',
    '$${',
    '__proto__: {}',
    'constructor',
    '0',
    '-1',
    '1e999',
    '%',
    '\u0000',
    '\u{1f600}',
  ),
  fc.constantFrom(
    'routes',
    'services',
    'address: ',
    'service: x',
    'versions: { 1: 0 }',
    'tokens',
    'NaN',
    'Infinity',
    '\ufeff',
    '\r',
  ),
  fc.string({ maxLength: 8 }),
)

interface Edit {
  readonly at: number
  readonly drop: number
  readonly insert: string
}

const edits: fc.Arbitrary<readonly Edit[]> = fc.array(
  fc.record({
    at: fc.nat({ max: template.length }),
    drop: fc.oneof({ weight: 4, arbitrary: fc.nat({ max: 12 }) }, { weight: 1, arbitrary: fc.nat({ max: 800 }) }),
    insert: piece,
  }),
  { minLength: 1, maxLength: 5 },
)

function mutate(changes: readonly Edit[]): string {
  let text = template
  for (const { at, drop, insert } of changes) text = text.slice(0, at) + insert + text.slice(at + drop)
  return text
}

void t.test('whatever is done to a good file, it loads or says where it is wrong', (t) => {
  t.ok(load(template, {}, 'f').config)
  let refused = 0
  fc.assert(
    fc.property(edits, (changes) => {
      const text = mutate(changes)
      const { config, errors } = load(text, {}, 'f')
      if (config) return errors === undefined
      refused++
      const most = lines + changes.reduce((sum, { insert }) => sum + insert.split(/\r?\n|\r/).length, 0)
      return (
        errors.length > 0 &&
        errors.every(
          (error) =>
            error.line >= 1 && error.line <= most && error.column >= 1 && error.message !== '' && error.file === 'f',
        )
      )
    }),
    { numRuns: 400 },
  )
  t.ok(refused > 50, `${String(refused)} of the files were wrong`)
  t.end()
})

void t.test('no text at all crashes it', (t) => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const { config, errors } = load(pieces.join(''), { X: '1' }, 'f')
      return (config === undefined) !== (errors === undefined)
    }),
    { numRuns: 500 },
  )
  t.end()
})
