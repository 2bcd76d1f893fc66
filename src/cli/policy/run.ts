/** What `fairlead split` and `rollback` do: ask what it would mean, show it, ask, do just that, say how to undo it. */
import { askAdmin } from '../admin-client.ts'
import { type AskingOptions, consent, type Ending } from '../ask-terminal.ts'
import { jsonText, knownAnswer } from '../known-answer.ts'
import { policyAnswer } from './answer.ts'
import { outcomeText, planText } from './text.ts'

export interface ChangeOptions extends AskingOptions {
  readonly verb: 'split' | 'rollback'
  /** `/v1/services/NAME/VERB`. */
  readonly path: string
  readonly body: Readonly<Record<string, unknown>>
}

/** How it ended. Rejects with FL_ADMIN, also when somebody was faster. */
export async function changePolicy(options: ChangeOptions): Promise<Ending> {
  const { verb, path, body, admin, token, json } = options
  const { print = (text) => void process.stdout.write(text) } = options
  const asked = await askAdmin(admin, { path, token, body: { ...body, dryRun: true } })
  const plan = knownAnswer(policyAnswer, asked)
  const ending = await consent(options, { text: planText(verb, plan), value: asked })
  if (ending !== 'done') return ending
  // What was shown is what is done: whoever changes it meanwhile makes this fail.
  const value = await askAdmin(admin, { path, token, body: { ...body, cas: plan.modifyIndex } })
  print(json ? jsonText(value) : outcomeText(knownAnswer(policyAnswer, value)))
  return 'done'
}
