/** Drain documents: what is written is read, and what is wrong is named. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { instanceKey } from '../../src/catalog/snapshot.ts'
import { encodeDrain, parseDrain } from '../../src/policy/kv/drain-document.ts'

const text = fc.string().filter((value) => !value.includes('\u001f'))

const instance = fc.record({
  source: text,
  node: text,
  service: text,
  id: text,
  address: text,
  port: fc.integer({ min: 1, max: 65_535 }),
})

void t.test('what is written is read', async () => {
  const untilMs = fc.option(fc.integer({ min: 0, max: Date.parse('9999-12-31T00:00:00Z') }), { nil: undefined })
  fc.assert(
    fc.property(instance, fc.maxSafeNat(), untilMs, (parts, life, untilMs) => {
      const drain = { key: instanceKey(parts), life, untilMs }
      const json: unknown = JSON.parse(JSON.stringify(encodeDrain(drain)))
      assert.deepEqual(parseDrain(json), { kind: 'good', drain })
    }),
  )
})

void t.test('whatever it is, it is read or has reasons, and is never taken for another instance', async () => {
  const anything = fc.oneof(
    fc.jsonValue(),
    fc.record(
      {
        instance: fc.oneof(instance, fc.jsonValue()),
        life: fc.oneof(fc.integer(), fc.jsonValue()),
        until: fc.jsonValue(),
      },
      { requiredKeys: [] },
    ),
    instance.chain((parts) =>
      fc.constantFrom(...Object.keys(parts)).map((name) => ({ instance: { ...parts, [name]: null }, life: 1 })),
    ),
  )
  fc.assert(
    fc.property(anything, (json) => {
      const reading = parseDrain(json)
      if (reading.kind === 'bad') return reading.messages.length > 0
      assert.deepEqual(parseDrain(encodeDrain(reading.drain)), reading)
      return true
    }),
    { numRuns: 500 },
  )
})

void t.test('what is wrong is named', async (t) => {
  const good = {
    instance: { source: 'consul', node: 'n1', service: 'shop', id: 'shop-0', address: '10.0.0.7', port: 8080 },
    life: 12,
  }
  t.match(parseDrain(good), { kind: 'good', drain: { life: 12, untilMs: undefined } })
  const cases: readonly (readonly [unknown, readonly RegExp[]])[] = [
    [null, [/source/, /node/, /service/, /id/, /address/, /port/, /^life: /]],
    [{ ...good, life: -1 }, [/^life: expected the registration's CreateIndex/]],
    [{ ...good, until: 'soon' }, [/^until: expected a time such as/]],
    [{ ...good, until: '2026-02-31T25:00:00Z' }, [/^until: /]],
    [{ ...good, until: null }, [/^until: /]],
    [{ ...good, instance: { ...good.instance, port: 0 } }, [/^instance\.port: /]],
    [{ ...good, instance: { ...good.instance, id: 7 } }, [/^instance\.id: /]],
    [{ ...good, instance: { ...good.instance, id: 'a\u001fb' } }, [/^instance\.id: /]],
  ]
  for (const [json, messages] of cases) {
    const reading = parseDrain(json)
    t.match(reading, { kind: 'bad', messages }, JSON.stringify(json))
    t.equal(reading.kind === 'bad' && reading.messages.length, messages.length, JSON.stringify(json))
  }
})
