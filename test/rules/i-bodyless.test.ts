/** Rows I1 to I5: answers without a body, and bodies without a length. */
import assert from 'node:assert/strict'
import t from 'tap'
import { runCases, type Case } from '../fixtures/cases.ts'
import { answered, answering, brokenAnswer, expectServed, get, head, withRig } from '../fixtures/rules.ts'
import { values } from '../fixtures/wire-message.ts'

const headRequest = head('HEAD / HTTP/1.1')
const reply = (status: string, ...lines: string[]): string => [`HTTP/1.1 ${status}`, ...lines, '', ''].join('\r\n')
const lengthIs = (wanted: readonly string[]) => (answer: { fields: readonly (readonly [string, string])[] }) =>
  assert.deepEqual(values(answer.fields, 'content-length'), wanted)

const toHead: Case[] = [
  answered('I1 HEAD keeps Content-Length and has no body', reply('200 OK', 'Content-Length: 5'), {
    request: headRequest,
    method: 'HEAD',
    status: 200,
    upstream: 'reused',
    check: lengthIs(['5']),
  }),
  answered('I1 HEAD with Content-Length: 0', reply('200 OK', 'Content-Length: 0'), {
    request: headRequest,
    method: 'HEAD',
    status: 200,
    upstream: 'reused',
    check: lengthIs(['0']),
  }),
  answered('I1 HEAD with Transfer-Encoding', reply('200 OK', 'Transfer-Encoding: chunked'), {
    request: headRequest,
    method: 'HEAD',
    status: 200,
    upstream: 'reused',
  }),
  answered('I1 HEAD without framing does not wait for an end', reply('200 OK', 'X: y'), {
    request: headRequest,
    method: 'HEAD',
    status: 200,
    fields: [['x', 'y']],
    upstream: 'reused',
  }),
  answered('I1 HEAD answered with a body: dropped, upstream closed', `${reply('200 OK', 'Content-Length: 5')}hello`, {
    request: headRequest,
    method: 'HEAD',
    status: 200,
    upstream: 'closed',
  }),
  answered(
    'I1 HEAD answered with a chunked body',
    `${reply('200 OK', 'Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`,
    {
      request: headRequest,
      method: 'HEAD',
      status: 200,
      upstream: 'closed',
    },
  ),
  answered(
    'I1 HEAD answered with a second answer',
    `${reply('200 OK', 'Content-Length: 5')}${reply('200 OK', 'Content-Length: 0')}`,
    {
      request: headRequest,
      method: 'HEAD',
      status: 200,
      upstream: 'closed',
    },
  ),
  answered('I1 HEAD, 404', reply('404 Not Found', 'Content-Length: 9'), {
    request: headRequest,
    method: 'HEAD',
    status: 404,
    upstream: 'reused',
    check: lengthIs(['9']),
  }),
  answered('I1 HEAD from HTTP/1.0', reply('200 OK', 'Content-Length: 5'), {
    request: head('HEAD / HTTP/1.0'),
    method: 'HEAD',
    status: 200,
    client: 'closes',
    upstream: 'reused',
  }),
]

const empty: Case[] = [
  answered('I2 204', reply('204 No Content', 'X: y'), { status: 204, fields: [['x', 'y']], upstream: 'reused' }),
  answered('I2 204 with Content-Length: 0 loses it', reply('204 No Content', 'Content-Length: 0'), {
    status: 204,
    upstream: 'reused',
    check: lengthIs([]),
  }),
  answered('I2 204 with Content-Length: 5 loses it', reply('204 No Content', 'Content-Length: 5'), {
    status: 204,
    upstream: 'reused',
    check: lengthIs([]),
  }),
  answered('I2 204 with a body: dropped, upstream closed', `${reply('204 No Content', 'Content-Length: 5')}hello`, {
    status: 204,
    upstream: 'closed',
    check: lengthIs([]),
  }),
  answered('I2 204 with Transfer-Encoding', reply('204 No Content', 'Transfer-Encoding: chunked'), {
    status: 204,
    upstream: 'reused',
    check: (answer) => assert.deepEqual(values(answer.fields, 'transfer-encoding'), []),
  }),
  answered(
    'I2 204 with a chunked body',
    `${reply('204 No Content', 'Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`,
    {
      status: 204,
      upstream: 'closed',
    },
  ),
  answered('I2 304', reply('304 Not Modified', 'ETag: "x"'), {
    status: 304,
    fields: [['etag', '"x"']],
    upstream: 'reused',
  }),
  answered('I2 304 may have Content-Length', reply('304 Not Modified', 'Content-Length: 5'), {
    status: 304,
    upstream: 'reused',
  }),
  answered('I2 304 with a body: dropped, upstream closed', `${reply('304 Not Modified', 'Content-Length: 5')}hello`, {
    status: 304,
    upstream: 'closed',
  }),
  answered('I2 304 with Transfer-Encoding', reply('304 Not Modified', 'Transfer-Encoding: chunked'), {
    status: 304,
    upstream: 'reused',
  }),
  answered('I3 205 with Content-Length: 0', reply('205 Reset Content', 'Content-Length: 0'), {
    status: 205,
    body: '',
    upstream: 'reused',
  }),
  answered('I3 205 without framing, closed', reply('205 Reset Content'), {
    status: 205,
    body: '',
    upstream: 'closed',
    after: 'end',
    client: 'either',
  }),
  answered('I2 204 to HTTP/1.0', reply('204 No Content'), {
    request: head('GET / HTTP/1.0'),
    status: 204,
    client: 'closes',
    upstream: 'reused',
  }),
]

