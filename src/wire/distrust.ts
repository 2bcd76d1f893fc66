/**
 * Why a certificate is not believed, in words for an operator: the code that Node has for it, and what the certificate says
 * that bears on it. Its texts come from a peer that nobody trusts: they are bounded, and of printable ASCII. Pure.
 */
import type { X509Certificate } from 'node:crypto'

/** What Node tells of a certificate that it refuses. */
export interface Refusal {
  readonly code: string
  readonly message: string
  /** The name or address that was to be verified, where that is what failed. */
  readonly host?: unknown
}

/** Most characters of one text of a certificate; the names of one may be thousands. */
const textMax = 256

/** `certificate` is what the peer showed; undefined where that is not known. */
export function distrustText({ code, message, host }: Refusal, certificate: X509Certificate | undefined): string {
  return `${code}: ${certificate ? reason(code, host, certificate) : plain(message)}`
}

function reason(code: string, host: unknown, certificate: X509Certificate): string {
  const { subject, issuer, subjectAltName, validFrom, validTo } = certificate
  switch (code) {
    case 'ERR_TLS_CERT_ALTNAME_INVALID': {
      const names = subjectAltName === undefined ? `no name, only ${plain(subject)}` : plain(subjectAltName)
      return `it is not for ${typeof host === 'string' ? plain(host) : 'this instance'}; it is for ${names}`
    }
    case 'CERT_HAS_EXPIRED':
    case 'CERT_NOT_YET_VALID':
      // It may be that of an authority above it.
      return `${code === 'CERT_HAS_EXPIRED' ? 'expired' : 'not valid yet'}; it is valid from ${plain(validFrom)} to ${plain(validTo)}`
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
      return `it is self-signed, by ${plain(subject)}, and not among the authorities that are trusted`
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
      return `no trusted authority stands behind it; it is issued by ${plain(issuer)}`
    default:
      return `issued to ${plain(subject)} by ${plain(issuer)}`
  }
}

/** One line: names of several lines are parted by commas, and whatever could steer a terminal is spelt out. */
function plain(text: string): string {
  const line = text.slice(0, textMax).replaceAll('\n', ', ')
  const shown = line.replaceAll(/[^ -~]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return shown.length > textMax || text.length > textMax ? `${shown.slice(0, textMax)}...` : shown
}
