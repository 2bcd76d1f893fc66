import t from 'tap'
import { answerBytesMax, readAnswer } from '../../src/health/probe-answer.ts'

const ok = { status: 200, identity: '' }

void t.test('a status line is enough where no header is asked for', async (t) => {
  const cases: readonly (readonly [string, unknown])[] = [
    ['', 'more'],
    ['H', 'more'],
    ['HTTP/1.1 20', 'more'],
    ['HTTP/1.1 200 OK\r\n', ok],
    ['HTTP/1.0 200\r\n', ok],
    ['HTTP/1.1 200 OK\n', ok],
    ['HTTP/1.1 503 Service Unavailable\r\nX: y', { status: 503, identity: '' }],
    ['HTTP/1.1 101 Switching\r\n', { status: 101, identity: '' }],
    ['HTTP/1.1 103 Hints\r\nLink: x\r\n', 'more'],
    ['HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 20', 'more'],
    ['HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No\r\n', { status: 204, identity: '' }],
    ['HTTP/2 200 OK\r\n', 'invalid'],
    ['SSH-2.0-x\r\n', 'invalid'],
    ['S', 'invalid'],
    ['HTTP/1.1 20 OK\r\n', 'invalid'],
    ['HTTP/1.1 2000 OK\r\n', 'invalid'],
    [`HTTP/1.1 200 ${'x'.repeat(answerBytesMax)}`, 'invalid'],
  ]
  for (const [bytes, expected] of cases) t.same(readAnswer(bytes, ''), expected, JSON.stringify(bytes.slice(0, 60)))
})

void t.test('a header asked for needs the whole head', async (t) => {
  const head = 'HTTP/1.1 200 OK\r\nA: b\r\nX-Id:  web-1 \r\nX-Id: second\r\n'
  t.equal(readAnswer(head, 'x-id'), 'more')
  t.same(readAnswer(`${head}\r\n`, 'x-id'), { status: 200, identity: 'web-1' })
  t.same(readAnswer(`${head}\r\nX-Other: body`, 'x-other'), ok, 'not from the body')
  t.same(readAnswer('HTTP/1.1 500 No\r\n\r\n', 'x-id'), { status: 500, identity: '' })
  t.same(readAnswer('HTTP/1.1 103 E\r\nX-Id: early\r\n\r\nHTTP/1.1 200 OK\r\nX-Id: late\r\n\r\n', 'x-id'), {
    status: 200,
    identity: 'late',
  })
  t.equal(readAnswer(`HTTP/1.1 200 OK\r\nA: ${'x'.repeat(answerBytesMax)}`, 'x-id'), 'invalid')
})
