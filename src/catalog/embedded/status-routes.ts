/**
 * What a client asks to find out whom it talks to: `/v1/status/*`, `/v1/agent/self`, `/v1/agent/members`.
 * We are a server that leads itself.
 */
import type { Parts, Route } from './parts.ts'
import { json, text } from './reply.ts'

/** The Consul whose API is spoken; clients that look at a version find one they know. */
const API_VERSION = '1.8.7'

export function statusRoutes(parts: Parts): Route[] {
  const node = () => parts.store.state.nodes.get(parts.nodeName)?.record
  const self = () => ({
    Config: {
      Datacenter: parts.datacenter,
      NodeName: parts.nodeName,
      NodeID: node()?.id ?? '',
      Revision: 'fairlead',
      Server: true,
      Version: API_VERSION,
    },
    DebugConfig: {},
    Member: member(),
    Stats: { agent: { check_monitors: '0', services: String(services()) }, consul: { leader: 'true', server: 'true' } },
    Meta: node()?.meta ?? {},
  })
  const services = () => parts.store.state.nodes.get(parts.nodeName)?.services.size ?? 0
  const member = () => ({
    Name: parts.nodeName,
    Addr: node()?.address ?? '',
    Port: Number(parts.address.split(':').pop()),
    Tags: { build: `${API_VERSION}:fairlead`, dc: parts.datacenter, id: node()?.id ?? '', role: 'consul' },
    Status: 1,
    ProtocolMin: 1,
    ProtocolMax: 5,
    ProtocolCur: 2,
    DelegateMin: 2,
    DelegateMax: 5,
    DelegateCur: 4,
  })
  return [
    { path: '/v1/status/leader', methods: { GET: () => json(parts.address) } },
    { path: '/v1/status/peers', methods: { GET: () => json([parts.address]) } },
    { path: '/v1/agent/self', methods: { GET: () => json(self()) } },
    { path: '/v1/agent/members', methods: { GET: () => json([member()]) } },
    { path: '/', methods: { GET: () => text(200, 'Fairlead embedded catalog\n') } },
  ]
}
