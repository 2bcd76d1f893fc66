/** What `fairlead split` and `rollback` do: ask what it would mean, show it, ask, do just that, say how to undo it. */
import { askAdmin } from '../admin-client.ts'
import { type AskingOptions, isAgreed } from '../ask-terminal.ts'
import { jsonText, knownAnswer } from '../known-answer.ts'
import { policyAnswer } from './answer.ts'
import { outcomeText, planText } from './text.ts'

export interface ChangeOptions extends AskingOptions {
  /** `/v1/services/NAME/split` or `rollback`. */
  readonly path: string
  readonly body: Readonly<Record<string, unknown>>
}

/** True when it was done, false when whoever was asked said no. Rejects with FL_ADMIN, also when somebody was faster. */
export async function changePolicy(options: ChangeOptions): Promise<boolean> {
  const { path, body, admin, token, json } = options
  const { print = (text) => void process.stdout.write(text) } = options
  const plan = knownAnswer(policyAnswer, await askAdmin(admin, { path, token, body: { ...body, dryRun: true } }))
  if (!(await isAgreed(options, planText(plan)))) return false
  // What was shown is what is done: whoever changes it meanwhile makes this fail.
  const value = await askAdmin(admin, { path, token, body: { ...body, cas: plan.modifyIndex } })
  print(json ? jsonText(value) : outcomeText(knownAnswer(policyAnswer, value)))
  return true
}
