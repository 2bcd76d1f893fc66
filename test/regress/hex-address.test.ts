/** An instance registered at 0x7f000001 passed for a host name, and led to this proxy's own admin address. */
import t from 'tap'
import { isPlausibleAddress } from '../../src/table/address.ts'

t.test('a number in any spelling that resolvers take is no host name', async (t) => {
  for (const address of ['0x7f000001', '0X7F000001', '127.0.0.0x1', '0xa9fea9fe', '1.0x', '0x', 'a.0x1.', '2130706433'])
    t.notOk(isPlausibleAddress(address), address)
  for (const address of ['0x7f.example', 'ox7f', '0xg', 'web-0x1', 'a0x1']) t.ok(isPlausibleAddress(address), address)
})
