/** Envelopes, names and what a bad document costs. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import type { PolicyDocument } from '../../src/policy/documents/documents.ts'
import { decodeDocuments, type DecodedDocuments, type ParseSettings } from '../../src/policy/kv/decode-documents.ts'
import { decodeEnvelope, encodeEnvelope } from '../../src/policy/kv/envelope.ts'
import { documentKey, historyKey, nameFault, readKey, revisionMax, revisionOf } from '../../src/policy/kv/keys.ts'

const envelope = (more: object = {}): string =>
  JSON.stringify({ revision: 7, by: 'alice', at: '2026-11-26T07:00:00Z', reason: 'why', settings: { n: 1 }, ...more })

const documentsOf = (texts: Readonly<Record<string, string>>): Map<string, PolicyDocument> =>
  new Map(Object.entries(texts).map(([key, text]) => [key, { key, text, modifyIndex: 5 }]))

/** Settings are good when they have a number n. */
const parse: ParseSettings<number> = (settings, kind, name) => {
  const n = (settings as { n?: unknown } | null)?.n
  return typeof n === 'number'
    ? { kind: 'good', settings: n }
    : { kind: 'bad', messages: [`settings.n of ${kind} ${name} is no number`, 'and more'] }
}

const read = (
  documents: ReadonlyMap<string, PolicyDocument>,
  previous?: DecodedDocuments<number>,
): DecodedDocuments<number> => decodeDocuments('kv:fairlead', documents, parse, previous)

void t.test('what is written is read', async () => {
  const known = fc.record({
    revision: fc.integer({ min: 1, max: revisionMax }),
    by: fc.string({ minLength: 1, maxLength: 256, unit: 'binary' }),
    at: fc
      .date({ noInvalidDate: true, min: new Date(0), max: new Date('9999-12-31T00:00:00Z') })
      .map((at) => at.toISOString()),
    reason: fc.string({ maxLength: 1024 }),
    settings: fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.parse(JSON.stringify(value)) as unknown),
  })
  fc.assert(
    fc.property(known, (one) => {
      assert.deepEqual(decodeEnvelope(encodeEnvelope(one)), { kind: 'good', envelope: { ...one } })
    }),
  )
})

void t.test('whatever a text is, it is read or has reasons', async () => {
  const any = fc.oneof(
    fc.string(),
    fc.json(),
    fc.json().map((json) => envelope({ settings: json })),
  )
  fc.assert(
    fc.property(any, fc.string(), (text, key) => {
      const reading = decodeEnvelope(text)
      if (reading.kind === 'bad' && reading.reasons.length === 0) throw new Error('no reason')
      const decoded = read(new Map([[key, { key, text, modifyIndex: 1 }]]))
      return decoded.documents.size > 0 === (decoded.problems.length === 0)
    }),
    { numRuns: 400 },
  )
})

void t.test('what is wrong with an envelope', async (t) => {
  const cases: readonly [string, string, RegExp][] = [
    ['no JSON', '{', /not JSON/],
    ['a list', '[]', /no JSON object/],
    ['null', 'null', /no JSON object/],
    ['nothing', '', /not JSON/],
    ['no revision', envelope({ revision: undefined }), /revision/],
    ['revision 0', envelope({ revision: 0 }), /revision/],
    ['half a revision', envelope({ revision: 1.5 }), /revision/],
    ['a text as revision', envelope({ revision: '7' }), /revision/],
    ['a revision that does not sort', envelope({ revision: 10_000_000_000 }), /revision/],
    ['nobody', envelope({ by: '' }), /by is/],
    ['a long by', envelope({ by: 'x'.repeat(257) }), /by is/],
    ['no time', envelope({ at: 'yesterday' }), /at is/],
    ['a thirteenth month', envelope({ at: '2026-13-26T07:00:00Z' }), /at is/],
    ['another zone', envelope({ at: '2026-11-26T07:00:00+01:00' }), /at is/],
    ['a reason of another type', envelope({ reason: 5 }), /reason/],
    ['a long reason', envelope({ reason: 'x'.repeat(1_025) }), /reason/],
    ['no settings', envelope({ settings: undefined }), /no settings$/],
    [
      'misspelt settings',
      envelope({ settings: undefined, setings: {} }),
      /no settings; by "setings", did you mean "settings"\?/,
    ],
  ]
  for (const [name, text, reason] of cases) {
    const reading = decodeEnvelope(text)
    t.match(reading, { kind: 'bad', reasons: [reason] }, name)
  }
  t.match(decodeEnvelope('{"__proto__":{"revision":1}}'), { kind: 'bad' }, 'a prototype gives no fields')
  t.match(decodeEnvelope('{}'), { reasons: { length: 4 } }, 'all that is wrong is said at once')
  t.match(decodeEnvelope(envelope({ reason: undefined, later: true })), { kind: 'good', envelope: { reason: '' } })
})

