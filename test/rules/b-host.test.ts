/** Rows B1 to B7: Host. (B8 is about TLS, which this listener does not speak.) */
import assert from 'node:assert/strict'
import t from 'tap'
import { runCases, type Case } from '../fixtures/cases.ts'
import { expectRefusal, forwarded, get, head, refused, withRig } from '../fixtures/rules.ts'
import { value } from '../fixtures/wire-message.ts'

const withHost = (host: string): string => `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`

const presence: Case[] = [
  refused('B1 no Host', 'GET / HTTP/1.1\r\n\r\n'),
  refused('B1 no Host, any-host route', 'GET / HTTP/1.1\r\nX: y\r\n\r\n', { rig: { anyHost: true } }),
  refused('B1 no Host in HTTP/1.2', 'GET / HTTP/1.2\r\n\r\n'),
  refused('B1 Hostname is not Host', 'GET / HTTP/1.1\r\nHostname: a.test\r\n\r\n'),
  refused('B2 two Host lines, equal', head('GET / HTTP/1.1', 'Host: a.test')),
  refused('B2 two Host lines, different', head('GET / HTTP/1.1', 'Host: b.test')),
  refused('B2 two Host lines, different case of the name', head('GET / HTTP/1.1', 'hOST: a.test')),
  refused('B2 two Host lines, others between', head('GET / HTTP/1.1', 'X: y', 'Z: w', 'HOST: a.test')),
  refused('B2 two Host lines, the second empty', head('GET / HTTP/1.1', 'Host:')),
  refused('B2 three Host lines', head('GET / HTTP/1.1', 'Host: a.test', 'Host: a.test')),
  refused('B2 two Host lines in HTTP/1.0', head('GET / HTTP/1.0', 'Host: a.test')),
]

const invalid = [
  '',
  ' ',
  'a b',
  'a.test b.test',
  'a.test,b.test',
  'a.test, b.test',
  'a,b',
  'u@a.test',
  'u:p@a.test',
  '@a.test',
  'a.test@',
  'a.test/p',
  'a.test/',
  '/a.test',
  'http://a.test',
  'a.test?q',
  'a.test#f',
  'a.test\\b',
  'a.test:',
  'a.test:99999',
  'a.test:65536',
  'a.test:12x',
  'a.test:x',
  'a.test:-1',
  'a.test:+80',
  'a.test: 80',
  'a.test :80',
  'a.test:0x50',
  'a.test:80:80',
  'a.test::80',
  'a.test:0',
  'a.test:8\x000',
  ':80',
  'a.test\x00',
  'a\x00b',
  '\x00',
  'a.test\x01',
  'a.test\x7f',
  'a.test\x0b',
  '::1',
  '[::1',
  '::1]',
  '[::1]x',
  '[::1]:',
  '[::1]:x',
  '[::1]:99999',
  '[::1]80',
  '[::1]x80',
  '[]',
  '[:]',
  '[::g]',
  '[1:2:3]',
  '[1:2:3:4:5:6:7:8:9]',
  '[12345::]',
  '[1::2::3]',
  '[::1.2.3]',
  '[::1.2.3.256]',
  '[a.test]',
  '[[::1]]',
  '[::1%25eth0]',
  '[::1%eth0]',
  '[v1.x',
  'a.test%00',
  'a.test%0d%0a',
  'a%2ftest',
  'a.test%',
  '<a>',
  '"a.test"',
  'a|b',
  'a^b',
  'a`b',
  'a{b}',
  'a;b',
  'a=b',
  'caf\xe9.test',
  '\xff',
  '..',
  '.',
  '.a.test',
  'a..test',
  '*',
  '*.wild.test',
  'a'.repeat(256),
  `${'a.'.repeat(130)}test`,
]

