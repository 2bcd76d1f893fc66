/** Rows E1 to E13: the chunked coding, decoded and written anew in both directions. */
import assert from 'node:assert/strict'
import t from 'tap'
import { runCases, type Case } from '../fixtures/cases.ts'
import { answered, brokenAnswer, brokenBody, forwarded, head } from '../fixtures/rules.ts'
import { values } from '../fixtures/wire-message.ts'

const show = (text: string): string =>
  text.length > 60 ? `${JSON.stringify(text.slice(0, 50))}…` : JSON.stringify(text)
const line = 'POST / HTTP/1.1'
const start = head(line, 'Transfer-Encoding: chunked')
const answerStart = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
const rest = '0\r\n\r\n'

/** Malformed in either direction. */
const malformed: readonly (readonly [row: string, coded: string])[] = [
  ...[
    '0x5',
    '+5',
    '-5',
    '5_',
    '5g',
    'g',
    ' 5',
    '5 ',
    '\t5',
    '5\t',
    '',
    '5.0',
    'five',
    '5,',
    '\x005',
    '5\x00',
    '\xb5',
    '5h',
    '#5',
    '"5"',
  ].map((size) => ['E1', `${size}\r\nhello\r\n${rest}`] as const),
  ['E1', '-0\r\n\r\n'],
  ['E1', '\r\n\r\n'],
  ['E1', ';a\r\n\r\n'],
  ['E1', '+0\r\n\r\n'],
  ['E1', '0x0\r\n\r\n'],
  ['E1', '0 \r\n\r\n'],
  ['E1', ' 0\r\n\r\n'],
  ['E1', `\r\n5\r\nhello\r\n${rest}`],
  ['E1', `\n5\r\nhello\r\n${rest}`],
  ...[
    'f0000000000000003',
    '10000000000000005',
    'ffffffffffffffff',
    '100000000',
    'fffffffff',
    '123456789',
    '7fffffffffffffff',
    '8000000000000000',
    '20000000000005',
    'f'.repeat(100),
  ].map((size) => ['E2', `${size}\r\nhello\r\n${rest}`] as const),
  ['E3', `${'0'.repeat(20)}5\r\nhello\r\n${rest}`],
  ['E3', `5\r\nhello\r\n${'0'.repeat(40)}\r\n\r\n`],
  ['E4', `5\nhello\r\n${rest}`],
  ['E4', `5\rhello\r\n${rest}`],
  ['E4', `5\r\rhello\r\n${rest}`],
  ['E4', `5\rX\nhello\r\n${rest}`],
  ['E4', `5\r\r\nhello\r\n${rest}`],
  ['E4', `5\n\r\nhello\r\n${rest}`],
  ['E4', `5\r\nhello\r\n0\n\r\n`],
  ['E4', `5\r\nhello\r\n0\r\n\n`],
  ['E4', `5\r\nhello\r\n0\r\r\n`],
  ['E4', `5\r\nhello\r\n0\r\n\r\r`],
  ['E4', `5\r\nhello\r\n0\n\n`],
  ['E5', `5\r\nhelloo\r\n${rest}`],
  ['E5', `5\r\nhelloSPILL\r\n${rest}`],
  ['E5', `5\r\nhello\n${rest}`],
  ['E5', `5\r\nhelloX\n${rest}`],
  ['E5', `5\r\nhello\n\n${rest}`],
  ['E5', `5\r\nhello\r${rest}`],
  ['E5', `5\r\nhello\rX${rest}`],
  ['E5', `5\r\nhello${rest}`],
  ['E5', `5\r\nhello\r\r\n${rest}`],
  ['E5', `5\r\nhello\n\r${rest}`],
  ['E5', `5\r\nhello \r\n${rest}`],
  ['E5', `5\r\nhell\r\n${rest}`],
  ['E5', `5\r\nhello\r\n\r\n${rest}`],
  ...[
    ';',
    '; ',
    ';;a',
    ';=b',
    ';a=',
    ';a;',
    ';a=b;',
    ';a="b',
    ';a="b\\"',
    ';a="b"c',
    ';a=b c',
    ';a b',
    ';a\x00',
    ';a=\x00',
    ';a="\x00"',
    ';a="\x01"',
    ';a="\x7f"',
    ';a\x01',
    ';\x01a',
    ';a=b\x0b',
    ';a=(b)',
    ';(a)',
    ';a==b',
    ';a,b',
    ';a\xff',
    ';a=\xff',
    ';a\nb',
    ';a\rb',
    ';a\n',
    ';a="\n"',
    ';a="\r"',
    ';a="\r\n"',
    ';a="\\\x01"',
    ';a="\\\x7f"',
    ' x',
    ',a',
    ':a',
    '\x00;a',
  ].map((extension) => ['E6', `5${extension}\r\nhello\r\n${rest}`] as const),
  ['E6', `5\r\nhello\r\n0;\r\n\r\n`],
  ['E6', `5\r\nhello\r\n0;a=\r\n\r\n`],
  ['E6', `5\r\nhello\r\n0;a\x00\r\n\r\n`],
  ...[
    'X : y',
    ': y',
    'novalue',
    ' X: y',
    'X: y\r\n z',
    'X\x00: y',
    'X: a\x00b',
    'X: a\x01b',
    'X: a\rb',
    'X: a\nb',
    'X(: y',
    'X\xff: y',
    'X: y\x7f',
    '\tX: y',
    'X: y\n',
    'X: y\r',
  ].map((trailer) => ['E9', `5\r\nhello\r\n0\r\n${trailer}\r\n\r\n`] as const),
]

