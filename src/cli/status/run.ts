/** What `fairlead status` does: one question to the proxy, one text for whoever asked; or that every second. */
import type { Address } from '../../config/config.ts'
import { askAdmin } from '../admin-client.ts'
import { jsonLine, jsonText, knownAnswer } from '../known-answer.ts'
import { screenOf } from '../table-text.ts'
import { watch } from '../watch.ts'
import { serviceAnswer, tableAnswer } from './answer.ts'
import { serviceText, tableText } from './text.ts'

export interface StatusOptions {
  readonly service: string | undefined
  readonly admin: Address
  readonly token: string | undefined
  readonly json: boolean
}

/** The whole output. Rejects with FL_ADMIN. */
export async function status(options: StatusOptions): Promise<string> {
  const { json, service } = options
  const value = await answerOf(options)
  const screen = screenOf()
  if (service !== undefined) {
    const known = knownAnswer(serviceAnswer, value)
    return json ? jsonText(value) : serviceText(known, screen)
  }
  const known = knownAnswer(tableAnswer, value)
  return json ? jsonText(value) : tableText(known, screen)
}

/** The same every second until it is interrupted; as JSON, a line each. Rejects with FL_ADMIN where the first one does. */
export async function watchStatus(options: StatusOptions): Promise<void> {
  const { json } = options
  await watch(async () => (json ? jsonLine(await answerOf(options)) : status(options)), { plain: json })
}

async function answerOf({ service, admin, token }: StatusOptions): Promise<unknown> {
  const path = service === undefined ? '/v1/table' : `/v1/services/${encodeURIComponent(service)}`
  return askAdmin(admin, { path, token })
}
