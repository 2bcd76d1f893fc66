import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { instanceKey, type Instance, type ServiceSnapshot, type Snapshot } from '../../src/catalog/snapshot.ts'
import {
  decodeFile,
  encodeBody,
  encodeFile,
  stepChars,
  type Knowledge,
  type SourceKnowledge,
} from '../../src/control/snapshot-codec.ts'
import type { DocumentKnowledge, PolicyDocument } from '../../src/policy/documents/documents.ts'
import { atOnce, inTurns, type Steps } from '../../src/core/turn.ts'
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

const documentOf: fc.Arbitrary<PolicyDocument> = fc
  .record({
    key: text.filter((key) => key !== ''),
    text: word,
    modifyIndex: fc.maxSafeNat(),
    flaw: fc.constantFrom(undefined, 'too-large' as const, 'not-utf8' as const),
  })
  .map(({ flaw, ...rest }) => (flaw === undefined ? rest : { ...rest, flaw }))

const policies: fc.Arbitrary<DocumentKnowledge[]> = fc.uniqueArray(
  fc
    .record({
      source: word,
      documents: fc
        .uniqueArray(documentOf, { maxLength: 4, selector: ({ key }) => key })
        .map((list) => new Map(list.map((one) => [one.key, one]))),
      asOfMs: fc.nat(),
    })
    .map((one) => ({ ...one })),
  { maxLength: 3, selector: ({ source }) => source },
)