/** Well-formed in either direction: what was written, and the body it means. */
const wellFormed: readonly (readonly [row: string, coded: string, body: string])[] = [
  ['E1', `5\r\nhello\r\n${rest}`, 'hello'],
  ['E1', `A\r\n0123456789\r\na\r\n0123456789\r\n${rest}`, '01234567890123456789'],
  ['E1', `1\r\nh\r\n1\r\ne\r\n3\r\nllo\r\n${rest}`, 'hello'],
  ['E1', rest, ''],
  ['E3', `0000005\r\nhello\r\n${rest}`, 'hello'],
  ['E3', `00000005\r\nhello\r\n${rest}`, 'hello'],
  ['E5', `7\r\na\r\nb\r\n0\r\n${rest}`, 'a\r\nb\r\n0'],
  ['E5', `c\r\n\r\n0\r\n\r\nGET /\r\n${rest}`, '\r\n0\r\n\r\nGET /'],
  ...[';a', ';a=b', ';a="b"', ';a="b \\" c"', ';a="b;c=d"', ';a;b;c', ';a=b;c="d"', ';a="\t\xff"', ';a=""'].map(
    (extension) => ['E6', `5${extension}\r\nhello\r\n0${extension}\r\n\r\n`, 'hello'] as const,
  ),
  // White space before a semicolon is bad but has to be understood (RFC 9112 section 7.1.1).
  ['E6', '5 ;a\r\nhello\r\n0\r\n\r\n', 'hello'],
  ['E6', '5\t; a = b\r\nhello\r\n0\r\n\r\n', 'hello'],
  ['E8', '5\r\nhello\r\n0\r\n\r\n', 'hello'],
  ['E8', '5\r\nhello\r\n00\r\n\r\n', 'hello'],
  ['E8', '5\r\nhello\r\n000\r\n\r\n', 'hello'],
  ['E9', '5\r\nhello\r\n0\r\nX: y\r\nZ: w\r\n\r\n', 'hello'],
  ['E9', '5\r\nhello\r\n0\r\nX:\r\n\r\n', 'hello'],
]

const long = `;${'a'.repeat(60)}`
const limits = { chunkExtensionBytes: 100, trailerBytes: 100 }
const tooMuch: readonly (readonly [row: string, coded: string])[] = [
  ['E7', `5;${'a'.repeat(200)}\r\nhello\r\n${rest}`],
  ['E7', `5;${'a'.repeat(2_000)}`],
  ['E7', `5;a="${'a'.repeat(2_000)}`],
  ['E7', `1${long}\r\nh\r\n1${long}\r\ne\r\n1${long}\r\nl\r\n${rest}`],
  ['E7', `1;a=b\r\nh\r\n`.repeat(60) + rest],
  ['E7', `5\r\nhello\r\n0;${'a'.repeat(200)}\r\n\r\n`],
  ['E9', `5\r\nhello\r\n0\r\nX: ${'a'.repeat(200)}\r\n\r\n`],
  ['E9', `5\r\nhello\r\n0\r\nX: ${'a'.repeat(2_000)}`],
  ['E9', `5\r\nhello\r\n0\r\nX: ${'a'.repeat(94)}\r\n\r\n`],
  ['E9', `5\r\nhello\r\n0\r\n${'X: y\r\n'.repeat(30)}\r\n`],
]

