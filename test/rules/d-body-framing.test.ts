/** Rows D1 to D15: where a request's body ends. */
import assert from 'node:assert/strict'
import t from 'tap'
import { runCases, type Case } from '../fixtures/cases.ts'
import { settle } from '../fixtures/raw-client.ts'
import { assertAborted, expectServed, forwarded, get, head, refused, withRig } from '../fixtures/rules.ts'
import { until } from '../fixtures/until.ts'
import { values } from '../fixtures/wire-message.ts'

const show = (text: string): string => JSON.stringify(text)
const line = 'POST / HTTP/1.1'
const post = (...lines: readonly string[]): string => head(line, ...lines)
const chunked = '5\r\nhello\r\n0\r\n\r\n'
const unknownCoding = [400, 501]

const both: Case[] = [
  refused(
    'D1 Content-Length, then Transfer-Encoding',
    `${post('Content-Length: 5', 'Transfer-Encoding: chunked')}${chunked}`,
  ),
  refused(
    'D1 Transfer-Encoding, then Content-Length',
    `${post('Transfer-Encoding: chunked', 'Content-Length: 5')}${chunked}`,
  ),
  refused('D1 Content-Length: 0 beside it', `${post('Content-Length: 0', 'Transfer-Encoding: chunked')}${chunked}`),
  refused('D1 other case', `${post('CONTENT-LENGTH: 5', 'tRANSFER-eNCODING: chunked')}${chunked}`),
  refused(
    'D1 a length that is not one beside it',
    `${post('Content-Length: x', 'Transfer-Encoding: chunked')}${chunked}`,
  ),
  refused('D1 a coding that is not one beside it', `${post('Content-Length: 5', 'Transfer-Encoding: x')}hello`, {
    status: unknownCoding,
  }),
  refused('D1 on GET', `${head('GET / HTTP/1.1', 'Content-Length: 5', 'Transfer-Encoding: chunked')}${chunked}`),
]

const lengths: Case[] = [
  ...(
    [
      ['5', '6'],
      ['6', '5'],
      ['5', '5', '6'],
      ['0', '5'],
      ['5', '0'],
      ['5', ''],
      ['', '5'],
      ['5', 'x'],
      ['5', '05'],
    ] as const
  ).map((all) =>
    refused(
      `D2 Content-Length lines ${show(all.join(' | '))}`,
      `${post(...all.map((each) => `Content-Length: ${each}`))}hello`,
    ),
  ),
  ...['5, 6', '5 6', '5,6', '5;6', '5, ', ',5', '5,,5', '6, 5', '5\t6'].map((text) =>
    refused(`D2 Content-Length ${show(text)}`, `${post(`Content-Length: ${text}`)}hello`),
  ),
  // The RFC lets a recipient collapse equal ones; refusing is stricter and costs no real client.
  refused('D3 Content-Length twice, equal', `${post('Content-Length: 5', 'Content-Length: 5')}hello`),
  refused('D3 Content-Length twice, other case', `${post('Content-Length: 5', 'content-length: 5')}hello`),
  refused('D3 Content-Length "5, 5"', `${post('Content-Length: 5, 5')}hello`),
  refused('D3 Content-Length "5,5"', `${post('Content-Length: 5,5')}hello`),
  refused('D3 Content-Length: 0 twice', post('Content-Length: 0', 'Content-Length: 0')),
  ...[
    '+5',
    '-5',
    '-0',
    '+0',
    '0x5',
    '0X5',
    '0b101',
    '0o5',
    '5_0',
    '5.0',
    '5.',
    '.5',
    '',
    ' ',
    '\t',
    '1e3',
    '5e0',
    '\xd9\xa5',
    '\xb5',
    '\xb2',
    '5;x',
    '5 x',
    '5x',
    'x5',
    'five',
    'NaN',
    'Infinity',
    'null',
    '"5"',
    "'5'",
    '(5)',
    '5\x00',
    '\x005',
    '5\x0b',
    '5\xa0',
    '--5',
    '5-',
    '5+',
    '5,',
    ',',
    '5/1',
    '5n',
    'a',
    '5 5',
  ].map((text) => refused(`D4 Content-Length ${show(text)}`, `${post(`Content-Length: ${text}`)}hello`)),
  ...['0005', '05', '00', '00000000000000000005'].map((text) =>
    refused(`D5 Content-Length ${show(text)}`, `${post(`Content-Length: ${text}`)}hello`),
  ),
  ...[
    '9007199254740991',
    '9007199254740992',
    '9007199254740993',
    '9223372036854775807',
    '9223372036854775808',
    '18446744073709551615',
    '18446744073709551616',
    '18446744073709551621',
    '4294967296000000005',
    '1000000000000000',
    '9'.repeat(40),
    '9'.repeat(400),
  ].map((text) =>
    refused(`D6 Content-Length ${text.slice(0, 24)}, ${text.length} digits`, `${post(`Content-Length: ${text}`)}hello`),
  ),
  refused(
    'D6 15 digits against a limit: 413 before anything is sent on',
    `${post('Content-Length: 999999999999999')}x`,
    {
      status: 413,
      rig: { limits: { bodyBytes: 100 } },
    },
  ),
  refused('O 413 by Content-Length', `${post('Content-Length: 101')}x`, {
    status: 413,
    rig: { limits: { bodyBytes: 100 } },
  }),
  forwarded('O a body of the limit', `${post('Content-Length: 100')}${'x'.repeat(100)}`, {
    line,
    body: 'x'.repeat(100),
    rig: { limits: { bodyBytes: 100 } },
  }),
]

