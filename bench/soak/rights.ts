/**
 * What Fairlead may read of the soak's Consul: a token of its own, whose rights can be taken away and given back in two ways:
 * its policy shows nothing (Consul then answers with empty lists), or there is no such token (403).
 */
import type { ConsulAgent } from '../../test/fixtures/consul-agent.ts'

/** May do everything; the soak's own. */
export const managementToken = '5eadbeef-0000-4000-8000-000000000001'
const readerToken = '5eadbeef-0000-4000-8000-000000000002'
const readerAccessor = '5eadbeef-0000-4000-8000-000000000003'

const allRules =
  'service_prefix "" { policy = "read" } node_prefix "" { policy = "read" } key_prefix "" { policy = "read" }'
/** Without any rights of services and nodes. */
const noRules = 'key_prefix "" { policy = "read" }'

export class Rights {
  readonly token: string = readerToken
  readonly #agent: ConsulAgent
  readonly #policy: string

  private constructor(agent: ConsulAgent, policy: string) {
    this.#agent = agent
    this.#policy = policy
  }

  static async create(agent: ConsulAgent): Promise<Rights> {
    const policy = { Name: 'reader', Rules: allRules }
    const { ID } = (await agent.api('PUT', '/v1/acl/policy', policy, managementToken)) as { readonly ID: string }
    const rights = new Rights(agent, ID)
    await rights.createToken()
    return rights
  }

  /** The same token each time. */
  async createToken(): Promise<void> {
    const token = { AccessorID: readerAccessor, SecretID: readerToken, Policies: [{ ID: this.#policy }] }
    await this.#agent.api('PUT', '/v1/acl/token', token, managementToken)
  }

  async deleteToken(): Promise<void> {
    await this.#agent.api('DELETE', `/v1/acl/token/${readerAccessor}`, undefined, managementToken)
  }

  async showNothing(): Promise<void> {
    await this.#setRules(noRules)
  }

  async showAll(): Promise<void> {
    await this.#setRules(allRules)
  }

  async #setRules(rules: string): Promise<void> {
    const policy = { ID: this.#policy, Name: 'reader', Rules: rules }
    await this.#agent.api('PUT', `/v1/acl/policy/${this.#policy}`, policy, managementToken)
  }
}
