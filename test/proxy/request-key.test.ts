import t from 'tap'
import { cookieLine } from '../../src/proxy/request-key.ts'

t.test(
  'a cookie that we set: for every path, not for scripts, with TLS only where the request came over it',
  async (t) => {
    const plain = 'Set-Cookie: user=abc; Path=/; HttpOnly; SameSite=Lax'
    t.equal(cookieLine('user', 'abc', 0, false), `${plain}\r\n`, 'until the browser ends')
    t.equal(cookieLine('user', 'abc', 3_600, false), `${plain}; Max-Age=3600\r\n`)
    t.equal(cookieLine('user', 'abc', 0, true), `${plain}; Secure\r\n`)
    t.equal(cookieLine('user', 'abc', 60, true), `${plain}; Max-Age=60; Secure\r\n`)
  },
)
