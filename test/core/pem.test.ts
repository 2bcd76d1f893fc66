/** What makes a PEM file good for what it is for, and what is said of one that is not. */
import t from 'tap'
import { pemFault } from '../../src/core/pem.ts'
import { tlsParts } from '../fixtures/tls-parts.ts'

const broken = '-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n'

void t.test('what is in a file decides', async (t) => {
  const parts = await tlsParts()
  if (!parts) return t.comment('needs openssl')
  const { cert, key } = parts.authority
  const other = (await parts.issue('DNS:other')).cert
  const cut = cert.slice(0, 200)
  const good: readonly (readonly [string, 'ca' | 'cert' | 'key'])[] = [
    [cert, 'ca'],
    [cert + other, 'ca'],
    [`Subject: one\n${cert}\nSubject: two\n${other}`, 'ca'],
    [cert.replaceAll('\n', '\r\n'), 'ca'],
    [cert.replaceAll(' CERTIFICATE', ' TRUSTED CERTIFICATE'), 'ca'],
    [key + cert, 'ca'],
    [key + cert, 'cert'],
    [cert + key, 'key'],
    [key, 'key'],
  ]
  for (const [index, [text, use]] of good.entries()) t.equal(pemFault(text, use), undefined, `${use} ${index}`)
  const bad: readonly (readonly [string, 'ca' | 'cert' | 'key', RegExp])[] = [
    ['', 'ca', /^there is no certificate in it; expected the certificates of one or more authorities .*BEGIN CERTIFICATE/],
    [key, 'ca', /^there is no certificate in it/],
    [broken, 'ca', /^the certificate in it cannot be read/],
    [cut, 'ca', /^the certificate in it cannot be read/],
    [cert + broken, 'ca', /^certificate 2 of the 2 in it cannot be read/],
    [broken + cert, 'ca', /^certificate 1 of the 2 in it cannot be read/],
    [key, 'cert', /^there is no certificate in it; expected a certificate /],
    [cert, 'key', /^there is no private key in it; expected a private key/],
    [broken.replaceAll('CERTIFICATE', 'PRIVATE KEY'), 'key', /^the private key in it cannot be read/],
  ]
  for (const [text, use, fault] of bad) t.match(pemFault(text, use) ?? '', fault)
}) // prettier-ignore
