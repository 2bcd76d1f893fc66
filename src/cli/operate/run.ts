/** What `fairlead drain`, `eject` and `restore` do: look, say what will be done, ask, do it, say what was done. */
import { showAddress } from '../../config/addresses.ts'
import type { Address } from '../../config/config.ts'
import { askAdmin } from '../admin-client.ts'
import { askTerminal } from '../ask-terminal.ts'
import { jsonText, knownAnswer } from '../known-answer.ts'
import { endpointAnswer } from './answer.ts'
import { outcomeText, planText } from './text.ts'

export interface OperateOptions {
  readonly verb: 'drain' | 'eject' | 'restore'
  readonly handle: string
  /** As written, such as `30m`; the proxy judges it. */
  readonly forTime: string | undefined
  readonly reason: string | undefined
  readonly yes: boolean
  readonly admin: Address
  readonly token: string | undefined
  readonly json: boolean
  /** Where it is shown and asked; the process's own by default. */
  readonly ask?: (plan: string) => Promise<boolean>
  readonly print?: (text: string) => void
}

/** True when it was done, false when whoever was asked said no. Rejects with FL_ADMIN. */
export async function operate(options: OperateOptions): Promise<boolean> {
  const { verb, handle, forTime, reason, yes, admin, token, json } = options
  const { ask = askTerminal, print = (text) => void process.stdout.write(text) } = options
  const path = `/v1/endpoints/${encodeURIComponent(handle)}`
  const before = knownAnswer(endpointAnswer, await askAdmin(admin, { path, token }))
  if (!yes && !(await ask(planText(verb, before, { forTime, reason, admin: showAddress(admin) })))) {
    process.stderr.write('Nothing was done.\n')
    return false
  }
  const body = { ...(forTime === undefined ? {} : { for: forTime }), ...(reason === undefined ? {} : { reason }) }
  const value = await askAdmin(admin, { path: `${path}/${verb}`, token, body })
  print(json ? jsonText(value) : outcomeText(verb, knownAnswer(endpointAnswer, value)))
  return true
}