const toClose: Case[] = [
  answered('I5 a body to the end of the connection becomes chunked', `${reply('200 OK')}hello`, {
    status: 200,
    body: 'hello',
    framing: 'chunked',
    upstream: 'closed',
    after: 'end',
  }),
  answered('I5 an empty body to the end of the connection', reply('200 OK', 'X: y'), {
    status: 200,
    body: '',
    upstream: 'closed',
    after: 'end',
  }),
  answered('I5 such a body to HTTP/1.0 ends with the connection', `${reply('200 OK')}hello`, {
    request: head('GET / HTTP/1.0'),
    status: 200,
    body: 'hello',
    framing: 'close',
    client: 'closes',
    upstream: 'closed',
    after: 'end',
  }),
  answered(
    'I5 what looks like an answer inside such a body',
    `${reply('200 OK')}${reply('200 OK', 'Content-Length: 0')}`,
    {
      status: 200,
      body: reply('200 OK', 'Content-Length: 0'),
      framing: 'chunked',
      upstream: 'closed',
      after: 'end',
    },
  ),
  answered('I5 HTTP/1.0 upstream, to the end', 'HTTP/1.0 200 OK\r\n\r\nhello', {
    status: 200,
    body: 'hello',
    framing: 'chunked',
    upstream: 'closed',
    after: 'end',
  }),
  answered('I5 a large body to the end', `${reply('200 OK')}${'0123456789'.repeat(30_000)}`, {
    status: 200,
    body: '0123456789'.repeat(30_000),
    upstream: 'closed',
    after: 'end',
    modes: ['whole'],
  }),
  brokenAnswer('I5 reset in such a body cuts the client off', `${reply('200 OK')}hello`, {
    after: 'reset',
    modes: ['bytes'],
  }),
  brokenAnswer('I5 reset in such a body, HTTP/1.0 client', `${reply('200 OK')}hello`, {
    after: 'reset',
    request: head('GET / HTTP/1.0'),
    modes: ['bytes'],
  }),
]

const withLength: Case[] = [
  answered('I5 a body by length', `${reply('200 OK', 'Content-Length: 5')}hello`, {
    status: 200,
    body: 'hello',
    framing: 'length',
    upstream: 'reused',
    check: lengthIs(['5']),
  }),
  answered('I5 an empty body by length', reply('200 OK', 'Content-Length: 0'), {
    status: 200,
    body: '',
    framing: 'length',
    upstream: 'reused',
  }),
  answered('I5 a body by length to HTTP/1.0', `${reply('200 OK', 'Content-Length: 5')}hello`, {
    request: head('GET / HTTP/1.0'),
    status: 200,
    body: 'hello',
    framing: 'length',
    client: 'closes',
    upstream: 'reused',
  }),
  ...['200', '203', '299', '302', '400', '404', '418', '500', '503', '599'].map((status) =>
    answered(`I5 ${status} is passed on with its body`, `${reply(`${status} Some Reason`, 'Content-Length: 5')}hello`, {
      status: Number(status),
      body: 'hello',
      upstream: 'reused',
    }),
  ),
  {
    name: 'I3 205 with content: the content is not passed on',
    run: (mode) =>
      withRig({ backend: answering(`${reply('205 Reset Content', 'Content-Length: 5')}hello`, mode) }, async (rig) => {
        const client = await rig.client()
        await client.send(get)
        const answer = await client.answer()
        assert.ok(answer.status === 205 || answer.status === 502)
        if (answer.status === 205) assert.equal(answer.body, '')
        await expectServed(rig, await rig.client())
      }),
  },
]

await runCases(t, [...toHead, ...empty, ...toClose, ...withLength])