const codings: Case[] = [
  ...[
    'gzip, chunked',
    'gzip',
    'identity',
    'identity, chunked',
    'xchunked',
    'chunkedx',
    'chunked, chunked',
    'chunked,chunked',
    ',chunked',
    ', chunked',
    'chunked,',
    'chunked, ',
    'chunked;x=y',
    'chunked;',
    'chunked ;x',
    '"chunked"',
    "'chunked'",
    'chunked\x0b',
    '\x0bchunked',
    'chunked\x0c',
    'chunked\x00',
    'chunked\xa0',
    '\xa0chunked',
    '',
    ' ',
    'chunked, identity',
    'chunked, gzip',
    'chun ked',
    'chunk',
    'chunked chunked',
    'chunked;q=0.5',
    'x-chunked',
    'deflate, gzip',
    'trailers',
    'cow',
    'ch\xdcnked',
    'chun\u212aed'.replace('\u212a', '\xe2\x84\xaa'),
    '(chunked)',
    'chunked/1',
    '[chunked]',
  ].map((text) =>
    refused(`D7 Transfer-Encoding ${show(text)}`, `${post(`Transfer-Encoding: ${text}`)}${chunked}`, {
      status: unknownCoding,
    }),
  ),
  ...(
    [
      ['chunked', 'chunked'],
      ['chunked', 'identity'],
      ['identity', 'chunked'],
      ['gzip', 'chunked'],
      ['chunked', 'x'],
      ['', 'chunked'],
      ['chunked', ''],
    ] as const
  ).map((all) =>
    refused(
      `D8 Transfer-Encoding lines ${show(all.join(' | '))}`,
      `${post(...all.map((each) => `Transfer-Encoding: ${each}`))}${chunked}`,
      { status: unknownCoding },
    ),
  ),
  // What is no list of codings is malformed, not a coding that we lack.
  ...['x;gzip, chunked', '?, chunked', 'gzip, br;q=1, chunked', 'gzip, chunked;q=1'].map((coding) =>
    refused(`D9 Transfer-Encoding: ${coding} is no list`, `${post(`Transfer-Encoding: ${coding}`)}${chunked}`),
  ),
  refused('D9 Transfer-Encoding in HTTP/1.0', `${head('POST / HTTP/1.0', 'Transfer-Encoding: chunked')}${chunked}`),
  refused(
    'D9 Transfer-Encoding in HTTP/1.0 with keep-alive',
    `${head('POST / HTTP/1.0', 'Connection: keep-alive', 'Transfer-Encoding: chunked')}${chunked}`,
  ),
  ...['chunked', 'Chunked', 'CHUNKED', ' chunked', '\tchunked\t ', 'cHuNkEd'].map((text) =>
    forwarded(`D7 Transfer-Encoding ${show(text)} is chunked`, `${post(`Transfer-Encoding:${text}`)}${chunked}`, {
      line,
      body: 'hello',
    }),
  ),
]

const bodies: Case[] = [
  ...['POST', 'PUT', 'PATCH', 'DELETE', 'GET', 'PURGE'].map((method) =>
    forwarded(`D10 ${method} without framing has no body`, head(`${method} / HTTP/1.1`), {
      line: `${method} / HTTP/1.1`,
      body: '',
      check: (request) => assert.notEqual(request.framing, 'chunked'),
    }),
  ),
  ...['GET', 'HEAD', 'DELETE', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'PROPFIND'].flatMap((method) => [
    forwarded(`D11 ${method} with a body by length`, `${head(`${method} / HTTP/1.1`, 'Content-Length: 5')}hello`, {
      line: `${method} / HTTP/1.1`,
      body: 'hello',
      method,
      check: (request) => assert.deepEqual(values(request.fields, 'content-length'), ['5']),
    }),
    forwarded(
      `D11 ${method} with a chunked body`,
      `${head(`${method} / HTTP/1.1`, 'Transfer-Encoding: chunked')}${chunked}`,
      {
        line: `${method} / HTTP/1.1`,
        body: 'hello',
        method,
      },
    ),
  ]),
  forwarded('D11 GET with Content-Length: 0', head('GET / HTTP/1.1', 'Content-Length: 0'), {
    line: 'GET / HTTP/1.1',
    body: '',
  }),
  refused('D12 TRACE with a body', `${head('TRACE / HTTP/1.1', 'Content-Length: 5')}hello`, { status: [400, 405] }),
  refused('D12 TRACE with a chunked body', `${head('TRACE / HTTP/1.1', 'Transfer-Encoding: chunked')}${chunked}`, {
    status: [400, 405],
  }),
  forwarded('D15 the length is written anew', `${post('content-LENGTH: \t5 ')}hello`, {
    line,
    body: 'hello',
    check: (request) => {
      assert.deepEqual(values(request.fields, 'content-length'), ['5'])
      assert.ok(!request.head.includes('content-LENGTH'), 'the received line is not forwarded')
    },
  }),
  forwarded('D15 the coding is written anew', `${post('transfer-ENCODING: \tCHUNKED ')}${chunked}`, {
    line,
    body: 'hello',
    check: (request) => assert.ok(!request.head.includes('CHUNKED'), 'the received line is not forwarded'),
  }),
  forwarded('D10 a body of every byte', `${post('Content-Length: 256')}${String.fromCharCode(...Array(256).keys())}`, {
    line,
    body: String.fromCharCode(...Array(256).keys()),
  }),
  forwarded('D10 a large body', `${post('Content-Length: 300000')}${'0123456789'.repeat(30_000)}`, {
    line,
    body: '0123456789'.repeat(30_000),
    modes: ['whole'],
  }),
]

