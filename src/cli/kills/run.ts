/** What `fairlead kills` does: one question to the proxy, one text for whoever asked. */
import type { Address } from '../../config/config.ts'
import { askAdmin } from '../admin-client.ts'
import { jsonText, knownAnswer } from '../known-answer.ts'
import { screenOf } from '../table-text.ts'
import { killsAnswer } from './answer.ts'
import { killsText } from './text.ts'

export interface KillsOptions {
  readonly service: string | undefined
  readonly admin: Address
  readonly token?: string | undefined
  readonly json: boolean
}

/** The whole output. Rejects with FL_ADMIN. */
export async function kills({ service, admin, token, json }: KillsOptions): Promise<string> {
  const query = service === undefined ? '' : `?service=${encodeURIComponent(service)}`
  const value = await askAdmin(admin, { path: `/v1/kills${query}`, token })
  const answer = knownAnswer(killsAnswer, value)
  return json ? jsonText(value) : killsText(answer, { service, ...screenOf() })
}
