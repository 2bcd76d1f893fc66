import t from 'tap'
import { acceptOf, readFrame, textFrame } from '../../bench/lib/websocket.ts'

t.test('the accept of a key, by the example of RFC 6455', (t) => {
  t.equal(acceptOf('dGhlIHNhbXBsZSBub25jZQ=='), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
  t.end()
})

t.test('frames, by the examples of RFC 6455', (t) => {
  t.same(textFrame('Hello', false), Buffer.from('810548656c6c6f', 'hex'))
  t.same(readFrame(Buffer.from('810548656c6c6f', 'hex')), { opcode: 1, text: 'Hello', size: 7 })
  t.same(readFrame(Buffer.from('818537fa213d7f9f4d5158', 'hex')), { opcode: 1, text: 'Hello', size: 11 })
  t.end()
})

t.test('a frame is read when it is whole, and what follows is left', (t) => {
  for (const masked of [false, true]) {
    const frame = textFrame('déjà vu', masked)
    for (let size = 0; size < frame.length; size++) t.equal(readFrame(frame.subarray(0, size)), undefined)
    t.same(readFrame(Buffer.concat([frame, frame])), { opcode: 1, text: 'déjà vu', size: frame.length })
  }
  t.end()
})

t.test('what the bench does not send is refused', (t) => {
  t.throws(() => textFrame('x'.repeat(126), true), /126 bytes is not a short one/)
  t.throws(() => readFrame(Buffer.from([0x81, 126, 0, 200])), /short frames/)
  t.throws(() => readFrame(Buffer.from([0x01, 1, 65])), /short frames/)
  t.end()
})
