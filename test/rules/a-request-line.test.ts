/** Rows A1 to A18: the request line and the request-target. */
import assert from 'node:assert/strict'
import t from 'tap'
import { everyCharacter, isOpaque, isTokenCharacter } from '../fixtures/characters.ts'
import { runCases, type Case } from '../fixtures/cases.ts'
import { settle } from '../fixtures/raw-client.ts'
import { expectRefusal, forwarded, get, head, refused, withRig } from '../fixtures/rules.ts'
import { values, value } from '../fixtures/wire-message.ts'

const show = (text: string): string => JSON.stringify(text)
const onlyHost = [['host', 'a.test']] as const

const lineEnds: Case[] = [
  refused('A1 request line ended by a bare LF', 'GET / HTTP/1.1\nHost: a.test\r\n\r\n'),
  refused('A1 bare LF throughout', 'GET / HTTP/1.1\nHost: a.test\n\n'),
  refused('A1 an empty line of a bare LF before', '\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n'),
  refused('A1 header line ended by a bare LF', 'GET / HTTP/1.1\r\nHost: a.test\nX: y\r\n\r\n'),
  refused('A1 last header line ended by a bare LF', 'GET / HTTP/1.1\r\nHost: a.test\r\nX: y\n\r\n'),
  refused('A1 empty line of a bare LF', 'GET / HTTP/1.1\r\nHost: a.test\r\n\n'),
  ...[
    'G\rET / HTTP/1.1\r\n',
    'GET /a\rb HTTP/1.1\r\n',
    'GET\r/ HTTP/1.1\r\n',
    'GET / HTTP/1.1\r\r\n',
    'GET / HTTP/1.1\rX: y\r\n',
    'GET / HT\rTP/1.1\r\n',
    '\rGET / HTTP/1.1\r\n',
    'GET / HTTP/1.1\r\nX\r: y\r\n',
    'GET / HTTP/1.1\r\nX: y\r\r\n',
    'GET / HTTP/1.1\r\nX:\ry\r\n',
  ].map((line) => refused(`A2 bare CR in ${show(line)}`, `${line}Host: a.test\r\n\r\n`)),
  forwarded('A3 one empty line before the request line', `\r\n${get}`, { line: 'GET / HTTP/1.1', fields: onlyHost }),
  // Row A3 caps at one or two; three are beyond either.
  refused('A3 three empty lines before the request line', `\r\n\r\n\r\n${get}`),
  refused('A3 CR CR LF before the request line', `\r\r\n${get}`),
]

const separators: Case[] = [
  'GET  / HTTP/1.1',
  'GET /  HTTP/1.1',
  'GET\t/ HTTP/1.1',
  'GET /\tHTTP/1.1',
  'GET\x0b/ HTTP/1.1',
  'GET /\x0bHTTP/1.1',
  'GET\x0c/ HTTP/1.1',
  'GET /\x0cHTTP/1.1',
  'GET\xa0/ HTTP/1.1',
  'GET /\xa0HTTP/1.1',
  'GET / HTTP/1.1 ',
  'GET / HTTP/1.1\t',
  ' GET / HTTP/1.1',
  '\tGET / HTTP/1.1',
  'GET / a HTTP/1.1',
  'GET / HTTP/1.1 HTTP/1.1',
  'GET/ HTTP/1.1',
  'GET /HTTP/1.1',
].map((line) => refused(`A4 separator in ${show(line)}`, head(line)))

const versions: Case[] = [
  ...[
    'GET /',
    'GET / ',
    'GET',
    'GET ',
    'GET / HTTP/1',
    'GET / HTTP/1.',
    'GET / HTTP/.1',
    'GET / HTTP/01.1',
    'GET / HTTP/1.10',
    'GET / HTTP/1.01',
    'GET / HTTP/11.1',
    'GET / HTTP/2.10',
    'GET / HTTP/2.x',
    'GET / HTTP/1.x',
    'GET / XHTTP/2.0',
    'GET / http/1.1',
    'GET / Http/1.1',
    'GET / HTTP/ 1.1',
    'GET / HTTP /1.1',
    'GET / HTTP/1 .1',
    'GET / HTTP/1. 1',
    'GET / HTTP/1,1',
    'GET / HTTP/1:1',
    'GET / HTTP1.1',
    'GET / HTTP/-1.1',
    'GET / HTTP/+1.1',
    'GET / HTTP/1.1a',
    'GET / HTTP/a.b',
    'GET / HTTP/\xb9.1',
    'GET / HTTPS/1.1',
    'GET / ICY/1.1',
    'GET / XTTP/1.1',
    'GET / HTTP/1.1\x00',
    'GET / \x00HTTP/1.1',
    'GET / HTTP/',
    'GET / HTTP',
  ].map((line) => refused(`A5 version in ${show(line)}`, head(line))),
  ...['2.0', '3.0', '9.9', '0.9', '0.0', '2.1'].map((version) =>
    refused(`A6 HTTP/${version}`, head(`GET / HTTP/${version}`), { status: [400, 505] }),
  ),
  forwarded('A7 HTTP/1.2 goes on as HTTP/1.1', head('GET / HTTP/1.2'), { line: 'GET / HTTP/1.1', fields: onlyHost }),
  forwarded('A7 HTTP/1.9 goes on as HTTP/1.1', head('GET / HTTP/1.9'), { line: 'GET / HTTP/1.1', fields: onlyHost }),
  refused('A8 HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', { status: 400 }),
]