const closing: Case[] = [
  ...(['end', 'abort', 'destroy'] as const).flatMap((how) =>
    (
      [
        ['by length', post('Content-Length: 10'), 'hello'],
        ['by length, none came', post('Content-Length: 10'), ''],
        ['chunked, inside a chunk', post('Transfer-Encoding: chunked'), 'a\r\nhello'],
        ['chunked, between chunks', post('Transfer-Encoding: chunked'), '5\r\nhello\r\n'],
        ['chunked, before the last CRLF', post('Transfer-Encoding: chunked'), '5\r\nhello\r\n0\r\n'],
        ['chunked, none came', post('Transfer-Encoding: chunked'), ''],
      ] as const
    ).map(([what, start, body]): Case => ({
      name: `${start.includes('chunked') ? 'E12' : 'D13'} client leaves (${how}) in a body ${what}`,
      run: (mode) =>
        withRig({}, async (rig) => {
          const client = await rig.client()
          await client.send(start + body, mode)
          await until(() => rig.backend.connections[0]?.received.includes('\r\n\r\n'), { what: 'the head upstream' })
          client[how]()
          await assertAborted(rig)
          await expectServed(rig, await rig.client())
          assert.equal(rig.backend.connections.length, 2, 'the aborted connection is not re-used')
          await until(() => rig.records.length === 2, { what: 'records of both requests' })
          assert.ok([400, 408, 499].includes(rig.records[0]?.status ?? 0), `recorded ${rig.records[0]?.status}`)
        }),
    })),
  ),
  {
    name: 'D13 client leaves in a head: nothing is sent on',
    run: (mode) =>
      withRig({}, async (rig) => {
        const client = await rig.client()
        await client.send('GET / HTTP/1.1\r\nHost: a.test\r\n', mode)
        client.end()
        await client.wait('end', () => !client.open)
        await settle()
        rig.assertUntouched()
      }),
  },
]

const following: Case[] = [
  {
    name: 'D14 bytes after a body are the next request',
    run: (mode) =>
      withRig({}, async (rig) => {
        const client = await rig.client()
        await client.send(`${post('Content-Length: 5')}hello${head('GET /next HTTP/1.1')}`, mode)
        assert.equal((await client.answer()).status, 200)
        assert.equal((await client.answer()).status, 200)
        assert.deepEqual(
          rig.requests.map((request) => [request.startLine, request.body]),
          [
            [line, 'hello'],
            ['GET /next HTTP/1.1', ''],
          ],
        )
      }),
  },
  {
    name: 'D14 bytes after a chunked body are the next request',
    run: (mode) =>
      withRig({}, async (rig) => {
        const client = await rig.client()
        await client.send(`${post('Transfer-Encoding: chunked')}${chunked}${head('GET /next HTTP/1.1')}`, mode)
        assert.equal((await client.answer()).status, 200)
        assert.equal((await client.answer()).status, 200)
        assert.deepEqual(
          rig.requests.map((request) => [request.startLine, request.body]),
          [
            [line, 'hello'],
            ['GET /next HTTP/1.1', ''],
          ],
        )
      }),
  },
  {
    name: 'D14 a request inside a body stays a body',
    run: (mode) =>
      withRig({}, async (rig) => {
        const inner = head('GET /inner HTTP/1.1')
        const client = await rig.client()
        await client.send(`${post(`Content-Length: ${inner.length}`)}${inner}${get}`, mode)
        assert.equal((await client.answer()).status, 200)
        assert.equal((await client.answer()).status, 200)
        assert.deepEqual(
          rig.requests.map((request) => request.body),
          [inner, ''],
        )
      }),
  },
  {
    name: 'D14 junk after a body is refused as a request',
    run: (mode) =>
      withRig({}, async (rig) => {
        const client = await rig.client()
        await client.send(`${post('Content-Length: 5')}helloJUNK\r\n\r\n`, mode)
        assert.equal((await client.answer()).status, 200)
        assert.equal((await client.answer()).status, 400)
        await client.closedByPeer()
        assert.equal(rig.requests.length, 1)
      }),
  },
]

await runCases(t, [...both, ...lengths, ...codings, ...bodies, ...closing, ...following])
