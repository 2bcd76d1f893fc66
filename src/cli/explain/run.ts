/** What `fairlead explain` does: ask the proxy, print what it says. */
import type { Address } from '../../config/config.ts'
import { askAdmin } from '../admin-client.ts'
import { jsonText, knownAnswer } from '../known-answer.ts'
import { explainAnswer } from './answer.ts'
import { explanationText } from './text.ts'

export interface ExplainOptions {
  readonly url: string
  readonly method: string
  readonly headers: readonly string[]
  readonly client: string
  readonly admin: Address
  readonly token: string | undefined
  readonly json: boolean
}

/** Rejects with FL_ADMIN. */
export async function explainUrl({ url, method, headers, client, admin, token, json }: ExplainOptions): Promise<void> {
  const query = new URLSearchParams([
    ['url', url],
    ['method', method],
    ['client', client],
    ...headers.map((header) => ['header', header] as [string, string]),
  ])
  const value = await askAdmin(admin, { path: `/v1/explain?${query.toString()}`, token })
  process.stdout.write(json ? jsonText(value) : explanationText(knownAnswer(explainAnswer, value)))
}
