/** Rows C1 to C16: the header section. */
import assert from 'node:assert/strict'
import t from 'tap'
import { everyCharacter, isControl, isOpaque, isTokenCharacter } from '../fixtures/characters.ts'
import { runCases, type Case } from '../fixtures/cases.ts'
import { answered, badGateway, forwarded, head, refused } from '../fixtures/rules.ts'
import { values } from '../fixtures/wire-message.ts'

const show = (text: string): string => JSON.stringify(text)
const host = ['host', 'a.test'] as const
const line = 'GET / HTTP/1.1'

const names: Case[] = [
  ...[
    'X : y',
    'X\t: y',
    'X  : y',
    ' : y',
    'Content-Length : 5',
    'Content-Length\t: 5',
    'Transfer-Encoding : chunked',
    'Transfer-Encoding\t: chunked',
    'Transfer-Encoding\x0b: chunked',
    'Transfer-Encoding\xa0: chunked',
    'Connection : close',
  ].map((text) => refused(`C1 white space before the colon in ${show(text)}`, head(line, text))),
  refused('C1 Host with white space before its colon', 'GET / HTTP/1.1\r\nHost : a.test\r\n\r\n'),
  refused('C1 a second Host hidden by white space', head(line, 'Host : b.test')),
  ...[': y', ':', 'novalue', 'X', 'Content-Length 5', 'GET / HTTP/1.1', '\x00: y'].map((text) =>
    refused(`C5 line ${show(text)}`, head(line, text)),
  ),
  refused('C5 line without a colon first', 'GET / HTTP/1.1\r\nnovalue\r\nHost: a.test\r\n\r\n'),
  refused('C5 line without a colon last', head(line, 'X: y', 'novalue')),
  ...everyCharacter
    .filter((char) => !isTokenCharacter(char) && !':\r\n'.includes(char))
    .map((char) => refused(`C6 ${show(char)} in a name`, head(line, `X${char}Y: z`))),
  ...'()<>@,;\\"/?={}[]\0\x7f\x80\xff'
    .split('')
    .map((char) => refused(`C6 ${show(char)} first in a name`, head(line, `${char}Y: z`))),
  forwarded('C6 every token character in a name', head(line, "X!#$%&'*+-.^`|~09az: v"), {
    line,
    fields: [host, ["x!#$%&'*+-.^`|~09az", 'v']],
  }),
  ...['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', '__defineGetter__'].map((name) =>
    forwarded(`C16 ${name} is a plain name`, head(line, `${name}: polluted`), {
      line,
      fields: [host, [name.toLowerCase(), 'polluted']],
      check: () => assert.equal(({} as Record<string, unknown>)['polluted'], undefined),
    }),
  ),
  ...[
    'Content_Length: 5',
    'content_length: 5',
    'Transfer_Encoding: chunked',
    'X_Forwarded_For: 1.2.3.4',
    'X_Forwarded_Host: b.test',
    'X_Forwarded_Proto: https',
    'X-Forwarded_For: 1.2.3.4',
    'X_Real_IP: 1.2.3.4',
    'X_Request_Id: 1',
  ].map((text) => refused(`C11 underscore in ${text}`, head(line, text))),
  forwarded('C11 an underscore elsewhere is allowed', head(line, 'My_Header: 1'), {
    line,
    fields: [host, ['my_header', '1']],
  }),
]

const folds: Case[] = [
  ...['X: y\r\n z', 'X: y\r\n\tz', 'X: y\r\n ', 'X:\r\n y', 'Transfer-Encoding:\r\n chunked', 'X: y\r\n\r z'].map(
    (text) => refused(`C2 folded line ${show(text)}`, head(line, text)),
  ),
  refused('C2 folded Host', 'GET / HTTP/1.1\r\nHost: a.test\r\n b\r\n\r\n'),
  refused('C2 Host on a folded line', 'GET / HTTP/1.1\r\nX: y\r\n Host: a.test\r\n\r\n'),
  refused('C2 a fold before the end', head(line, 'Content-Length: 0\r\n ')),
  ...[' X: y', '\tX: y', ' ', ' Host: b.test'].map((text) =>
    refused(`C4 white space before the first line: ${show(text)}`, `${line}\r\n${text}\r\nHost: a.test\r\n\r\n`),
  ),
]

