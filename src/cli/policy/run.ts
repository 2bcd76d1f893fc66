/** What `fairlead split` and `rollback` do: ask what it would mean, show it, ask, do just that, say how to undo it. */
import type { Address } from '../../config/config.ts'
import { askAdmin } from '../admin-client.ts'
import { askTerminal } from '../ask-terminal.ts'
import { jsonText, knownAnswer } from '../known-answer.ts'
import { policyAnswer } from './answer.ts'
import { outcomeText, planText } from './text.ts'

export interface ChangeOptions {
  /** `/v1/services/NAME/split` or `rollback`. */
  readonly path: string
  readonly body: Readonly<Record<string, unknown>>
  readonly yes: boolean
  readonly admin: Address
  readonly token: string | undefined
  readonly json: boolean
  /** Where it is shown and asked; the process's own by default. */
  readonly ask?: (plan: string) => Promise<boolean>
  readonly print?: (text: string) => void
}

/** True when it was done, false when whoever was asked said no. Rejects with FL_ADMIN, also when somebody was faster. */
export async function changePolicy(options: ChangeOptions): Promise<boolean> {
  const { path, body, yes, admin, token, json } = options
  const { ask = askTerminal, print = (text) => void process.stdout.write(text) } = options
  const plan = knownAnswer(policyAnswer, await askAdmin(admin, { path, token, body: { ...body, dryRun: true } }))
  if (!yes && !(await ask(planText(plan)))) {
    process.stderr.write('Nothing was done.\n')
    return false
  }
  // What was shown is what is done: whoever changes it meanwhile makes this fail.
  const value = await askAdmin(admin, { path, token, body: { ...body, cas: plan.modifyIndex } })
  print(json ? jsonText(value) : outcomeText(knownAnswer(policyAnswer, value)))
  return true
}
