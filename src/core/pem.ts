/**
 * Whether a PEM text has in it what TLS needs of it. Node takes one of authorities without a certificate, or up to the first
 * that is broken, without a word: nobody would be trusted, and nobody would say why. Pure.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'

/** What a file is for: authorities to trust, a certificate to show, or its key. */
export type PemUse = 'ca' | 'cert' | 'key'

/** Authorities of a whole system are some 200 KiB. */
export const pemBytesMax: number = 4 * 2 ** 20

const certificateBegin = /(?=-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----)/

const certificateHint = '(PEM, -----BEGIN CERTIFICATE-----)'

const expected: Readonly<Record<PemUse, string>> = {
  ca: `expected the certificates of one or more authorities ${certificateHint}`,
  cert: `expected a certificate ${certificateHint}`,
  key: 'expected a private key without a passphrase (PEM, -----BEGIN PRIVATE KEY-----)',
}

/** Why `text` cannot be used as a `use`, as a clause that says what was expected; undefined: it can. It quotes nothing of it. */
export function pemFault(text: string, use: PemUse): string | undefined {
  const fault = use === 'key' ? keyFault(text) : certificateFault(text)
  return fault && `${fault}; ${expected[use]}`
}

function certificateFault(text: string): string | undefined {
  const blocks = text.split(certificateBegin).filter((part) => certificateBegin.test(part))
  if (blocks.length === 0) return 'there is no certificate in it'
  const broken = blocks.findIndex((block) => throws(() => new X509Certificate(block)))
  if (broken < 0) return undefined
  return blocks.length === 1
    ? 'the certificate in it cannot be read'
    : `certificate ${broken + 1} of the ${blocks.length} in it cannot be read`
}

function keyFault(text: string): string | undefined {
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) return 'there is no private key in it'
  return throws(() => createPrivateKey(text)) ? 'the private key in it cannot be read' : undefined
}

function throws(read: () => unknown): boolean {
  try {
    read()
    return false
  } catch {
    return true
  }
}