const notToken = everyCharacter.filter((char) => !isTokenCharacter(char) && !' \r\n'.includes(char))

const methods: Case[] = [
  ...notToken.map((char) => refused(`A9 ${show(char)} in the method`, head(`G${char}T / HTTP/1.1`))),
  refused('A9 empty method', head(' / HTTP/1.1')),
  refused('A9 method of 33 bytes', head(`${'M'.repeat(33)} / HTTP/1.1`)),
  refused('A9 method without an end', 'M'.repeat(3_000), {
    status: [400, 414, 431],
    rig: { limits: { headBytes: 2_048 } },
    alone: true,
  }),
  ...['M'.repeat(32), 'PURGE', 'get', 'M-SEARCH', "!#$%&'*+-.^_`|~09azAZ", 'PROPFIND', 'QUERY', 'DELETE', 'PATCH'].map(
    (method) =>
      forwarded(`A9 method ${method}`, head(`${method} / HTTP/1.1`), {
        line: `${method} / HTTP/1.1`,
        fields: onlyHost,
        method,
      }),
  ),
]

const longest = `/${'x'.repeat(8_191)}`
const small = { limits: { targetBytes: 64 } }
const lengths: Case[] = [
  forwarded('A10 target of the default limit', head(`GET ${longest} HTTP/1.1`), {
    line: `GET ${longest} HTTP/1.1`,
    modes: ['whole'],
  }),
  refused('A10 target over the default limit', head(`GET ${longest}x HTTP/1.1`), { status: 414, modes: ['whole'] }),
  forwarded('A10 target of 64 bytes, limit 64', head(`GET /${'x'.repeat(63)} HTTP/1.1`), {
    line: `GET /${'x'.repeat(63)} HTTP/1.1`,
    rig: small,
  }),
  refused('A10 target of 65 bytes, limit 64', head(`GET /${'x'.repeat(64)} HTTP/1.1`), { status: 414, rig: small }),
  refused('A10 target over the limit, no end in sight', `GET /${'x'.repeat(3_000)}`, {
    status: 414,
    rig: { limits: { targetBytes: 64, headBytes: 2_048 } },
    alone: true,
  }),
  refused('A10 query counts', head(`GET /?${'x'.repeat(63)} HTTP/1.1`), { status: 414, rig: small }),
]

const badInTarget = everyCharacter.filter((char) => /[^\x21-\x7e]/.test(char) || '"<>\\^`{|}#'.includes(char))
const everyGood = "/-._~!$&'()*+,;=:@aZ09/%41?-._~!$&'()*+,;=:@/?aZ09%41"
const targets: Case[] = [
  ...badInTarget.map((char) =>
    refused(`${char === '#' ? 'A12' : 'A11'} ${show(char)} in the path`, head(`GET /a${char}b HTTP/1.1`)),
  ),
  ...badInTarget
    .filter((char) => !isOpaque(char) && !'\r\n'.includes(char))
    .map((char) =>
      refused(`${char === '#' ? 'A12' : 'A11'} ${show(char)} in the query`, head(`GET /a?b${char}c HTTP/1.1`)),
    ),
  refused('A12 fragment at the end', head('GET /a# HTTP/1.1')),
  refused('A12 fragment in absolute-form', head('GET http://a.test/#f HTTP/1.1')),
  forwarded('A11 every allowed character goes on as it came', head(`GET ${everyGood} HTTP/1.1`), {
    line: `GET ${everyGood} HTTP/1.1`,
    fields: onlyHost,
  }),
  // Brackets are not in RFC 3986's query, but browsers and frameworks send them bare; the row does not list them.
  forwarded('A11 brackets in the query', head('GET /?a[]=1 HTTP/1.1'), { line: 'GET /?a[]=1 HTTP/1.1' }),
]