void t.test('names and keys', async (t) => {
  for (const name of ['web', 'a.b-c_d', 'ä', 'x'.repeat(128), 'constructor', '...'])
    t.strictSame(readKey(documentKey('services', name)), { kind: 'services', name })
  const bad: readonly [string, RegExp][] = [
    ['services/', /empty/],
    ['services/..', /no name/],
    ['services/.', /no name/],
    ['services/__proto__', /__proto__/],
    ['services/a/b', /slash/],
    [`services/${'ä'.repeat(65)}`, /130 bytes/],
    ['services/a\u0000', /control/],
    ['services/\ud800', /UTF-8/],
    ['services/a\ufffd', /UTF-8/],
    ['service/a', /none of the folders services, routes, drains; services\/a was probably meant/],
    ['Routes/a/b', /routes\/a\/b was probably meant/],
    ['services', /services\/NAME was probably meant/],
    ['route/', /routes\/NAME was probably meant/],
  ]
  for (const key of ['other/a', '__proto__/a', 'web', '', 'x/']) t.strictSame(readKey(key), { kind: 'foreign' }, key)
  for (const [key, reason] of bad) t.match(readKey(key), { kind: 'bad', reason }, key)
  t.equal(nameFault('ok'), undefined)
  const revision = fc.integer({ min: 1, max: revisionMax })
  fc.assert(
    fc.property(revision, revision, (a, b) => {
      const [first, second] = [historyKey('services', 'web', a), historyKey('services', 'web', b)]
      return first < second === a < b && revisionOf(first) === a
    }),
  )
  for (const key of ['history/services/web/1', 'history/services/web/000000000x', 'history/services/web/'])
    t.equal(revisionOf(key), undefined)
})

void t.test(
  'what lies beside the folders is told: as an error where a folder is misspelt, else as a notice',
  async (t) => {
    const { documents, problems } = read(documentsOf({ 'other/a': '', 'service/web': '', 'services/web': envelope() }))
    t.same([...documents.keys()], ['services/web'])
    t.match(problems, [
      { code: 'stray-key', notice: true, where: 'kv:fairlead/other/a', message: /services, routes, drains$/ },
      {
        code: 'bad-policy-document',
        where: 'kv:fairlead/service/web',
        message: /services\/web was probably meant; it has no effect/,
      },
    ])
    t.equal(problems[1]?.notice, undefined)
  },
)

void t.test('a bad document costs itself alone and keeps its last good form', async (t) => {
  const first = read(documentsOf({ 'services/db': envelope(), 'services/web': envelope() }))
  t.same(first.problems, [])
  t.match(first.documents.get('services/web'), {
    kind: 'services',
    name: 'web',
    modifyIndex: 5,
    envelope: { revision: 7, by: 'alice', settings: 1 },
  })
  const broken: readonly [string, Partial<PolicyDocument>, RegExp][] = [
    ['not JSON', { text: 'x' }, /not JSON/],
    ['settings', { text: envelope({ settings: { n: 'x' } }) }, /settings\.n of services web is no number/],
    ['too large', { text: '', flaw: 'too-large' }, /larger than 65536 bytes/],
    ['no UTF-8', { text: '', flaw: 'not-utf8' }, /no UTF-8/],
  ]
  for (const [name, change, message] of broken) {
    const documents = documentsOf({ 'services/db': envelope({ revision: 8 }), 'services/new': envelope() })
    documents.set('services/web', { key: 'services/web', text: '', modifyIndex: 6, ...change })
    const second = read(documents, first)
    t.equal(second.documents.get('services/web'), first.documents.get('services/web'), name)
    t.equal(second.documents.get('services/db')?.envelope.revision, 8)
    t.ok(second.documents.has('services/new'))
    t.match(second.problems[0], {
      code: 'bad-policy-document',
      where: 'kv:fairlead/services/web',
      message: new RegExp(`${message.source}.*last good form, revision 7 by alice, stays`),
    })
    const third = read(documents, second)
    t.equal(third.documents.get('services/web'), first.documents.get('services/web'), 'for as long as it takes')
    t.strictSame(third.problems, second.problems)
    const mended = read(documentsOf({ 'services/web': envelope({ revision: 9 }) }), third)
    t.equal(mended.documents.get('services/web')?.envelope.revision, 9)
    t.same(mended.problems, [])
    t.equal(read(documentsOf({}), third).documents.size, 0, 'what is deleted is gone')
  }
  const never = read(documentsOf({ 'services/__proto__': envelope(), 'services/web': '{}' }))
  t.equal(never.documents.size, 0)
  t.match(never.problems, [
    { where: 'kv:fairlead/services/__proto__', message: /it has no effect/ },
    { where: 'kv:fairlead/services/web', message: /^the document is not used: .*; .*; it has no effect\. Write/ },
  ])
  t.equal(never.problems.length, 2, 'one for each document, whatever is wrong with it')
  const wordy: ParseSettings<number> = () => ({ kind: 'bad', messages: Array.from({ length: 20 }, (_, i) => `m${i}`) })
  const { problems } = decodeDocuments('kv:x', documentsOf({ 'services/a': envelope() }), wordy, undefined)
  t.match(problems, [{ message: /used: m0; .*; m7; and 12 more; it has no effect/ }])
})

void t.test('what did not change is not read again', async (t) => {
  let count = 0
  const counting: ParseSettings<number> = (settings, kind, name) => {
    count += 1
    return parse(settings, kind, name)
  }
  const documents = documentsOf({ 'services/a': envelope(), 'services/b': envelope({ settings: 1 }) })
  const first = decodeDocuments('kv:fairlead', documents, counting, undefined)
  const second = decodeDocuments(
    'kv:fairlead',
    new Map([...documents, ...documentsOf({ 'services/c': envelope() })]),
    counting,
    first,
  )
  t.equal(count, 3)
  t.equal(second.documents.get('services/a'), first.documents.get('services/a'))
  t.equal(second.problems[0], first.problems[0])
})