const controls = everyCharacter.filter((char) => isControl(char) && char !== '\t')
const opaque = everyCharacter.filter(isOpaque).join('')
const contents: Case[] = [
  ...controls.map((char) =>
    refused(`${'\0\r\n'.includes(char) ? 'C7' : 'C8'} ${show(char)} in a value`, head(line, `X: a${char}b`)),
  ),
  ...['\x00', '\x01', '\x0b', '\x7f'].flatMap((char) => [
    refused(`C8 ${show(char)} first in a value`, head(line, `X: ${char}b`)),
    refused(`C8 ${show(char)} last in a value`, head(line, `X: a${char}`)),
    refused(`C8 ${show(char)} right after the colon`, head(line, `X:${char}a`)),
  ]),
  forwarded('C8 a tab inside a value is kept', head(line, 'X: a\tb'), { line, fields: [host, ['x', 'a\tb']] }),
  forwarded('C9 every byte from 0x80 is opaque', head(line, `X: ${opaque}`), { line, fields: [host, ['x', opaque]] }),
  answered('C9 opaque bytes in an answer', `HTTP/1.1 200 OK\r\nX: ${opaque}\r\nContent-Length: 0\r\n\r\n`, {
    status: 200,
    fields: [['x', opaque]],
    upstream: 'reused',
  }),
  forwarded('C5 an empty value', head(line, 'X:', 'Y: ', 'Z: \t '), {
    line,
    fields: [host, ['x', ''], ['y', ''], ['z', '']],
  }),
  forwarded('C5 white space around a value is cut', head(line, 'X: \t y z \t'), {
    line,
    fields: [host, ['x', 'y z']],
  }),
  forwarded('C5 a colon in a value', head(line, 'X: a:b: c'), { line, fields: [host, ['x', 'a:b: c']] }),
  forwarded('C13 repeated lines keep their order and are not joined', head(line, 'X: 1', 'Y: 2', 'x: 3', 'X: 4'), {
    line,
    fields: [host, ['x', '1'], ['y', '2'], ['x', '3'], ['x', '4']],
  }),
  forwarded(
    'C13 repeated singletons go on',
    head(line, 'Authorization: a', 'Authorization: b', 'Cookie: c', 'Cookie: d'),
    {
      line,
      fields: [host, ['authorization', 'a'], ['authorization', 'b'], ['cookie', 'c'], ['cookie', 'd']],
    },
  ),
  answered(
    'C14 Set-Cookie lines are never joined',
    'HTTP/1.1 200 OK\r\nSet-Cookie: a=1, b\r\nX: y\r\nset-cookie: c=2\r\nContent-Length: 0\r\n\r\n',
    {
      status: 200,
      fields: [
        ['set-cookie', 'a=1, b'],
        ['x', 'y'],
        ['set-cookie', 'c=2'],
      ],
      upstream: 'reused',
    },
  ),
  forwarded('C13 names keep their spelling', head(line, 'X-cAsE: 1', 'x-lower: 2'), {
    line,
    check: (request) => {
      assert.ok(request.head.includes('\r\nX-cAsE: 1\r\n'))
      assert.ok(request.head.includes('\r\nx-lower: 2\r\n'))
    },
  }),
]

