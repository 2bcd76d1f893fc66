/** Rows G1 to G5: who the client was. (G6 is about a protocol no listener here speaks.) */
import assert from 'node:assert/strict'
import t from 'tap'
import { runCases, type Case } from '../fixtures/cases.ts'
import { forwarded, get, head, withRig } from '../fixtures/rules.ts'
import type { Rig } from '../fixtures/rig.ts'
import { values, type Message } from '../fixtures/wire-message.ts'

const line = 'GET / HTTP/1.1'
const trusted = { trust: ['127.0.0.0/8'] }
const one = (request: Message, name: string): string => {
  const all = values(request.fields, name)
  assert.equal(all.length, 1, `one ${name} in ${request.head}`)
  return all[0] ?? ''
}

function assertOurs(request: Message, rig: Rig): void {
  assert.equal(one(request, 'x-forwarded-for'), '127.0.0.1')
  assert.equal(one(request, 'x-forwarded-host'), 'a.test')
  assert.equal(one(request, 'x-forwarded-proto'), 'http')
  assert.equal(one(request, 'x-forwarded-port'), String(rig.port))
  assert.equal(one(request, 'x-real-ip'), '127.0.0.1')
  const forwardedAs = one(request, 'forwarded')
  assert.match(forwardedAs, /(^|;)for=127\.0\.0\.1(;|$)/)
  assert.match(forwardedAs, /(^|;)proto=http(;|$)/)
  assert.match(forwardedAs, /(^|;)host="?a\.test"?(;|$)/)
}

const untrusted: Case[] = [
  forwarded('G1 all of ours are set', get, { line, check: assertOurs }),
  ...[
    'X-Forwarded-For: 9.9.9.9',
    'X-Forwarded-Host: evil.test',
    'X-Forwarded-Proto: https',
    'X-Forwarded-Port: 9999',
    'X-Real-IP: 9.9.9.9',
    'Forwarded: for=9.9.9.9;proto=https;host=evil.test',
    'x-forwarded-for: 9.9.9.9',
    'FORWARDED: for=9.9.9.9',
    'X-REAL-ip: 9.9.9.9',
  ].map((text) =>
    forwarded(`G1 ${text} from an untrusted peer is replaced`, head(line, text, text), { line, check: assertOurs }),
  ),
  ...[
    'X-Forwarded-Prefix: /evil',
    'X-Forwarded-Server: evil',
    'X-Forwarded-Uri: /evil',
    'X-Forwarded-Method: DELETE',
    'X-Forwarded-Tls-Client-Cert: evil',
    'X-Forwarded-Tls-Client-Cert-Info: evil',
    'X-Forwarded-Client-Cert: evil',
    'X-Original-URL: /evil',
    'X-Original-Uri: /evil',
    'X-Original-Host: evil.test',
    'X-Original-For: 9.9.9.9',
    'X-Original-Proto: https',
    'X-Original-Method: DELETE',
    'X-Rewrite-URL: /evil',
  ].map((text) =>
    forwarded(`G1 ${text} from an untrusted peer is removed`, head(line, text, text.toUpperCase(), 'X-Kept: 1'), {
      line,
      fields: [
        ['host', 'a.test'],
        ['x-kept', '1'],
      ],
    }),
  ),
  forwarded('G5 X-Forwarded-Host is the Host as validated', 'GET / HTTP/1.1\r\nHost: A.TEST:8080\r\n\r\n', {
    line,
    check: (request) => assert.equal(one(request, 'x-forwarded-host').toLowerCase(), 'a.test:8080'),
  }),
  {
    name: 'G1 each request of a connection gets its own',
    run: (mode) =>
      withRig({}, async (rig) => {
        const client = await rig.client()
        await client.send(get + head(line, 'X-Forwarded-For: 9.9.9.9') + get, mode)
        for (let i = 0; i < 3; i++) assert.equal((await client.answer()).status, 200)
        assert.equal(rig.requests.length, 3)
        for (const request of rig.requests) assertOurs(request, rig)
        assert.equal(new Set(rig.requests.map((request) => one(request, 'x-request-id'))).size, 3)
      }),
  },
  forwarded('G1 a list of trusted ranges without this peer', head(line, 'X-Forwarded-For: 9.9.9.9'), {
    line,
    rig: { trust: ['10.0.0.0/8', '127.0.0.2/32', '::1/128', '192.168.0.0/16'] },
    check: assertOurs,
  }),
]

