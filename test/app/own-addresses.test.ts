/** Which sockets no instance may have: written down, or chosen by the system. */
import t from 'tap'
import { createOwnAddresses, reservedSockets, type OpenSockets } from '../../src/app/own-addresses.ts'
import { configOf } from '../fixtures/app.ts'

const nothing: OpenSockets = { listeners: [], status: undefined, admin: undefined, catalogs: [] }

t.test('what the configuration says, and what is open', async (t) => {
  const config = configOf(`
listen: [{ address: "0.0.0.0:8080", name: edge }, { address: "127.0.0.1:0", name: any }]
status: { address: "[::]:8081" }
admin: { address: "127.0.0.1:0" }
catalog:
  - consul: { address: "https://consul.example.com", name: far }
  - consul: { address: "unix:/run/consul.sock", name: near }
  - embedded: { address: "127.0.0.1:0" }
  - file: services.json
`)
  t.same(reservedSockets(config, nothing), [
    { host: '0.0.0.0', port: 8080, what: 'the listener edge' },
    { host: '::', port: 8081, what: 'the status pages' },
    { host: 'consul.example.com', port: 443, what: 'the catalog far' },
  ])
  const open: OpenSockets = {
    listeners: [
      { name: 'edge', host: '0.0.0.0', port: 8080 },
      { name: 'any', host: '127.0.0.1', port: 1001 },
    ],
    status: '[::]:8081',
    admin: '127.0.0.1:1002',
    catalogs: ['https://consul.example.com', 'unix:/run/consul.sock', 'http://127.0.0.1:1003', undefined],
  }
  t.same(
    reservedSockets(config, open).map(({ host, port }) => `${host} ${port}`),
    ['0.0.0.0 8080', '127.0.0.1 1001', ':: 8081', '127.0.0.1 1002', 'consul.example.com 443', '127.0.0.1 1003'],
  )
})

t.test('the check is the same one while nothing differs, and knows the interfaces', async (t) => {
  const config = configOf('listen: [{ address: "0.0.0.0:8080" }]\npolicy: { addresses: [10.0.0.0/8] }\n')
  let local = ['10.0.0.5']
  const own = createOwnAddresses(() => local)
  const first = own.check(config, nothing)
  t.equal(
    own.check(configOf('listen: [{ address: "0.0.0.0:8080" }]\npolicy: { addresses: [10.0.0.0/8] }\n'), nothing),
    first,
  )
  t.match(first('10.0.0.5', 8080), /listener/)
  t.equal(first('10.0.0.6', 8080), undefined)
  t.match(first('11.0.0.1', 8080), /policy\.addresses/)
  local = ['10.0.0.6']
  const second = own.check(config, nothing)
  t.not(second, first)
  t.match(second('10.0.0.6', 8080), /listener/)
})