const ends: Case[] = [
  refused('C10 CR LF CR X', 'GET / HTTP/1.1\r\nHost: a.test\r\n\rX'),
  refused('C10 CR LF CR X: y', 'GET / HTTP/1.1\r\nHost: a.test\r\n\rX: y\r\n\r\n'),
  refused('C10 LF CR LF', 'GET / HTTP/1.1\r\nHost: a.test\n\r\n'),
  refused('C10 CR CR LF', 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\r\n'),
  refused('C10 CR LF LF', 'GET / HTTP/1.1\r\nHost: a.test\r\n\n'),
  refused('C10 LF LF', 'GET / HTTP/1.1\r\nHost: a.test\n\n'),
  refused('C10 CR CR', 'GET / HTTP/1.1\r\nHost: a.test\r\r'),
  refused('C10 CR LF CR CR LF', 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\r\n\r\n'),
]

const many = (count: number): string[] => Array.from({ length: count }, (_, i) => `X${i}: y`)
const exact = (bytes: number): string => {
  const frame = head(line, 'X: ').length
  return head(line, `X: ${'y'.repeat(bytes - frame)}`)
}
const sizes: Case[] = [
  forwarded('C12 a head of the default limit', exact(65_536), { line, modes: ['whole'] }),
  refused('C12 a head over the default limit', exact(65_537), { status: 431, modes: ['whole'] }),
  forwarded('C12 a head of 512 bytes, limit 512', exact(512), { line, rig: { limits: { headBytes: 512 } } }),
  refused('C12 a head of 513 bytes, limit 512', exact(513), { status: 431, rig: { limits: { headBytes: 512 } } }),
  refused('C12 a head without an end', `${line}\r\nHost: a.test\r\nX: ${'y'.repeat(3_000)}`, {
    status: 431,
    rig: { limits: { headBytes: 512 } },
    alone: true,
  }),
  refused('C12 lines without an end', `${line}\r\nHost: a.test\r\n${'X: y\r\n'.repeat(300)}`, {
    status: 431,
    rig: { limits: { headBytes: 512 } },
    alone: true,
  }),
  forwarded('C12 100 lines', head(line, ...many(99)), { line, modes: ['whole'] }),
  refused('C12 101 lines', head(line, ...many(100)), { status: 431, modes: ['whole'] }),
  forwarded('C12 5 lines, limit 5', head(line, ...many(4)), { line, rig: { limits: { headerLines: 5 } } }),
  refused('C12 6 lines, limit 5', head(line, ...many(5)), { status: 431, rig: { limits: { headerLines: 5 } } }),
]

const ok = (...lines: string[]): string => ['HTTP/1.1 200 OK', ...lines, 'Content-Length: 2', '', 'ok'].join('\r\n')
const answers: Case[] = [
  ...['X: y\r\n z', 'X: y\r\n\tz', ' X: y', 'Set-Cookie: a\r\n b'].map((text) =>
    badGateway(`C3 folded line ${show(text)} in an answer`, ok(text)),
  ),
  // The RFC has a proxy cut this white space; row C1 refuses it where it could hide framing.
  ...['Content-Length : 2', 'Transfer-Encoding : chunked', 'Transfer-Encoding\t: chunked'].map((text) =>
    badGateway(`C1 white space before the colon of ${show(text)} in an answer`, ok(text)),
  ),
  answered('C13 fields of an answer keep order and spelling', ok('b: 1', 'A: 2', 'B: 3'), {
    status: 200,
    upstream: 'reused',
    check: (answer) => {
      assert.deepEqual(values(answer.fields, 'b'), ['1', '3'])
      assert.ok(answer.head.includes('\r\nB: 3\r\n'))
    },
  }),
  answered('C16 odd names in an answer', ok('__proto__: a', 'constructor: b'), {
    status: 200,
    fields: [
      ['__proto__', 'a'],
      ['constructor', 'b'],
    ],
    upstream: 'reused',
  }),
  forwarded('C16 a prefix alone is a name like any other', head('GET / HTTP/1.1', 'X-Forwarded-: 1'), {
    line: 'GET / HTTP/1.1',
    fields: [
      ['host', 'a.test'],
      ['x-forwarded-', '1'],
    ],
  }),
]

await runCases(t, [...names, ...folds, ...contents, ...ends, ...sizes, ...answers])