const forbidden = [
  'Content-Length: 5',
  'Transfer-Encoding: chunked',
  'Host: b.test',
  'Authorization: x',
  'Cookie: x',
  'Set-Cookie: x',
  'Content-Type: x',
  'Content-Encoding: x',
  'Content-Range: x',
  'Connection: close',
  'Keep-Alive: x',
  'Proxy-Authorization: x',
  'Proxy-Authenticate: x',
  'TE: x',
  'Trailer: x',
  'Upgrade: x',
  'X-Forwarded-For: 9.9.9.9',
  'X-Forwarded-Proto: https',
  'X-Real-IP: 9.9.9.9',
  'Forwarded: for=9.9.9.9',
  'Via: 1.1 x',
  'X-Request-Id: x',
  'Expect: 100-continue',
  'Max-Forwards: 0',
  'X_Forwarded_For: 9.9.9.9',
  'Content_Length: 5',
]

const requests: Case[] = [
  ...malformed.map(([row, coded]) => brokenBody(`${row} request body ${show(coded)}`, start + coded)),
  ...tooMuch.map(([row, coded]) =>
    brokenBody(`${row} request body ${show(coded)} over the limit`, start + coded, {
      status: [400, 413, 431],
      rig: { limits },
      alone: true,
    }),
  ),
  ...wellFormed.map(([row, coded, body]) =>
    forwarded(`${row} request body ${show(coded)}`, start + coded, { line, body, fields: [['host', 'a.test']] }),
  ),
  ...forbidden.map((trailer) =>
    forwarded(`E10 trailer ${trailer} in a request`, `${start}5\r\nhello\r\n0\r\n${trailer}\r\n\r\n`, {
      line,
      body: 'hello',
      fields: [['host', 'a.test']],
      check: (request) => {
        assert.deepEqual(request.trailers, [])
        assert.ok(!request.head.includes('9.9.9.9'))
      },
    }),
  ),
  forwarded('E13 many chunks', `${start}${'3\r\nabc\r\n'.repeat(5_000)}${rest}`, {
    line,
    body: 'abc'.repeat(5_000),
    modes: ['whole'],
  }),
  forwarded('E13 large chunks', `${start}${`10000\r\n${'x'.repeat(65_536)}\r\n`.repeat(5)}${rest}`, {
    line,
    body: 'x'.repeat(327_680),
    modes: ['whole'],
  }),
  brokenBody('E9 more trailers than lines allowed', `${start}5\r\nhello\r\n0\r\n${'X: y\r\n'.repeat(6)}\r\n`, {
    status: [400, 431],
    rig: { limits: { headerLines: 5 } },
  }),
  brokenBody(
    'O 413 a chunked body over the limit, counted',
    `${start}${`1e\r\n${'x'.repeat(30)}\r\n`.repeat(4)}${rest}`,
    {
      status: 413,
      rig: { limits: { bodyBytes: 100 } },
    },
  ),
  brokenBody('O 413 one chunk over the limit', `${start}65\r\n${'x'.repeat(101)}\r\n${rest}`, {
    status: 413,
    rig: { limits: { bodyBytes: 100 } },
  }),
  forwarded('O a chunked body of the limit', `${start}64\r\n${'x'.repeat(100)}\r\n${rest}`, {
    line,
    body: 'x'.repeat(100),
    rig: { limits: { bodyBytes: 100 } },
  }),
]