const values: Case[] = [
  ...invalid.map((host) => refused(`B3 Host ${JSON.stringify(host)}`, withHost(host))),
  ...['u@a.test', 'a b', 'a.test:99999', '[::1', 'a.test/p'].map((host) =>
    refused(`B3 Host ${JSON.stringify(host)} in HTTP/1.0`, `GET / HTTP/1.0\r\nHost: ${host}\r\n\r\n`, {
      rig: { anyHost: true },
    }),
  ),
  ...['', 'a/b', 'a b', 'u@h', 'a,b', 'h:', '[::1'].map((host) =>
    refused(`B3 Host ${JSON.stringify(host)} with an any-host route`, withHost(host), { rig: { anyHost: true } }),
  ),
  ...[
    'A.TEST',
    'a.test.',
    'a.test:80',
    'A.Test:8080',
    'a.test:65535',
    'A.TEST.:80',
    'x.wild.test',
    'X.Y.Wild.Test',
  ].map((host) =>
    forwarded(`B4 Host ${host} routes and goes on as it came`, withHost(host), {
      line: 'GET / HTTP/1.1',
      fields: [['host', host]],
    }),
  ),
  ...['127.0.0.1', '127.0.0.1:8080', '[::1]', '[::1]:8080'].map((host) =>
    forwarded(`B4 Host ${host}`, withHost(host), { line: 'GET / HTTP/1.1', fields: [['host', host]] }),
  ),
  ...['B.test', 'b.test.', 'b.test:1'].map((host) =>
    forwarded(`B4 Host ${host} is the other host`, withHost(host), {
      line: 'GET / HTTP/1.1',
      fields: [['host', host]],
      check: (_request, rig) => assert.equal(rig.other.requests.length, 1),
    }),
  ),
  forwarded('B3 white space around Host', 'GET / HTTP/1.1\r\nHost: \t a.test \t\r\n\r\n', {
    line: 'GET / HTTP/1.1',
    fields: [['host', 'a.test']],
  }),
  forwarded('B3 no white space before Host', 'GET / HTTP/1.1\r\nHost:a.test\r\n\r\n', {
    line: 'GET / HTTP/1.1',
    fields: [['host', 'a.test']],
  }),
]

const old: Case[] = [
  forwarded('B5 HTTP/1.0 without Host takes the any-host route', 'GET /p HTTP/1.0\r\n\r\n', {
    line: 'GET /p HTTP/1.1',
    rig: { anyHost: true },
    closes: true,
  }),
  forwarded('B5 HTTP/1.0 with Host', head('GET /p HTTP/1.0'), {
    line: 'GET /p HTTP/1.1',
    fields: [['host', 'a.test']],
    closes: true,
  }),
  refused('B5 HTTP/1.0 without Host and without an any-host route', 'GET /p HTTP/1.0\r\n\r\n', { status: [400, 404] }),
]

const unrouted: Case[] = ['unknown.test', 'xa.test', 'a.test.b', 'wild.test', 'xwild.test', 'test'].map(
  (host): Case => ({
    name: `B4 unknown host ${host}: 404, kept`,
    run: (mode) =>
      withRig({}, async (rig) => {
        const client = await rig.client()
        await client.send(withHost(host), mode)
        const answer = await client.answer()
        assert.equal(answer.status, 404)
        rig.assertUntouched()
        if (value(answer.fields, 'connection') === 'close') return client.closedByPeer()
        await client.send(get, mode)
        assert.equal((await client.answer()).status, 200)
      }),
  }),
)

const second = [
  ['no Host', 'GET /second HTTP/1.1\r\n\r\n', 400],
  ['two Hosts', head('GET /second HTTP/1.1', 'Host: b.test'), 400],
  ['bad Host', 'GET /second HTTP/1.1\r\nHost: a/b\r\n\r\n', 400],
  ['unknown host', 'GET /second HTTP/1.1\r\nHost: unknown.test\r\n\r\n', 404],
] as const

const everyRequest: Case[] = [
  ...second.map(([what, bytes, status]): Case => ({
    name: `B7 second request with ${what}`,
    run: (mode) =>
      withRig({}, async (rig) => {
        const client = await rig.client()
        await client.send(get + bytes, mode)
        assert.equal((await client.answer()).status, 200)
        if (status === 400) await expectRefusal(client)
        else assert.equal((await client.answer()).status, status)
        assert.deepEqual(
          rig.requests.map((request) => request.startLine),
          ['GET / HTTP/1.1'],
        )
      }),
  })),
  {
    name: 'B7 second request for another host goes there',
    run: (mode) =>
      withRig({}, async (rig) => {
        const client = await rig.client()
        await client.send(`${get}GET /second HTTP/1.1\r\nHost: b.test\r\n\r\n${get}`, mode)
        for (let i = 0; i < 3; i++) assert.equal((await client.answer()).status, 200)
        assert.deepEqual(
          rig.other.requests.map((request) => request.startLine),
          ['GET /second HTTP/1.1'],
        )
        assert.equal(rig.backend.requests.length, 2)
      }),
  },
]

await runCases(t, [...presence, ...values, ...old, ...unrouted, ...everyRequest])
