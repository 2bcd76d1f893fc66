/** What `fairlead kills` does: one question to the proxy, one text for whoever asked. */
import type { Address } from '../../config/config.ts'
import { FairleadError } from '../../core/errors.ts'
import { askAdmin } from '../admin-client.ts'
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
  const answer = killsAnswer.safeParse(value)
  if (!answer.success) {
    throw new FairleadError(
      'FL_ADMIN',
      'the proxy answers in a form that this command does not know; is it another version?',
    )
  }
  if (json) return `${JSON.stringify(value, undefined, 2)}\n`
  const { isTTY, columns } = process.stdout
  const color = isTTY && !process.env['NO_COLOR']
  return killsText(answer.data, { service, color, width: isTTY ? columns : Infinity })
}