const wantsTrailers = head('GET / HTTP/1.1', 'TE: trailers', 'Connection: TE')
const answers: Case[] = [
  ...malformed.map(([row, coded]) => brokenAnswer(`${row} answer body ${show(coded)}`, answerStart + coded)),
  ...tooMuch.map(([row, coded]) =>
    brokenAnswer(`${row} answer body ${show(coded)} over the limit`, answerStart + coded, { rig: { limits } }),
  ),
  ...wellFormed.map(([row, coded, body]) =>
    answered(`${row} answer body ${show(coded)}`, answerStart + coded, {
      status: 200,
      body,
      framing: 'chunked',
      trailers: [],
      upstream: 'reused',
    }),
  ),
  answered(
    'E11 trailers of an answer go to a client that asked',
    `${answerStart}5\r\nhello\r\n0\r\nX-Sum: y\r\nZ: w\r\n\r\n`,
    {
      request: wantsTrailers,
      status: 200,
      body: 'hello',
      trailers: [
        ['X-Sum', 'y'],
        ['Z', 'w'],
      ],
      upstream: 'reused',
    },
  ),
  ...['TE: trailers;q=0.5', 'TE: gzip', 'TE: deflate, xtrailers', 'TE:', 'X: trailers'].map((te) =>
    answered(`E11 trailers are dropped for ${te}`, `${answerStart}5\r\nhello\r\n0\r\nX-Sum: y\r\n\r\n`, {
      request: head('GET / HTTP/1.1', te, 'Connection: TE'),
      status: 200,
      body: 'hello',
      trailers: [],
      upstream: 'reused',
    }),
  ),
  ...['TE: gzip, trailers', 'TE: Trailers'].map((te) =>
    answered(`E11 trailers are kept for ${te}`, `${answerStart}5\r\nhello\r\n0\r\nX-Sum: y\r\n\r\n`, {
      request: head('GET / HTTP/1.1', te, 'Connection: TE'),
      status: 200,
      body: 'hello',
      trailers: [['X-Sum', 'y']],
      upstream: 'reused',
    }),
  ),
  ...forbidden.map((trailer) =>
    answered(`E10 trailer ${trailer} in an answer`, `${answerStart}5\r\nhello\r\n0\r\nX-Sum: y\r\n${trailer}\r\n\r\n`, {
      request: wantsTrailers,
      status: 200,
      body: 'hello',
      trailers: [['X-Sum', 'y']],
      upstream: 'reused',
      check: (answer) => assert.deepEqual(values(answer.fields, trailer.split(':')[0] ?? '').includes('x'), false),
    }),
  ),
  answered(
    'F2 a trailer that the answer nominates is dropped',
    `HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Hop: y\r\nX-Sum: z\r\n\r\n`,
    {
      request: wantsTrailers,
      status: 200,
      body: 'hello',
      trailers: [['X-Sum', 'z']],
      upstream: 'reused',
    },
  ),
  answered('E13 many chunks in an answer', `${answerStart}${'3\r\nabc\r\n'.repeat(5_000)}${rest}`, {
    status: 200,
    body: 'abc'.repeat(5_000),
    upstream: 'reused',
    modes: ['whole'],
  }),
  answered('E13 large chunks in an answer', `${answerStart}${`10000\r\n${'x'.repeat(65_536)}\r\n`.repeat(5)}${rest}`, {
    status: 200,
    body: 'x'.repeat(327_680),
    upstream: 'reused',
    modes: ['whole'],
  }),
  answered('E13 a chunked answer to an HTTP/1.0 client is not chunked', `${answerStart}5\r\nhello\r\n${rest}`, {
    request: head('GET / HTTP/1.0'),
    status: 200,
    body: 'hello',
    framing: 'close',
    client: 'closes',
    upstream: 'reused',
  }),
  ...(['end', 'reset'] as const).flatMap((then) =>
    [
      '',
      '5\r\nhel',
      '5\r\nhello',
      '5\r\nhello\r\n',
      '5\r\nhello\r\n0',
      '5\r\nhello\r\n0\r\n',
      '5\r\nhello\r\n0\r\nX: y\r\n',
      '5',
    ].map((coded) =>
      brokenAnswer(`E12 answer ends (${then}) after ${show(coded)}`, answerStart + coded, { after: then }),
    ),
  ),
]

await runCases(t, [...requests, ...answers])
