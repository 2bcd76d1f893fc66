/** One piece of work after the other. */
import t from 'tap'
import { createInOrder } from '../../src/app/in-order.ts'
import { settle } from '../fixtures/raw-client.ts'

t.test('in the order of the calls, whatever each takes and however it ends', async (t) => {
  const inOrder = createInOrder()
  const first = Promise.withResolvers<number>()
  const begun: string[] = []
  const work = (name: string, end: () => Promise<number>) => () => {
    begun.push(name)
    return end()
  }
  const all = [
    inOrder(work('first', () => first.promise)),
    inOrder(work('second', () => Promise.reject(new Error('no')))),
    inOrder(work('third', () => Promise.resolve(3))),
  ]
  const ends = Promise.allSettled(all)
  await settle()
  t.same(begun, ['first'])
  first.resolve(1)
  t.match(await ends, [
    { status: 'fulfilled', value: 1 },
    { status: 'rejected', reason: { message: 'no' } },
    { status: 'fulfilled', value: 3 },
  ])
  t.same(begun, ['first', 'second', 'third'])
})
