/** Rows K1 to K4: Via, loops, TRACE and Max-Forwards. */
import assert from 'node:assert/strict'
import t from 'tap'
import { runCases, type Case } from '../fixtures/cases.ts'
import { declined, forwarded, get, head, refused, withRig } from '../fixtures/rules.ts'
import { value, values } from '../fixtures/wire-message.ts'

const line = 'GET / HTTP/1.1'
const via = (wanted: string) => (request: { fields: readonly (readonly [string, string])[] }) =>
  assert.equal(values(request.fields, 'via').join(', '), wanted)

const marks: Case[] = [
  forwarded('K1 Via is added', get, { line, check: via('1.1 fairlead') }),
  forwarded('K1 Via names the version that came', head('GET / HTTP/1.0'), {
    line,
    closes: true,
    check: via('1.0 fairlead'),
  }),
  forwarded('K1 Via is appended to', head(line, 'Via: 1.0 fred, 1.1 p.example.net (x)'), {
    line,
    check: via('1.0 fred, 1.1 p.example.net (x), 1.1 fairlead'),
  }),
  forwarded('K1 several Via lines keep their order', head(line, 'Via: 1.0 fred', 'via: 1.1 mary'), {
    line,
    check: via('1.0 fred, 1.1 mary, 1.1 fairlead'),
  }),
  ...['1.1 fairlead', '1.1 fairlead, 1.1 fairlead', '1.1 x, 1.1 fairlead, 1.0 fairlead', '1.1 FAIRLEAD'].map(
    (text): Case => ({
      name: `K2 Via: ${text} ends as a loop sooner or later`,
      run: (mode) =>
        withRig({}, async (rig) => {
          // However often the pseudonym may pass, three rounds through ourselves must not.
          const client = await rig.client()
          await client.send(head(line, `Via: ${text}, 1.1 fairlead, 1.1 fairlead`), mode)
          const answer = await client.answer()
          assert.ok(answer.status === 508 || answer.status === 502, `status ${answer.status}`)
          assert.equal(value(answer.fields, 'connection'), 'close')
          await client.closedByPeer()
          rig.assertUntouched()
        }),
    }),
  ),
  {
    name: 'K2 the pseudonym over several lines counts too',
    run: (mode) =>
      withRig({}, async (rig) => {
        const client = await rig.client()
        await client.send(head(line, 'Via: 1.1 fairlead', 'Via: 1.1 fairlead', 'Via: 1.1 fairlead'), mode)
        const answer = await client.answer()
        assert.ok(answer.status === 508 || answer.status === 502, `status ${answer.status}`)
        rig.assertUntouched()
      }),
  },
  ...['1.1 fairleads', '1.1 xfairlead', '1.1 fairlead.example', '1.1 x (fairlead)'].map((text) =>
    forwarded(`K2 Via: ${text} is somebody else`, head(line, `Via: ${text}, ${text}, ${text}, ${text}`), { line }),
  ),
]

const traces: Case[] = [
  ...['TRACE / HTTP/1.1', 'TRACE /x?y HTTP/1.1'].map((each) =>
    declined(`K4 ${each}`, head(each, 'Cookie: secret'), 405),
  ),
  refused('K4 TRACE with Max-Forwards that is no number', head('TRACE / HTTP/1.1', 'Max-Forwards: x')),
  {
    name: 'K4 the refusal of TRACE reflects nothing and says what is allowed',
    run: (mode) =>
      withRig({}, async (rig) => {
        const client = await rig.client()
        await client.send(head('TRACE / HTTP/1.1', 'Cookie: secret'), mode)
        const answer = await client.answer()
        assert.equal(answer.status, 405)
        assert.notEqual(value(answer.fields, 'allow'), undefined, '405 needs Allow (RFC 9110 section 15.5.6)')
        assert.ok(!client.received.includes('secret'))
      }),
  },
  {
    name: 'K3 OPTIONS with Max-Forwards: 0 is answered here',
    run: (mode) =>
      withRig({}, async (rig) => {
        const client = await rig.client()
        await client.send(head('OPTIONS / HTTP/1.1', 'Max-Forwards: 0'), mode)
        const answer = await client.answer('OPTIONS')
        assert.ok(answer.status === 200 || answer.status === 204, `status ${answer.status}`)
        rig.assertUntouched()
      }),
  },
  {
    name: 'K3 OPTIONS * with Max-Forwards: 0 is answered here',
    run: (mode) =>
      withRig({}, async (rig) => {
        const client = await rig.client()
        await client.send(head('OPTIONS * HTTP/1.1', 'Max-Forwards: 0'), mode)
        const answer = await client.answer('OPTIONS')
        assert.ok(answer.status === 200 || answer.status === 204, `status ${answer.status}`)
        rig.assertUntouched()
      }),
  },
  ...(
    [
      ['1', '0'],
      ['5', '4'],
      ['10', '9'],
    ] as const
  ).map(([sent, wanted]) =>
    forwarded(`K3 OPTIONS with Max-Forwards: ${sent}`, head('OPTIONS / HTTP/1.1', `Max-Forwards: ${sent}`), {
      line: 'OPTIONS / HTTP/1.1',
      method: 'OPTIONS',
      check: (request) => assert.deepEqual(values(request.fields, 'max-forwards'), [wanted]),
    }),
  ),
  ...['x', '-1', '+1', '1.5', '', '1, 2', '0x1', '9'.repeat(30)].map((text) =>
    refused(
      `K3 OPTIONS with Max-Forwards: ${JSON.stringify(text)}`,
      head('OPTIONS / HTTP/1.1', `Max-Forwards: ${text}`),
    ),
  ),
  refused('K3 OPTIONS with two Max-Forwards', head('OPTIONS / HTTP/1.1', 'Max-Forwards: 5', 'Max-Forwards: 6')),
  ...['0', '5', 'x'].map((text) =>
    forwarded(`K3 Max-Forwards: ${text} means nothing for GET`, head(line, `Max-Forwards: ${text}`), {
      line,
      check: (request) => assert.deepEqual(values(request.fields, 'max-forwards'), [text]),
    }),
  ),
]

await runCases(t, [...marks, ...traces])
