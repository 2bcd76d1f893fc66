/** What crosses between processes keeps all that matters on the other side. */
import t from 'tap'
import { ordersOf } from '../../src/fleet/crossing.ts'
import type { EndpointState } from '../../src/live/runtime.ts'

t.test('an order crosses with what is left of its time and with the document that gave it', async (t) => {
  const order = { kind: 'drain', sinceMs: 0, untilMs: 5_000, wallMs: 0, reason: 'disk', by: 'alice' } as const
  const states = [
    { key: 'a', life: 1, leaving: false, order: { ...order, document: 'kv:fairlead/drains/a' } },
    { key: 'b', life: 2, leaving: false, order: { ...order, untilMs: Infinity, document: undefined } },
    { key: 'c', life: 3, leaving: false, order: undefined },
  ] as unknown as EndpointState[]
  const command = { kind: 'drain', reason: 'disk', by: 'alice' } as const
  t.same(ordersOf(states, 2_000), [
    { key: 'a', life: 1, command: { ...command, forMs: 3_000, document: 'kv:fairlead/drains/a' } },
    { key: 'b', life: 2, command: { ...command, forMs: undefined } },
  ])
})
