/**
 * A service as it crosses between processes: plain data. Certificates and keys are what TLS is made ready from; they go from
 * control to its workers, by a socket that only their user may open, and nowhere else. Pure but for making TLS ready.
 */
import type { ServiceTable } from '../table/table.ts'
import { TlsIdentity, type TlsPem } from '../wire/tls.ts'

/** `pem` undefined: it has no certificates of its own. */
export interface SentService {
  readonly service: ServiceTable
  readonly pem: TlsPem | undefined
}

export function sentService(service: ServiceTable): SentService {
  const { tls } = service.policy
  if (tls === undefined || tls === 'off' || tls.identity === undefined) return { service, pem: undefined }
  return { service: withIdentity(service, tls, undefined), pem: tls.identity.reveal() }
}

/** Throws where the texts are no PEM. */
export function receivedService({ service, pem }: SentService): ServiceTable {
  const { tls } = service.policy
  if (pem === undefined || tls === undefined || tls === 'off') return service
  return withIdentity(service, tls, new TlsIdentity(pem))
}

type Secured = Exclude<ServiceTable['policy']['tls'], 'off' | undefined>

function withIdentity(service: ServiceTable, tls: Secured, identity: TlsIdentity | undefined): ServiceTable {
  const policy = Object.freeze({ ...service.policy, tls: Object.freeze({ ...tls, identity }) })
  return Object.freeze({ ...service, policy })
}
