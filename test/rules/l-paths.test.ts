/** Rows L1 to L4: paths decide the route on a normalised copy; the original goes on or the request is refused. */
import assert from 'node:assert/strict'
import t from 'tap'
import { runCases, type Case } from '../fixtures/cases.ts'
import { declined, forwarded, head, withRig } from '../fixtures/rules.ts'

const at = (target: string): string => head(`GET ${target} HTTP/1.1`)

/** `a.test/two` is routed to another service than the rest of `a.test`. */
const routed = (target: string, to: 'one' | 'two'): Case =>
  forwarded(`L1 ${target} goes to ${to}, as it came`, at(target), {
    line: `GET ${target} HTTP/1.1`,
    check: (_request, rig) => assert.equal(rig.other.requests.length, to === 'two' ? 1 : 0),
  })

const routes: Case[] = [
  routed('/', 'one'),
  routed('/two', 'two'),
  routed('/two/', 'two'),
  routed('/two/x', 'two'),
  routed('/two?x', 'two'),
  routed('/two?/../x', 'two'),
  routed('/twofold', 'one'),
  routed('/two;x', 'one'),
  routed('/TWO', 'one'),
  routed('/Two/x', 'one'),
  routed('/x/two', 'one'),
  routed('/?/two', 'one'),
  routed('/x?/two', 'one'),
  routed('/%74wo', 'two'),
  routed('/%74%77%6f/x', 'two'),
  routed('/tw%6F', 'two'),
  routed('/two%2fx', 'one'),
  routed('/two%2Fx', 'one'),
  routed('/two/%2f', 'two'),
  routed('/x%2ftwo', 'one'),
  routed('/x%20y', 'one'),
  routed('/%7Euser', 'one'),
  routed('/caf%C3%A9', 'one'),
  routed('/%E2%82%AC', 'one'),
  routed('/%F0%9F%9A%A2', 'one'),
  routed('/%f4%8f%bf%bf', 'one'),
  routed('/%5F%5b%5D%5e', 'one'),
  routed('/a%25b', 'one'),
  routed('/two%3Fx', 'one'),
  routed('/a%2Fb', 'one'),
  routed('/.well-known/x', 'one'),
  routed('/...', 'one'),
  routed('/a..b', 'one'),
  routed('/a./b', 'one'),
  routed('/.a/b', 'one'),
  routed('/..a/b', 'one'),
  routed('/a;b=c/d', 'one'),
  routed('/?..', 'one'),
  routed('/?a=%zz', 'one'),
  routed('/?a=%2e%2e', 'one'),
  routed('//', 'one'),
  routed('//x', 'one'),
]

const climbing = [
  '/..',
  '/../',
  '/../x',
  '/a/..',
  '/a/../',
  '/a/../b',
  '/a/../../b',
  '/two/../x',
  '/two/..',
  '/.',
  '/./',
  '/a/.',
  '/a/./b',
  '/./a',
  '/%2e',
  '/%2e/',
  '/%2E/a',
  '/%2e%2e',
  '/%2e%2e/',
  '/%2E%2E/x',
  '/%2e%2E/x',
  '/.%2e/x',
  '/%2e./x',
  '/a/%2e%2e/b',
  '/a/.%2E',
  '/a/%2e',
  '/..;/x',
  '/..;a=b/x',
  '/a/..;/b',
  '/.;/x',
  '/a/.;x/b',
  '/%2e%2e;/x',
  '/..%2fx',
  '/a/..%2f..%2fb',
  '/a%2f../b',
  '/a%2f..%2fb',
  '/%2e%2e%2fx',
  '/..%2Fx',
  '/..%5cx',
]

const invalid = [
  '/%00',
  '/a%00b',
  '/a/%00',
  '/%5c',
  '/a%5cb',
  '/a%5Cb',
  '/%',
  '/a%',
  '/%2',
  '/a%4',
  '/%zz',
  '/%2g',
  '/%g2',
  '/%%30',
  '/%-1',
  '/%+1',
  '/% 1',
  '/%u0041',
  '/%0',
  '/a%/b',
  '/%c0%af',
  '/%c0%ae%c0%ae/x',
  '/%e0%80%af',
  '/%f0%80%80%af',
  '/%ff',
  '/%f5%80%80%80',
  '/%fa',
  '/%c3',
  '/%c3%28',
  '/%ed%a0%80',
  '/%0d%0aX:%20y',
  '/%0a',
  '/%0d',
  '/%01',
  '/%7f',
  '/%252e%252e/x',
  '/%252f',
  '/%2500',
  '/%250d%250a',
]

const refusals: Case[] = [
  ...climbing.map((target) => declined(`L2 ${target}`, at(target), 400)),
  ...invalid
    .filter((target) => !target.startsWith('/%25') && !/%c|%e|%f|%0[ad1]|%7f/.test(target))
    .map((target) => declined(`L3 ${target}`, at(target), 400)),
  // Not UTF-8, a control character, or encoded twice: row L3 lists overlong and doubly encoded forms with those that
  // are refused; what is not in its list of 400 may also go on exactly as it came, never decoded.
  ...invalid
    .filter((target) => target.startsWith('/%25') || /%c|%e|%f|%0[ad1]|%7f/.test(target))
    .map((target): Case => ({
      name: `L3 ${target} is refused or goes on as it came`,
      run: (mode) =>
        withRig({}, async (rig) => {
          const client = await rig.client()
          await client.send(at(target), mode)
          const answer = await client.answer()
          if (answer.status === 400) return rig.assertUntouched()
          assert.equal(answer.status, 200)
          assert.deepEqual(
            rig.requests.map((request) => request.startLine),
            [`GET ${target} HTTP/1.1`],
          )
        }),
    })),
  ...['http://a.test/../x', 'http://a.test/%2e%2e/x', 'http://a.test/a/./b', 'http://a.test/%00'].map((target) =>
    declined(`L2 ${target} in absolute-form`, at(target), 400),
  ),
  ...(
    [
      ['path.test', '/other', 404],
      ['path.test', '/only', 200],
      ['path.test', '/only/x', 200],
      ['path.test', '/onlyx', 404],
      ['path.test', '/', 404],
      ['path.test', '/only%2fx', 404],
      ['path.test', '//other', 404],
      ['path.test', '/x/../only', 400],
      ['a.test', '/void', 503],
      ['a.test', '/void/x', 503],
      ['empty.test', '/', 503],
    ] as const
  ).map(([host, target, status]): Case => ({
    name: `L1 ${host}${target}: ${status}`,
    run: (mode) =>
      withRig({}, async (rig) => {
        const client = await rig.client()
        await client.send(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`, mode)
        assert.equal((await client.answer()).status, status)
        if (status !== 200) rig.assertUntouched()
      }),
  })),
]

await runCases(t, [...routes, ...refusals])
