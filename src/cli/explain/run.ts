/** What `fairlead explain` does: ask the proxy, print what it says. */
import type { Address } from '../../config/config.ts'
import { FairleadError } from '../../core/errors.ts'
import { askAdmin } from '../admin-client.ts'
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
  if (json) return void process.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`)
  const answer = explainAnswer.safeParse(value)
  if (!answer.success)
    throw new FairleadError(
      'FL_ADMIN',
      'the proxy answers in a form that this command does not know; is it another version?',
    )
  process.stdout.write(explanationText(answer.data))
}
