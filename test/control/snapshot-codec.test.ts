import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { instanceKey, type Instance, type Snapshot } from '../../src/catalog/snapshot.ts'
import { decodeFile, encodeBody, encodeFile, type SourceKnowledge } from '../../src/control/snapshot-codec.ts'
import { instance, service, snapshot } from '../fixtures/tables.ts'

const text = fc.string({ unit: 'binary', maxLength: 12 })
const word = fc.oneof(text, fc.constantFrom('__proto__', 'constructor', '\n', '\u2028', '\ud800'))
const record = fc.dictionary(word, word, { maxKeys: 4, noNullPrototype: false }).map((value) => {
  const made = Object.create(null) as Record<string, string>
  for (const [key, inner] of Object.entries(value)) made[key] = inner
  return made
})

const instanceOf = (source: string, name: string): fc.Arbitrary<Instance> =>
  fc
    .record({
      node: word,
      id: word,
      address: text.filter((address) => address !== ''),
      port: fc.integer({ min: 1, max: 65_535 }),
      tags: fc.array(word, { maxLength: 3 }),
      meta: record,
      nodeMeta: record,
      weights: fc.tuple(fc.nat(), fc.nat()).map(([passing, warning]) => ({ passing, warning })),
      status: fc.constantFrom('passing', 'warning', 'critical', 'maintenance'),
      agentLost: fc.boolean(),
      createIndex: fc.maxSafeNat(),
    })
    .map((parts) => ({ key: instanceKey({ ...parts, source, service: name }), ...parts, source, service: name }))

const knowledge: fc.Arbitrary<SourceKnowledge[]> = fc.uniqueArray(word, { maxLength: 3 }).chain((names) =>
  fc.tuple(
    ...names.map((name) =>
      fc
        .uniqueArray(word, { maxLength: 3 })
        .chain((services) =>
          fc.tuple(
            ...services.map((each) =>
              fc
                .uniqueArray(instanceOf(name, each), { maxLength: 4, selector: ({ key }) => key })
                .map((list) => service(each, list)),
            ),
          ),
        )
        .chain((services) =>
          fc.record({ name: fc.constant(name), snapshot: fc.constant(snapshot(...services)), asOfMs: fc.nat() }),
        ),
    ),
  ),
)

/** A snapshot as plain data. */
const content = ({ services }: Snapshot): unknown => [...services]

const write = (sources: readonly SourceKnowledge[]): string => encodeFile(sources, encodeBody(sources))

void t.test('what is written is read, whatever it holds', async () => {
  fc.assert(
    fc.property(knowledge, (sources) => {
      const decoded = decodeFile(Buffer.from(write(sources)).toString())
      if (decoded.kind === 'bad') throw new Error(decoded.reason)
      const read = [...decoded.sources.values()].map((one) => [one.name, one.asOfMs, content(one.snapshot)])
      const wanted = sources.map((one) => [one.name, one.asOfMs, content(one.snapshot)])
      assert.deepStrictEqual(read, wanted)
      for (const { snapshot: one } of decoded.sources.values())
        for (const { instances } of one.services.values())
          for (const { meta, nodeMeta } of instances)
            if (Object.getPrototypeOf(meta) !== null || Object.getPrototypeOf(nodeMeta) !== null)
              throw new Error('a prototype')
    }),
    { numRuns: 150 },
  )
})

void t.test('a file that lost or changed any of its bytes is not used', async () => {
  const whole = Buffer.from(
    write([{ name: 'consul', snapshot: snapshot(service('web', [instance('web', 'a')])), asOfMs: 5 }]),
  )
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), fc.boolean(), (at, by, cut) => {
      const broken = cut ? whole.subarray(0, at) : Buffer.from(whole)
      if (!cut) broken[at] = ((whole[at] ?? 0) + by) % 256
      const decoded = decodeFile(broken.toString())
      if (decoded.kind === 'good') throw new Error(`used, broken at ${at}`)
    }),
  )
})

void t.test('nothing that is read throws', async () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (any) => void decodeFile(`${any}\n${any}`)))
})

void t.test('what is not ours, and what is ours and wrong, is refused by a reason', async (t) => {
  const good = write([{ name: 'consul', snapshot: snapshot(service('web', [instance('web', 'a')])), asOfMs: 5 }])
  const [head = '', line = ''] = good.split('\n')
  const header = JSON.parse(head) as Record<string, unknown>
  const withBody = (body: string): string => {
    const empty = { name: 'consul', snapshot: snapshot(), asOfMs: 5 }
    return encodeFile([empty], body)
  }
  const changed = (change: (one: Record<string, unknown>) => void): string => {
    const parsed = JSON.parse(line) as { instances: Record<string, unknown>[] }
    change(parsed.instances[0] ?? {})
    return withBody(`${JSON.stringify(parsed)}\n`)
  }
  t.equal(decodeFile(changed(() => {})).kind, 'good')
  const cases: readonly [string, string, RegExp][] = [
    ['empty', '', /no header/],
    ['not JSON', 'hello\n', /not JSON/],
    ['another program', '{}\n', /not one of ours/],
    ['a later format', `${JSON.stringify({ ...header, version: 2 })}\n${line}\n`, /version 2, this program reads 1/],
    ['torn', good.slice(0, -5), /checksum/],
    ['a port', changed((one) => (one['port'] = 0)), /port/],
    ['an empty address', changed((one) => (one['address'] = '')), /address is empty/],
    ['a status', changed((one) => (one['status'] = 'constructor')), /status/],
    ['a weight', changed((one) => (one['weights'] = { passing: 1.5, warning: 1 })), /weight/],
    ['tags', changed((one) => (one['tags'] = [1])), /tag/],
    ['meta', changed((one) => (one['meta'] = [])), /meta/],
    ['agentLost', changed((one) => (one['agentLost'] = 'no')), /agentLost/],
    ['createIndex', changed((one) => (one['createIndex'] = -1)), /createIndex/],
    ['an unknown source', withBody(line.replace('"consul"', '"other"')), /"other"/],
    ['a service twice', withBody(`${line}\n${line}\n`), /may not be/],
  ]
  for (const [name, file, reason] of cases) t.match(decodeFile(file), { kind: 'bad', reason }, name)
})

void t.test('the same knowledge has the same body, whenever it was heard', async (t) => {
  const known = (asOfMs: number, id = 'a'): SourceKnowledge[] => [
    { name: 'consul', snapshot: snapshot(service('web', [instance('web', id)])), asOfMs },
  ]
  t.equal(encodeBody(known(1)), encodeBody(known(2)))
  t.not(encodeBody(known(1)), encodeBody(known(1, 'b')))
})
