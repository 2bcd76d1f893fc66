/** Rows N1 to N11: what a backend may say. (N8 is among the timeouts, N10 among the connections.) */
import assert from 'node:assert/strict'
import t from 'tap'
import { everyCharacter, isControl, isTokenCharacter } from '../fixtures/characters.ts'
import { runCases, type Case } from '../fixtures/cases.ts'
import { okAnswer } from '../fixtures/raw-backend.ts'
import { answered, answering, badGateway, brokenAnswer, expectCut, get, head, withRig } from '../fixtures/rules.ts'
import { until } from '../fixtures/until.ts'
import { value } from '../fixtures/wire-message.ts'

const show = (text: string): string =>
  text.length > 60 ? `${JSON.stringify(text.slice(0, 50))}…` : JSON.stringify(text)
const reply = (...lines: string[]): string => ['HTTP/1.1 200 OK', ...lines, '', ''].join('\r\n')
const framed = (...lines: string[]): string => `${reply(...lines, 'Content-Length: 2')}ok`
/** Whatever a value may hold: the tab and all that is no control character. */
const allowed = everyCharacter.filter((char) => char === '\t' || !isControl(char)).join('')

const statusLines: Case[] = [
  ...[
    'HTTP/1.1 20 OK',
    'HTTP/1.1 2000 OK',
    'HTTP/1.1 2x0 OK',
    'HTTP/1.1 +20 OK',
    'HTTP/1.1 -200 OK',
    'HTTP/1.1 0x1 OK',
    'HTTP/1.1 000 OK',
    'HTTP/1.1 099 OK',
    'HTTP/1.1 600 OK',
    'HTTP/1.1 999 OK',
    'HTTP/1.1  200 OK',
    'HTTP/1.1\t200 OK',
    'HTTP/1.1 200\tOK',
    'HTTP/1.1 200OK',
    'HTTP/1.1 OK 200',
    'HTTP/1.1 ',
    'HTTP/1.1',
    'HTTP/1 200 OK',
    'HTTP/1. 200 OK',
    'HTTP/1.x 200 OK',
    'HTTP/1.: 200 OK',
    'HTTP/01.1 200 OK',
    'HTTP/1.10 200 OK',
    'HTTP/2.0 200 OK',
    'HTTP/3 200 OK',
    'HTTP/0.9 200 OK',
    'http/1.1 200 OK',
    'HTTPS/1.1 200 OK',
    'ICY 200 OK',
    'XTTP/1.1 200 OK',
    ' HTTP/1.1 200 OK',
    'HTTP/1.1 200 O\rK',
    'GET / HTTP/1.1',
    'SSH-2.0-OpenSSH_9.2',
    '220 mail.test ESMTP',
    'hello',
    '<html>',
    '\x15\x03\x01\x00\x02\x02\x50',
    '\x00',
    '-ERR unknown command',
  ].map((line) => badGateway(`N1 status line ${show(line)}`, `${line}\r\nContent-Length: 2\r\n\r\nok`)),
  badGateway('N1 an answer without a head, then the end', 'hello', { after: 'end' }),
  badGateway('N1 a status line ended by a bare LF', 'HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok'),
  badGateway('N1 bare LF throughout', 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok'),
  badGateway('N1 a line ended by a bare LF', 'HTTP/1.1 200 OK\r\nX: y\nContent-Length: 2\r\n\r\nok'),
  badGateway('N1 an empty line of a bare LF', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nok'),
  badGateway('N1 CR CR LF', 'HTTP/1.1 200 OK\r\r\nContent-Length: 2\r\n\r\nok'),
  badGateway('N1 CR LF CR X', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\rXok'),
  badGateway('N1 an empty line before the status line', `\r\n${framed()}`),
  badGateway('N1 the end before any head is complete', 'HTTP/1.1 200 OK\r\nContent-Le', { after: 'end' }),
  badGateway('N1 a reset before any head is complete', 'HTTP/1.1 200 OK\r\nContent-Le', { after: 'reset' }),
  badGateway('N1 the end inside the status line', 'HTTP/1.1 2', { after: 'end' }),
  ...[
    ['HTTP/1.1 200 ', 'empty'],
    ['HTTP/1.1 200 Fine, thanks', 'words'],
    ['HTTP/1.1 200 caf\xe9', 'latin1'],
    ['HTTP/1.1 200 a\tb', 'a tab'],
  ].map(([line, what]) =>
    answered(`N11 reason phrase: ${what}`, `${line}\r\nContent-Length: 2\r\n\r\nok`, {
      status: 200,
      body: 'ok',
      upstream: 'reused',
    }),
  ),
  ...['\x00', '\x01', '\x1b[31m', '\x7f', '\x0b'].map((text): Case => ({
    name: `N11 ${show(text)} in the reason phrase never reaches the client`,
    run: (mode) =>
      withRig({ backend: answering(`HTTP/1.1 200 a${text}b\r\nContent-Length: 2\r\n\r\nok`, mode) }, async (rig) => {
        const client = await rig.client()
        await client.send(get)
        const answer = await client.answer()
        assert.ok(answer.status === 200 || answer.status === 502)
        assert.ok(!client.received.includes(text))
      }),
  })),
  {
    // Not what the grammar says, but common enough that refusing and mending are both right.
    name: 'N1 no space after the status code',
    run: (mode) =>
      withRig({ backend: answering('HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok', mode) }, async (rig) => {
        const client = await rig.client()
        await client.send(get)
        const answer = await client.answer()
        assert.ok(answer.status === 502 || answer.startLine.startsWith('HTTP/1.1 200 '))
      }),
  },
  ...['HTTP/1.0 200 OK', 'HTTP/1.1 200 OK', 'HTTP/1.2 200 OK'].map((line) =>
    answered(
      `N1 ${line} goes to the client as HTTP/1.1`,
      `${line}\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok`,
      {
        status: 200,
        body: 'ok',
        upstream: 'reused',
        check: (answer) => assert.ok(answer.startLine.startsWith('HTTP/1.1 200 ')),
      },
    ),
  ),
]

const framing: Case[] = [
  ...[
    ['5', '6'],
    ['2', '3'],
    ['2', 'x'],
    ['2', ''],
  ].map((all) =>
    badGateway(
      `N2 Content-Length lines ${show(all.join(' | '))}`,
      `${reply(...all.map((each) => `Content-Length: ${each}`))}ok`,
    ),
  ),
  ...[
    '2, 3',
    '+2',
    '-2',
    '0x2',
    '2.0',
    '',
    ' ',
    '2x',
    'x',
    '2;y',
    '2 3',
    '1e1',
    '\xb2',
    '9007199254740993',
    '18446744073709551618',
    '9'.repeat(40),
  ].map((text) => badGateway(`N2 Content-Length ${show(text)}`, `${reply(`Content-Length: ${text}`)}ok`)),
  // Collapsing equal ones is allowed (RFC 9110 section 8.6); so is refusing them. Never may two reach the client.
  ...[['Content-Length: 2', 'Content-Length: 2'], ['Content-Length: 2, 2'], ['Content-Length: 02']].map(
    (lines): Case => ({
      name: `N2 ${lines.join(' | ')} is refused or becomes one`,
      run: (mode) =>
        withRig({ backend: answering(`${reply(...lines)}ok`, mode) }, async (rig) => {
          const client = await rig.client()
          await client.send(get)
          const answer = await client.answer()
          assert.ok(answer.status === 502 || answer.body === 'ok')
          if (answer.status === 200) assert.equal(value(answer.fields, 'content-length'), '2')
        }),
    }),
  ),
  badGateway(
    'N3 Transfer-Encoding and Content-Length',
    `${reply('Transfer-Encoding: chunked', 'Content-Length: 2')}2\r\nok\r\n0\r\n\r\n`,
  ),
  badGateway(
    'N3 Content-Length and Transfer-Encoding',
    `${reply('Content-Length: 2', 'Transfer-Encoding: chunked')}2\r\nok\r\n0\r\n\r\n`,
  ),
  badGateway('N3 on an answer to HEAD', reply('Content-Length: 2', 'Transfer-Encoding: chunked'), {
    request: head('HEAD / HTTP/1.1'),
    method: 'HEAD',
  }),
  ...[
    'gzip',
    'identity',
    'chunked, gzip',
    'gzip, chunked',
    'xchunked',
    'chunked, chunked',
    'chunked;x',
    '',
    '"chunked"',
    'chunked,',
    ',chunked',
    'chunked\x0b',
  ].map((text) =>
    badGateway(`N4 Transfer-Encoding ${show(text)}`, `${reply(`Transfer-Encoding: ${text}`)}2\r\nok\r\n0\r\n\r\n`),
  ),
  badGateway(
    'N4 two Transfer-Encoding lines',
    `${reply('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked')}2\r\nok\r\n0\r\n\r\n`,
  ),
  answered('N4 an answer of 20 kB in one piece', `${reply('Content-Length: 20000')}${'x'.repeat(20_000)}`, {
    status: 200,
    body: 'x'.repeat(20_000),
    upstream: 'reused',
    modes: ['whole'],
  }),
  answered('N4 the same length twice is one', framed('Content-Length: 2'), {
    status: 200,
    body: 'ok',
    upstream: 'reused',
  }),
  ...['Keep-Alive: xtimeout=1', 'Keep-Alive: timeout=x', 'Keep-Alive: timeout='].map((line) =>
    answered(`N4 ${line} announces no end`, framed(line), { status: 200, body: 'ok', upstream: 'reused' }),
  ),
  answered(
    'N4 what a 103 says of a body is dropped',
    `HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n${framed()}`,
    { status: 200, body: 'ok', upstream: 'reused' },
  ),
  badGateway(
    'N5 Transfer-Encoding in HTTP/1.0',
    'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
  ),
]

const fields: Case[] = [
  ...everyCharacter
    .filter((char) => isControl(char) && char !== '\t')
    .map((char) => badGateway(`N6 ${show(char)} in a value`, framed(`X: a${char}b`))),
  ...everyCharacter
    .filter((char) => !isTokenCharacter(char) && char !== ':')
    // Spaces before the colon may be cut (RFC 9112 section 5.1); these are inside the name.
    .map((char) => badGateway(`N6 ${show(char)} in a name`, framed(`X${char}Y: z`))),
  ...['novalue', ': y', 'X'].map((line) => badGateway(`N6 line ${show(line)}`, framed(line))),
  answered('N6 everything else in a value is passed on', framed(`X: x${allowed}x`), {
    status: 200,
    upstream: 'reused',
    check: (answer) => assert.equal(value(answer.fields, 'x'), `x${allowed}x`),
  }),
  badGateway('N7 a head over the limit', framed(`X: ${'y'.repeat(2_000)}`), { rig: { limits: { headBytes: 1_024 } } }),
  badGateway('N7 a head without an end', `HTTP/1.1 200 OK\r\nX: ${'y'.repeat(3_000)}`, {
    rig: { limits: { headBytes: 1_024 } },
  }),
  badGateway('N7 a status line without an end', `HTTP/1.1 200 ${'y'.repeat(3_000)}`, {
    rig: { limits: { headBytes: 1_024 } },
  }),
  badGateway('N7 too many lines', framed(...Array.from({ length: 20 }, (_, i) => `X${i}: y`)), {
    rig: { limits: { headerLines: 20 } },
  }),
  badGateway('N7 over the default limit', framed(`X: ${'y'.repeat(66_000)}`), { modes: ['whole'] }),
  badGateway('N7 more lines than the default limit', framed(...Array.from({ length: 101 }, (_, i) => `X${i}: y`)), {
    modes: ['whole'],
  }),
]

const cuts: Case[] = [
  ...(['end', 'reset'] as const).flatMap((then) => [
    brokenAnswer(`N9 ${then} in a body by length`, `${reply('Content-Length: 5')}hel`, { after: then }),
    brokenAnswer(`N9 ${then} before a body by length`, reply('Content-Length: 5'), { after: then }),
    brokenAnswer(`N9 ${then} in a chunked body`, `${reply('Transfer-Encoding: chunked')}5\r\nhello\r\n`, {
      after: then,
    }),
    brokenAnswer(`N9 ${then} in a body by length, HTTP/1.0 client`, `${reply('Content-Length: 5')}hel`, {
      after: then,
      request: head('GET / HTTP/1.0'),
    }),
    brokenAnswer(
      `N9 ${then} in a chunked body, HTTP/1.0 client`,
      `${reply('Transfer-Encoding: chunked')}5\r\nhello\r\n`,
      {
        after: then,
        request: head('GET / HTTP/1.0'),
      },
    ),
    brokenAnswer(`N9 ${then} after an interim answer`, 'HTTP/1.1 103 Early Hints\r\n\r\n', { after: then }),
  ]),
  ...(['end', 'reset'] as const).map((then): Case => ({
    name: `N9 ${then} in a large body: what came is passed on, then the connection is cut`,
    modes: ['whole'],
    run: () =>
      withRig(
        {
          backend: {
            onRequest: (_request, connection) =>
              void connection.socket.write(`${reply('Content-Length: 3000000')}${'x'.repeat(1_000_000)}`, () =>
                setImmediate(() => (then === 'end' ? connection.end() : connection.abort())),
              ),
          },
        },
        async (rig) => {
          const client = await rig.client()
          await client.send(get)
          await client.wait('some of it', () => client.received.length > 0)
          await expectCut(client)
          await until(() => rig.records.length === 1)
          assert.notEqual(rig.records[0]?.cause, '', 'the record says why')
        },
      ),
  })),
  {
    name: 'N9 an answer by length is passed on as it comes',
    run: (mode) =>
      withRig(
        {
          backend: {
            onRequest: (_request, connection) => void connection.send(`${reply('Content-Length: 4')}ab`, mode),
          },
        },
        async (rig) => {
          const client = await rig.client()
          await client.send(get, mode)
          await client.wait('the first half', () => client.received.endsWith('ab'))
          await rig.connection.send('cd', mode)
          assert.equal((await client.answer()).body, 'abcd')
        },
      ),
  },
  answered('N1 an answer without Date gets one', okAnswer, {
    // RFC 9110 section 6.6.1: what is forwarded without a Date is given one.
    status: 200,
    upstream: 'reused',
    check: (answer) => assert.match(value(answer.fields, 'date') ?? '', / GMT$/),
  }),
  answered('N1 an answer with Date keeps it', framed('Date: Tue, 15 Nov 1994 08:12:31 GMT'), {
    status: 200,
    upstream: 'reused',
    check: (answer) => assert.equal(value(answer.fields, 'date'), 'Tue, 15 Nov 1994 08:12:31 GMT'),
  }),
]

await runCases(t, [...statusLines, ...framing, ...fields, ...cuts])