const catalogs: fc.Arbitrary<SourceKnowledge[]> = fc.uniqueArray(word, { maxLength: 3 }).chain((names) =>
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

const knowledge: fc.Arbitrary<Knowledge> = fc.record({ sources: catalogs, policies })

const bodyOf = (known: Knowledge): string => atOnce(encodeBody(known)).join('')
const fileOf = (known: Knowledge, body: readonly string[]): string =>
  Buffer.concat(atOnce(encodeFile(known, body))).toString()
const write = (known: Knowledge): string => fileOf(known, atOnce(encodeBody(known)))

const alone = (...sources: readonly SourceKnowledge[]): Knowledge => ({ sources, policies: [] })

function policy(...keys: readonly string[]): DocumentKnowledge {
  const documents = new Map(keys.map((key) => [key, { key, text: 'x', modifyIndex: 1 }]))
  return { source: 'kv:fairlead', documents, asOfMs: 6 }
}

void t.test('a file of the version before is read', async (t) => {
  const one = alone({ name: 'consul', snapshot: snapshot(service('web', [instance('web', 'a')])), asOfMs: 5 })
  const told = [{ name: 'consul', asOfMs: 5 }]
  const body = bodyOf(one)
  const sha256 = createHash('sha256').update(JSON.stringify(told)).update('\n').update(body).digest('hex')
  const header = { format: 'fairlead-snapshot', version: 1, sources: told, sha256 }
  const decoded = decodeFile(`${JSON.stringify(header)}\n${body}`)
  if (decoded.kind === 'bad') throw new Error(decoded.reason)
  t.equal(decoded.sources.get('consul')?.snapshot.services.get('web')?.instances.length, 1)
  t.equal(decoded.policies.size, 0)
})

void t.test('what is written is read, whatever it holds', async () => {
  fc.assert(
    fc.property(knowledge, ({ sources, policies: told }) => {
      const decoded = decodeFile(Buffer.from(write({ sources, policies: told })).toString())
      if (decoded.kind === 'bad') throw new Error(decoded.reason)
      const read = [...decoded.sources.values()].map((one) => [one.name, one.asOfMs, content(one.snapshot)])
      const wanted = sources.map((one) => [one.name, one.asOfMs, content(one.snapshot)])
      assert.deepStrictEqual(read, wanted)
      assert.deepStrictEqual([...decoded.policies.values()], told)
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
    write({
      ...alone({ name: 'consul', snapshot: snapshot(service('web', [instance('web', 'a')])), asOfMs: 5 }),
      policies: [policy('services/web')],
    }),
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
  const good = write(alone({ name: 'consul', snapshot: snapshot(service('web', [instance('web', 'a')])), asOfMs: 5 }))
  const [head = '', line = ''] = good.split('\n')
  const header = JSON.parse(head) as Record<string, unknown>
  const withBody = (body: string): string => {
    const empty = { name: 'consul', snapshot: snapshot(), asOfMs: 5 }
    return fileOf({ ...alone(empty), policies: [policy()] }, [body])
  }
  const changed = (change: (one: Record<string, unknown>) => void): string => {
    const parsed = JSON.parse(line) as { instances: Record<string, unknown>[] }
    change(parsed.instances[0] ?? {})
    return withBody(`${JSON.stringify(parsed)}\n`)
  }
  t.equal(decodeFile(changed(() => {})).kind, 'good')
  const document = (change: object): string =>
    `${JSON.stringify({ policy: 'kv:fairlead', key: 'services/web', text: 'x', modifyIndex: 1, ...change })}\n`
  t.equal(decodeFile(withBody(document({}))).kind, 'good')
  const cases: readonly [string, string, RegExp][] = [
    ['empty', '', /no header/],
    ['not JSON', 'hello\n', /not JSON/],
    ['another program', '{}\n', /not one of ours/],
    ['a later format', `${JSON.stringify({ ...header, version: 3 })}\n${line}\n`, /version 3, this program reads 2/],
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
    ['a document of an unknown source', withBody(document({ policy: 'other' })), /"other"/],
    ['a document twice', withBody(document({}) + document({})), /may not be/],
    ['a document without a key', withBody(document({ key: '' })), /key is empty/],
    ['a document without a text', withBody(document({ text: 5 })), /text/],
    ['an index', withBody(document({ modifyIndex: -1 })), /modifyIndex/],
    ['a flaw', withBody(document({ flaw: 'constructor' })), /flaw/],
    ['a service twice', withBody(`${line}\n${line}\n`), /may not be/],
  ]
  for (const [name, file, reason] of cases) t.match(decodeFile(file), { kind: 'bad', reason }, name)
})

void t.test('the same knowledge has the same body, whenever it was heard', async (t) => {
  const known = (asOfMs: number, id = 'a'): Knowledge =>
    alone({ name: 'consul', snapshot: snapshot(service('web', [instance('web', id)])), asOfMs })
  t.equal(bodyOf(known(1)), bodyOf(known(2)))
  t.not(bodyOf(known(1)), bodyOf(known(1, 'b')))
})

void t.test('a large catalog is written in steps, and what did not change costs nothing', async (t) => {
  let reads = 0
  const of = (i: number, createIndex: number): ServiceSnapshot => {
    const instances = Array.from({ length: 10 }, (_, n) => instance(`s${i}`, `i${n}`, { createIndex }))
    return Object.freeze({
      name: `s${i}`,
      get instances() {
        reads++
        return instances
      },
    })
  }
  const all = Array.from({ length: 1_000 }, (_, i) => of(i, 1))
  const known = (services: readonly ServiceSnapshot[]): Knowledge =>
    alone({ name: 'consul', snapshot: snapshot(...services), asOfMs: 1 })
  const counted = async <T>(steps: Steps<T>): Promise<{ readonly value: T; readonly pauses: number }> => {
    let pauses = 0
    const value = await inTurns(steps, async () => void pauses++)
    return { value, pauses }
  }
  const first = await counted(encodeBody(known(all)))
  const chars = first.value.join('').length
  t.ok(first.pauses >= Math.floor(chars / (stepChars * 1.2)))
  t.equal(reads, 1_000)
  const file = await counted(encodeFile(known(all), first.value))
  t.equal(file.pauses, first.pauses)
  for (const piece of file.value) t.ok(piece.length < stepChars * 1.2)
  reads = 0
  const second = await counted(encodeBody(known(all.with(3, of(3, 2)))))
  t.equal(second.pauses, 0)
  t.equal(reads, 1)
  t.equal(second.value.filter((line, i) => line !== first.value[i]).length, 1)
  t.equal(decodeFile(Buffer.concat(file.value).toString()).kind, 'good')
})
