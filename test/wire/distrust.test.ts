/** What is said of a certificate that is not believed: bounded, on one line, and harmless whatever the certificate says. */
import { X509Certificate } from 'node:crypto'
import t from 'tap'
import { distrustText } from '../../src/wire/distrust.ts'
import { tlsParts } from '../fixtures/tls-parts.ts'

const altName = { code: 'ERR_TLS_CERT_ALTNAME_INVALID', message: 'none', host: 'b.test' }

void t.test('names of a peer are bounded', async (t) => {
  const parts = await tlsParts()
  if (!parts) return t.comment('needs openssl')
  const names = Array.from({ length: 200 }, (_, n) => `DNS:n${n}.test`).join(',')
  const { cert } = await parts.issue(names)
  const text = distrustText(altName, new X509Certificate(cert))
  t.match(text, /^ERR_TLS_CERT_ALTNAME_INVALID: it is not for b\.test; it is for DNS:n0\.test, DNS:n1\.test.*\.\.\.$/)
  t.ok(text.length < 400)
})

void t.test('what could steer a terminal is spelt out', (t) => {
  const shown = {
    subject: 'O=a\nCN=\u001b[2J\u202eevil\u2028',
    issuer: 'CN=Ü',
    subjectAltName: undefined,
  } as X509Certificate
  t.equal(
    distrustText(altName, shown),
    'ERR_TLS_CERT_ALTNAME_INVALID: it is not for b.test; it is for no name, only O=a, CN=\\u001b[2J\\u202eevil\\u2028',
  )
  t.equal(
    distrustText({ code: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', message: '' }, shown),
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY: no trusted authority stands behind it; it is issued by CN=\\u00dc',
  )
  t.equal(distrustText({ code: 'CERT_REVOKED', message: 'revoked\u0007' }, undefined), 'CERT_REVOKED: revoked\\u0007')
  t.match(distrustText({ code: 'CERT_REVOKED', message: '' }, shown), /^CERT_REVOKED: issued to .* by CN=/)
  const spelt = distrustText({ code: 'X', message: '\u0007'.repeat(64) }, undefined)
  t.equal(spelt.length, 'X: '.length + 6 * 42 + '\\u00...'.length, 'spelt out it is bounded as well')
  t.end()
})