const from = (...texts: string[]): string => head(line, ...texts)
const believed: Case[] = [
  forwarded('G2 trusted, nothing sent', get, { line, rig: trusted, check: assertOurs }),
  ...(
    [
      [['9.9.9.9'], '9.9.9.9, 127.0.0.1'],
      [['9.9.9.9, 8.8.8.8'], '9.9.9.9, 8.8.8.8, 127.0.0.1'],
      [['9.9.9.9,8.8.8.8'], '9.9.9.9, 8.8.8.8, 127.0.0.1'],
      [['9.9.9.9', '8.8.8.8'], '9.9.9.9, 8.8.8.8, 127.0.0.1'],
      [['9.9.9.9, 8.8.8.8', '7.7.7.7'], '9.9.9.9, 8.8.8.8, 7.7.7.7, 127.0.0.1'],
      [['unknown'], 'unknown, 127.0.0.1'],
      [['2001:db8::1'], '2001:db8::1, 127.0.0.1'],
    ] as const
  ).map(([sent, wanted]) =>
    forwarded(
      `G2 X-Forwarded-For ${JSON.stringify(sent)} from a trusted peer`,
      from(...sent.map((each) => `X-Forwarded-For: ${each}`)),
      {
        line,
        rig: trusted,
        check: (request) => assert.equal(one(request, 'x-forwarded-for').replaceAll(/\s*,\s*/g, ', '), wanted),
      },
    ),
  ),
  ...['127.0.0.1/32', '127.0.0.1', '0.0.0.0/0', '127.0.0.0/31'].map((range) =>
    forwarded(`G2 ${range} trusts 127.0.0.1`, from('X-Forwarded-For: 9.9.9.9'), {
      line,
      rig: { trust: ['10.0.0.0/8', range] },
      check: (request) => assert.equal(one(request, 'x-forwarded-for'), '9.9.9.9, 127.0.0.1'),
    }),
  ),
  forwarded(
    'G2 X-Forwarded-Proto, -Host and -Port of a trusted peer stay',
    from('X-Forwarded-Proto: https', 'X-Forwarded-Host: shop.test', 'X-Forwarded-Port: 443'),
    {
      line,
      rig: trusted,
      check: (request) => {
        assert.equal(one(request, 'x-forwarded-proto'), 'https')
        assert.equal(one(request, 'x-forwarded-host'), 'shop.test')
        assert.equal(one(request, 'x-forwarded-port'), '443')
      },
    },
  ),
  ...['javascript', 'HTTPS, http', 'ftp', '', 'https\tx', 'https;x'].map((proto) =>
    forwarded(`G5 X-Forwarded-Proto ${JSON.stringify(proto)} of a trusted peer`, from(`X-Forwarded-Proto: ${proto}`), {
      line,
      rig: trusted,
      check: (request) => assert.match(one(request, 'x-forwarded-proto'), /^https?$/),
    }),
  ),
  ...['x', '999999', '80;x', 'x80', '', '-1'].map((port) =>
    forwarded(`G2 X-Forwarded-Port ${JSON.stringify(port)} of a trusted peer`, from(`X-Forwarded-Port: ${port}`), {
      line,
      rig: trusted,
      check: (request, rig) => assert.equal(one(request, 'x-forwarded-port'), String(rig.port)),
    }),
  ),
  forwarded('G4 the zone of an IPv6 address is removed', from('X-Forwarded-For: fe80::1%eth0, 9.9.9.9'), {
    line,
    rig: trusted,
    check: (request) => assert.equal(one(request, 'x-forwarded-for'), 'fe80::1, 9.9.9.9, 127.0.0.1'),
  }),
  forwarded('G2 X-Real-IP of a trusted peer stays', from('X-Real-IP: 9.9.9.9'), {
    line,
    rig: trusted,
    check: (request) => assert.equal(one(request, 'x-real-ip'), '9.9.9.9'),
  }),
  forwarded('G2 Forwarded of a trusted peer is appended to', from('Forwarded: for=9.9.9.9;proto=https'), {
    line,
    rig: trusted,
    check: (request) => assert.match(one(request, 'forwarded'), /^for=9\.9\.9\.9;proto=https, ?.*for=127\.0\.0\.1/),
  }),
  forwarded('G2 X-Real-IP is the nearest untrusted hop', from('X-Forwarded-For: 9.9.9.9, 8.8.8.8, 127.0.0.9'), {
    line,
    rig: trusted,
    check: (request) => assert.equal(one(request, 'x-real-ip'), '8.8.8.8'),
  }),
]

const ids: Case[] = [
  forwarded('G3 X-Request-Id is set when absent', get, {
    line,
    check: (request) => assert.match(one(request, 'x-request-id'), /^[A-Za-z0-9_-]{10,128}$/),
  }),
  ...['abc-123', 'a', 'x'.repeat(128), '01ARZ3NDEKTSV4RRFFQ69G5FAV', '1.2:3/4+5=6@7~8_9-0'].map((id) =>
    forwarded(`G3 X-Request-Id ${id.slice(0, 30)} is kept`, head(line, `X-Request-Id: ${id}`), {
      line,
      check: (request) => assert.equal(one(request, 'x-request-id'), id),
    }),
  ),
  ...['', 'a b', 'x'.repeat(129), 'caf\xe9', 'a\tb', 'a,b', '"a"', '<script>', 'a;b'].map((id) =>
    forwarded(`G3 X-Request-Id ${JSON.stringify(id.slice(0, 30))} is replaced`, head(line, `X-Request-Id: ${id}`), {
      line,
      check: (request) => {
        assert.notEqual(one(request, 'x-request-id'), id)
        assert.match(one(request, 'x-request-id'), /^[A-Za-z0-9_-]{10,128}$/)
      },
    }),
  ),
  forwarded('G3 two X-Request-Id become one', head(line, 'X-Request-Id: a', 'x-request-id: b'), {
    line,
    check: (request) => void one(request, 'x-request-id'),
  }),
  {
    name: 'G3 the record and the backend see the same id',
    run: (mode) =>
      withRig({}, async (rig) => {
        const client = await rig.client()
        await client.send(get, mode)
        await client.answer()
        await client.send(head(line, 'X-Request-Id: mine'))
        await client.answer()
        assert.deepEqual(
          rig.records.map((record) => record.requestId),
          rig.requests.map((request) => one(request, 'x-request-id')),
        )
        assert.equal(rig.records[1]?.requestId, 'mine')
      }),
  },
]

await runCases(t, [...untrusted, ...believed, ...ids])
