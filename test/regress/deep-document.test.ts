/**
 * Once, one document nested some thousand levels deep threw while it was read, and from then on none of the KV was read any
 * more; and documents were read as YAML, at 1 s for 64 KiB of short values.
 */
import fc from 'fast-check'
import t from 'tap'
import { parseRouteSettings, parseServiceSettings } from '../../src/config/parse-settings.ts'
import { readJson } from '../../src/config/read-json.ts'
import { type Place, readYaml } from '../../src/config/read-yaml.ts'
import { decodeDocuments } from '../../src/policy/kv/decode-documents.ts'
import { parseDocument } from '../../src/policy/layers.ts'

const envelope = (settings: string): string =>
  `{"revision":1,"by":"alice","at":"2026-11-26T07:00:00Z","settings":${settings}}`

const document = (key: string, settings: string, modifyIndex: number) => ({
  key,
  text: envelope(settings),
  flaw: undefined,
  modifyIndex,
})

const deep = (levels: number): readonly string[] => [
  '['.repeat(levels) + ']'.repeat(levels),
  '{"rules":[{"when":{"header":{"a":' + '{"not":'.repeat(levels) + '"x"' + '}'.repeat(levels) + '}}}]}',
  '{"a":'.repeat(levels) + '1' + '}'.repeat(levels),
]

void t.test('a document that is nested without end costs only itself', async (t) => {
  for (const settings of [...deep(40), ...deep(1_000), ...deep(8_000)]) {
    const documents = ['services/a', 'routes/b', 'services/c'].map((key, at) =>
      document(key, at === 2 ? '{"versions":{"1":1}}' : settings, at + 1),
    )
    const read = decodeDocuments('kv:f', new Map(documents.map((each) => [each.key, each])), parseDocument, undefined)
    t.strictSame([...read.documents.keys()], ['services/c'])
    t.equal(read.problems.length, 2)
    for (const { message } of read.problems) {
      t.match(message, /nested more than 32 levels deep/)
      t.ok(message.length < 400, message)
    }
  }
})

void t.test('of a thousand mistakes few are explained', async (t) => {
  const keys = Object.fromEntries(Array.from({ length: 6_000 }, (_, i) => [`k${i}`, 1]))
  for (const settings of [keys, { rules: Array.from({ length: 900 }, () => 0) }]) {
    const parsed = parseServiceSettings(settings)
    if (parsed.kind === 'good') throw new Error('it is bad')
    t.equal(parsed.messages.length, 64)
  }
})

/** Children alone: where something stands is known of a text only. */
function shapeOf(place: Place): unknown {
  return [place.list, [...place.children].map(([key, child]) => [key, shapeOf(child)])]
}

void t.test('JSON is read as it would be as YAML', async (t) => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), (json) => {
      // YAML takes this key for an order to merge.
      fc.pre(!JSON.stringify(json).includes('"<<":'))
      const [ours, theirs] = [readJson(json), readYaml(JSON.stringify(json))]
      t.strictSame(
        ours.mistakes.map(({ path, message }) => [path, message]),
        theirs.mistakes.map(({ path, message }) => [path, message]),
      )
      if (theirs.mistakes.length > 0) return
      t.strictSame(ours.value, theirs.value)
      t.strictSame(shapeOf(ours.root), shapeOf(theirs.root))
    }),
  )
  for (const json of [
    null,
    true,
    1e21,
    -0,
    9.1,
    '',
    '"',
    '\u2028',
    { '': [] },
    { __proto__: 1 },
    { a: { constructor: 1 } },
  ])
    t.strictSame(readJson(json).value, readYaml(JSON.stringify(json)).value)
})

void t.test('messages name the key', (t) => {
  t.same(parseRouteSettings({ service: 'web', headers: { request: { set: { 'X-A': 'a\r\nb' } } } }), {
    kind: 'bad',
    messages: [
      'headers.request.set.X-A: expected a header value of at most 4096 printable ASCII characters, without blanks at its ends; found "a\\r\\nb"',
    ],
  })
  t.end()
})
