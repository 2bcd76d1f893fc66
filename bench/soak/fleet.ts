/**
 * The soak's fleet in Consul: registers, changes and deregisters instances, and ends them as a careful deploy does: an instance
 * that was deregistered serves on until Fairlead's table is without it, and for a while longer. So no request can fail for
 * an instance that is gone; one that does is the catalog's fault, or the proxy's.
 */
import type { ConsulAgent } from '../../test/fixtures/consul-agent.ts'
import type { Change, ChangeKind, Member } from './churn.ts'
import type { Backends } from './orders.ts'

/** What has changed in Consul, and has not been seen in the table yet. */
interface Pending {
  readonly sinceMs: number
  /** Consul could not be read meanwhile: says nothing of how soon changes are seen. */
  blind: boolean
}

interface Leaving extends Pending {
  readonly name: string
  /** Since when the table is without it. */
  absentMs: number | undefined
}

export interface FleetSettings {
  readonly agent: ConsulAgent
  /** Token that may write. */
  readonly token: string
  readonly backends: Backends
  /** Least time between an instance's deregistration and its end, ms. */
  readonly graceMs: number
  /** Time after the table is without it in which what is under way there may end, ms. */
  readonly lastingMs: number
}

const addressOf = ({ host, port }: Pick<Member, 'host' | 'port'>): string => `${host}:${port}`

export class SoakFleet {
  /** What is registered, by service. */
  readonly members: Map<string, Member[]> = new Map()
  readonly changes: Partial<Record<ChangeKind, number>> = {}
  /** From a registration's and a deregistration's answer until a look at the table showed it, ms; not of times when Consul could not be read. */
  readonly shownMs: number[] = []
  readonly goneMs: number[] = []
  /** Consul can be read by Fairlead. */
  readable = true
  readonly #settings: FleetSettings
  readonly #arriving = new Map<string, Pending>()
  readonly #leaving = new Map<string, Leaving>()
  #started = 0

  constructor(settings: FleetSettings) {
    this.#settings = settings
  }

  /** Deregistered, and still running. */
  get leaving(): number {
    return this.#leaving.size
  }

  /** Starts an instance and registers it. */
  async add(service: string, version: string): Promise<Member> {
    const at = [...this.members.keys()].indexOf(service)
    const place = at < 0 ? this.members.size : at
    const name = `${service}.${++this.#started}`
    const host = `127.0.${place + 1}.${1 + (this.#started % 250)}`
    const port = await this.#settings.backends.open(name, service, host)
    const member: Member = { name, service, host, port, version, revision: 0, status: 'passing', maintenance: false }
    await this.#register(member)
    this.members.set(service, [...(this.members.get(service) ?? []), member])
    this.#arriving.set(addressOf(member), this.#pending())
    return member
  }

  async apply(change: Change): Promise<void> {
    switch (change.kind) {
      case 'register':
        await this.add(change.service, change.version)
        break
      case 'deregister':
        await this.#deregister(change.member)
        break
      case 'meta':
        await this.#register(change.member)
        this.#replace(change.member)
        break
      case 'check': {
        const { name, status } = change.member
        await this.#put(`agent/check/update/service:${name}`, { Status: status })
        this.#replace(change.member)
        break
      }
      case 'maintenance': {
        const { name, maintenance } = change.member
        await this.#put(`agent/service/maintenance/${name}?enable=${maintenance}`)
        this.#replace(change.member)
        break
      }
    }
    this.changes[change.kind] = (this.changes[change.kind] ?? 0) + 1
  }

  /** The table was seen to hold these addresses: what is shown, what is gone, and what may end. */
  saw(addresses: ReadonlySet<string>): void {
    const nowMs = performance.now()
    const { graceMs, lastingMs, backends } = this.#settings
    for (const [address, pending] of this.#arriving) {
      pending.blind ||= !this.readable
      if (!addresses.has(address)) continue
      this.#arriving.delete(address)
      if (!pending.blind) this.shownMs.push(nowMs - pending.sinceMs)
    }
    for (const [address, leaving] of this.#leaving) {
      leaving.blind ||= !this.readable
      if (addresses.has(address)) {
        // The brake on mass removal may bring back what had gone a moment before.
        leaving.absentMs = undefined
        continue
      }
      leaving.absentMs ??= nowMs
      if (nowMs < leaving.sinceMs + graceMs || nowMs < leaving.absentMs + lastingMs) continue
      this.#leaving.delete(address)
      if (!leaving.blind) this.goneMs.push(leaving.absentMs - leaving.sinceMs)
      backends.close(leaving.name)
    }
  }

  #pending(): Pending {
    return { sinceMs: performance.now(), blind: !this.readable }
  }

  async #deregister(member: Member): Promise<void> {
    await this.#put(`agent/service/deregister/${member.name}`)
    const members = this.members.get(member.service) ?? []
    this.members.set(
      member.service,
      members.filter(({ name }) => name !== member.name),
    )
    const address = addressOf(member)
    // One that was never shown has left all the same, and may end after its grace.
    this.#arriving.delete(address)
    this.#leaving.set(address, { ...this.#pending(), name: member.name, absentMs: undefined })
  }

  #replace(member: Member): void {
    const members = this.members.get(member.service) ?? []
    this.members.set(
      member.service,
      members.map((one) => (one.name === member.name ? member : one)),
    )
  }

  async #register({ name, service, host, port, version, revision, status }: Member): Promise<void> {
    await this.#put('agent/service/register', {
      ID: name,
      Name: service,
      Address: host,
      Port: port,
      Meta: { version, revision: String(revision) },
      // Nobody renews it: it changes when it is told to, and a registration sets it anew.
      Check: { TTL: '240h', Status: status },
    })
  }

  async #put(path: string, body?: object): Promise<void> {
    await this.#settings.agent.api('PUT', `/v1/${path}`, body, this.#settings.token)
  }
}
