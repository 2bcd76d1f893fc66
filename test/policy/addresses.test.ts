import fc from 'fast-check'
import { BlockList, isIPv6 } from 'node:net'
import t from 'tap'
import { createAddressCheck, defaultAddressCheck, type AddressRules } from '../../src/policy/addresses.ts'
import { isWithin, parseIp, parseRange } from '../../src/policy/ip.ts'

void t.test('what is never routed to', async (t) => {
  const refused: readonly [string, RegExp][] = [
    ['169.254.169.254', /link-local/],
    ['169.254.0.1', /link-local/],
    ['::ffff:169.254.169.254', /link-local/],
    ['64:ff9b::169.254.169.254', /link-local/],
    ['::FFFF:a9fe:a9fe', /link-local/],
    ['0:0:0:0:0:ffff:169.254.169.254', /link-local/],
    ['fe80::1', /link-local/],
    ['fe80::1%eth0', /link-local/],
    ['febf::1', /link-local/],
    ['0.0.0.0', /no host/],
    ['0.1.2.3', /no host/],
    ['::', /no host/],
    ['0:0:0:0:0:0:0:0', /no host/],
    ['::ffff:0.0.0.0', /no host/],
    ['224.0.0.1', /multicast/],
    ['239.255.255.255', /multicast/],
    ['ff02::1', /multicast/],
    ['255.255.255.255', /broadcast/],
  ]
  for (const [address, why] of refused) t.match(defaultAddressCheck(address, 80), why, address)
  for (const address of [
    '10.0.0.1',
    '127.0.0.1',
    '::1',
    'fec0::1',
    'fd00::1',
    '169.253.255.255',
    '169.255.0.0',
    '1.0.0.0',
    '223.255.255.255',
    '240.0.0.1',
    'web.internal',
    'localhost',
    '::ffff:10.0.0.1',
  ])
    t.equal(defaultAddressCheck(address, 80), undefined, address)
})

const rules = (parts: Partial<AddressRules>): AddressRules => ({
  allowed: undefined,
  reserved: [],
  local: [],
  ...parts,
})

void t.test('sockets of our own', async (t) => {
  const check = createAddressCheck(
    rules({
      reserved: [
        { host: '0.0.0.0', port: 8080, what: 'the listener edge' },
        { host: '127.0.0.1', port: 8082, what: 'the admin address' },
        { host: 'Consul.internal.', port: 8500, what: 'the catalog consul' },
        { host: 'localhost', port: 8501, what: 'the catalog other' },
      ],
      local: ['10.0.0.5', 'fd00::5', 'fe80::5%eth0'],
    }),
  )
  const refused: readonly [string, number, string][] = [
    ['127.0.0.1', 8080, 'it is that of the listener edge'],
    ['127.9.9.9', 8080, 'it is that of the listener edge'],
    ['::1', 8080, 'it is that of the listener edge'],
    ['localhost', 8080, 'it is that of the listener edge'],
    ['10.0.0.5', 8080, 'it is that of the listener edge'],
    ['::ffff:10.0.0.5', 8080, 'it is that of the listener edge'],
    ['fd00:0::5', 8080, 'it is that of the listener edge'],
    ['127.0.0.1', 8082, 'it is that of the admin address'],
    ['localhost', 8082, 'it is that of the admin address'],
    ['consul.INTERNAL', 8500, 'it is that of the catalog consul'],
    ['127.0.0.1', 8501, 'it is that of the catalog other'],
    ['::1', 8501, 'it is that of the catalog other'],
  ]
  for (const [address, port, why] of refused) t.equal(check(address, port), why, `${address} ${port}`)
  for (const [address, port] of [
    ['10.0.0.6', 8080],
    ['10.0.0.5', 8081],
    ['10.0.0.5', 8082],
    ['127.0.0.2', 8082],
    ['consul.internal', 8501],
    ['web', 8080],
  ] as const)
    t.equal(check(address, port), undefined, `${address} ${port}`)
})

void t.test('ranges', async (t) => {
  const check = createAddressCheck(
    rules({ allowed: ['10.0.0.0/8', 'fd00::/8', '192.0.2.7', '::ffff:198.51.100.0/120'] }),
  )
  for (const address of ['10.255.0.1', 'fd12::1', '192.0.2.7', '::ffff:10.0.0.1', '198.51.100.9'])
    t.equal(check(address, 80), undefined, address)
  for (const address of [
    '11.0.0.1',
    '127.0.0.1',
    'localhost',
    'fc00::1',
    '192.0.2.8',
    '::ffff:11.0.0.1',
    '198.51.101.1',
  ])
    t.equal(check(address, 80), 'policy.addresses does not allow it', address)
  t.match(check('web.internal', 80), /host name/, 'who knows where it leads')
  const wide = createAddressCheck(rules({ allowed: ['0.0.0.0/0', '::/0'] }))
  t.match(wide('169.254.169.254', 80), /link-local/, 'never, whatever is allowed')
  t.equal(wide('8.8.8.8', 80), undefined)
  t.equal(createAddressCheck(rules({ allowed: ['127.0.0.0/8'] }))('localhost', 80), undefined)
})

void t.test('addresses and ranges are read as Node reads them', async () => {
  const ip = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc.ipV4().map((text) => `::ffff:${text}`),
  )
  fc.assert(
    fc.property(ip, ip, fc.nat(128), (a, b, wish) => {
      const six = isIPv6(b)
      const bits = Math.min(wish, six ? 128 : 32)
      const list = new BlockList()
      list.addSubnet(b, bits, six ? 'ipv6' : 'ipv4')
      const [one, range] = [parseIp(a), parseRange(`${b}/${bits}`)]
      if (!one) throw new Error(`${a} was not read`)
      // A range that is wider than all mapped addresses is of another kind; Node takes it as it is written.
      if (!range) {
        if (b.startsWith('::ffff:') && bits < 96) return
        throw new Error(`${b}/${bits} was not read`)
      }
      const mapped = one.length === 4 && range.ip.length === 16
      if (mapped) return
      const expected = list.check(a, isIPv6(a) ? 'ipv6' : 'ipv4')
      if (isWithin(one, range) !== expected) throw new Error(`${a} in ${b}/${bits}`)
    }),
    { numRuns: 500 },
  )
})

void t.test('whatever is no address is none', async (t) => {
  for (const text of [
    '',
    '1.2.3',
    '1.2.3.256',
    '01.2.3.4',
    '1::2::3',
    ':::',
    '12345::',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    'x',
  ])
    t.equal(parseIp(text), undefined, text)
  for (const text of ['', '10.0.0.0/33', '10.0.0.0/x', '::/129', '10.0.0.0/8/8', '10.0.0.0/'])
    t.equal(parseRange(text), undefined, text)
})