const absolute: Case[] = [
  ...(
    [
      ['http://a.test/p?q=1', '/p?q=1'],
      ['http://a.test', '/'],
      ['http://a.test/', '/'],
      ['http://a.test?q=1', '/?q=1'],
      ['HTTP://a.test/p', '/p'],
      ['hTtP://a.test/p', '/p'],
      ['http://a.test//p', '//p'],
    ] as const
  ).map(([target, onward]) =>
    forwarded(`A13 ${target}`, head(`GET ${target} HTTP/1.1`), { line: `GET ${onward} HTTP/1.1`, fields: onlyHost }),
  ),
  forwarded('A13 authority with a port', 'GET http://a.test:8080/p HTTP/1.1\r\nHost: a.test:8080\r\n\r\n', {
    line: 'GET /p HTTP/1.1',
    fields: [['host', 'a.test:8080']],
  }),
  forwarded('A13 upper case authority', 'GET http://A.TEST/p HTTP/1.1\r\nHost: a.test\r\n\r\n', {
    line: 'GET /p HTTP/1.1',
    check: (request) => assert.equal(value(request.fields, 'host')?.toLowerCase(), 'a.test'),
  }),
  forwarded('A13 routes by the authority', 'GET http://b.test/p HTTP/1.1\r\nHost: b.test\r\n\r\n', {
    line: 'GET /p HTTP/1.1',
    check: (_request, rig) => assert.equal(rig.other.requests.length, 1),
  }),
  forwarded('A13 HTTP/1.0 without Host takes the authority', 'GET http://a.test/p HTTP/1.0\r\n\r\n', {
    line: 'GET /p HTTP/1.1',
    fields: onlyHost,
    closes: true,
  }),
  ...[
    ['http://a.test?q=1', '/?q=1'],
    ['http://a.test/p', '/p'],
    ['http://a.test/', '/'],
  ].map(([target, onward]) =>
    forwarded(`A13 OPTIONS ${target}`, head(`OPTIONS ${target} HTTP/1.1`), {
      line: `OPTIONS ${onward} HTTP/1.1`,
      method: 'OPTIONS',
    }),
  ),
  forwarded('A13 OPTIONS without a path goes on as *', head('OPTIONS http://a.test HTTP/1.1'), {
    line: 'OPTIONS * HTTP/1.1',
    fields: onlyHost,
    method: 'OPTIONS',
  }),
  refused('A13 absolute-form without Host in HTTP/1.1', 'GET http://a.test/p HTTP/1.1\r\n\r\n'),
  refused(
    'A14 a port that only begins like the default one',
    'GET http://a.test:801/p HTTP/1.1\r\nHost: a.test1\r\n\r\n',
  ),
  refused('A14 authority and Host differ', 'GET http://a.test/p HTTP/1.1\r\nHost: b.test\r\n\r\n'),
  refused('A14 authority unknown, Host known', 'GET http://c.test/p HTTP/1.1\r\nHost: a.test\r\n\r\n'),
  refused('A14 ports differ', 'GET http://a.test:81/p HTTP/1.1\r\nHost: a.test:82\r\n\r\n'),
  ...['http://a.test:80/p', 'http://a.test:8080/p'].map((target) =>
    refused(`A14 ${target} and another port`, `GET ${target} HTTP/1.1\r\nHost: a.test:81\r\n\r\n`),
  ),
  refused('A14 a port that only starts like the default one', head('GET http://a.test:8080/p HTTP/1.1')),
  refused('A14 an authority that is none in HTTP/1.0', 'GET http://a.test:99999/ HTTP/1.0\r\n\r\n'),
  refused('A14 a port with too many zeros', 'GET http://a.test:0000000080/ HTTP/1.1\r\nHost: a.test\r\n\r\n'),
  refused('A14 HTTP/1.0 differs too', 'GET http://a.test/p HTTP/1.0\r\nHost: b.test\r\n\r\n'),
  refused('A14 Host empty', 'GET http://a.test/p HTTP/1.1\r\nHost:\r\n\r\n'),
  ...[
    'http://u@a.test/',
    'http://u:p@a.test/',
    'http://@a.test/',
    'http://a.test@b.test/',
    'ftp://a.test/',
    'ws://a.test/',
    'file:///etc/passwd',
    'httpx://a.test/',
    'xhttp://a.test/',
    'http:///p',
    'http://',
    'http://:80/',
    'http:/a.test/',
    'http:a.test/',
    'http//a.test/',
    '://a.test/',
    '//',
    'http://a.test:/p',
    'http://a.test:99999/',
    'http://a.test:8x/',
    'http://a.test:0/',
    'http://[::1/',
    'http://a.test%00/',
    'http://a.test\\@b.test/',
    'javascript:alert(1)',
  ]
    .filter((target) => target !== '//')
    .map((target) => refused(`A15 ${show(target)}`, head(`GET ${target} HTTP/1.1`))),
]

/** What is refused without waiting for the end of the head, which may never come. */
const early: Case[] = [
  '\0',
  '\x16\x03\x01',
  '\n',
  '\r\n\r',
  'GET / HTTP/1.1\n',
  'GET / HTTP/1.1\r\nX: y\rz',
  'M'.repeat(40),
].map((bytes) => refused(`A9 ${show(bytes)} and nothing after it`, bytes, { alone: true }))

const otherForms: Case[] = [
  ...[
    'GET * HTTP/1.1',
    'POST * HTTP/1.1',
    'HEAD * HTTP/1.1',
    'GET */x HTTP/1.1',
    'OPTIONS */x HTTP/1.1',
    'OPTIONS ** HTTP/1.1',
    'OPTIONS *?x HTTP/1.1',
    'GET a.test:80 HTTP/1.1',
    'GET a.test HTTP/1.1',
    'GET admin HTTP/1.1',
    'OPTIONS a.test:80 HTTP/1.1',
    'GET admin/x HTTP/1.1',
    'GET ?q=1 HTTP/1.1',
    'GET ./x HTTP/1.1',
    'GET ../x HTTP/1.1',
    'GET @/x HTTP/1.1',
    'GET :80/x HTTP/1.1',
    'GET ;/x HTTP/1.1',
  ].map((line) => refused(`A16 ${line}`, head(line), { method: line.startsWith('HEAD') ? 'HEAD' : 'GET' })),
  ...[
    'a.test:443',
    'a.test:80',
    'a.test',
    'a.test:',
    'a.test:0',
    'a.test:99999',
    'a.test:x',
    '/',
    '*',
    '[::1]:443',
  ].map((target) => refused(`A17 CONNECT ${target}`, head(`CONNECT ${target} HTTP/1.1`), { status: [400, 405, 501] })),
  {
    name: 'A18 OPTIONS * is forwarded as * or answered here',
    run: (mode) =>
      withRig({}, async (rig) => {
        const client = await rig.client()
        await client.send(head('OPTIONS * HTTP/1.1'), mode)
        const answer = await client.answer('OPTIONS')
        assert.ok(answer.status === 200 || answer.status === 204, `status ${answer.status}`)
        assert.deepEqual(
          rig.requests.map((request) => request.startLine),
          rig.requests.length === 0 ? [] : ['OPTIONS * HTTP/1.1'],
        )
      }),
  },
  {
    name: 'A13 absolute-form never reaches a backend with two hosts',
    run: (mode) =>
      withRig({}, async (rig) => {
        const client = await rig.client()
        await client.send('GET http://a.test/ HTTP/1.1\r\nHost: A.TEST\r\n\r\n', mode)
        const answer = await client.answer()
        assert.equal(answer.status, 200)
        assert.equal(rig.requests.length, 1)
        for (const request of rig.requests) assert.equal(values(request.fields, 'host').length, 1)
      }),
  },
  {
    name: 'A3 an empty line after a body is ignored before the next request',
    run: (mode) =>
      withRig({}, async (rig) => {
        const client = await rig.client()
        await client.send(`${head('POST / HTTP/1.1', 'Content-Length: 2')}hi\r\n${get}`, mode)
        assert.equal((await client.answer()).status, 200)
        assert.equal((await client.answer()).status, 200)
        assert.deepEqual(
          rig.requests.map((request) => request.body),
          ['hi', ''],
        )
      }),
  },
  {
    name: 'A3 empty lines alone are neither a request nor an error',
    run: (mode) =>
      withRig({}, async (rig) => {
        const client = await rig.client()
        await client.send('\r\n', mode)
        await settle()
        assert.equal(client.open, true)
        assert.equal(client.received, '')
        await client.send(get, mode)
        assert.equal((await client.answer()).status, 200)
      }),
  },
  {
    name: 'A1 a TLS hello is refused without a wait for more',
    run: (mode) =>
      withRig({}, async (rig) => {
        const client = await rig.client()
        await client.send('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', mode)
        await expectRefusal(client)
        rig.assertUntouched()
      }),
  },
]

await runCases(t, [
  ...lineEnds,
  ...separators,
  ...versions,
  ...methods,
  ...lengths,
  ...targets,
  ...absolute,
  ...early,
  ...otherForms,
])
