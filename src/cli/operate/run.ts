/** What `fairlead drain`, `eject` and `restore` do: look, say what will be done, ask, do it, say what was done. */
import { showAddress } from '../../config/addresses.ts'
import { askAdmin } from '../admin-client.ts'
import { type AskingOptions, consent, type Ending } from '../ask-terminal.ts'
import { jsonText, knownAnswer } from '../known-answer.ts'
import { endpointAnswer } from './answer.ts'
import { outcomeText, planText } from './text.ts'

export interface OperateOptions extends AskingOptions {
  readonly verb: 'drain' | 'eject' | 'restore'
  readonly handle: string
  /** At this proxy alone, whatever there is to keep drains in. */
  readonly local?: boolean
  /** As written, such as `30m`; the proxy judges it. */
  readonly forTime: string | undefined
  readonly reason: string | undefined
}

/** How it ended. Rejects with FL_ADMIN. */
export async function operate(options: OperateOptions): Promise<Ending> {
  const { verb, handle, forTime, reason, admin, token, json } = options
  const { print = (text) => void process.stdout.write(text) } = options
  const pathOf = (name: string): string => `/v1/endpoints/${encodeURIComponent(name)}`
  const asked = await askAdmin(admin, { path: pathOf(handle), token })
  const before = knownAnswer(endpointAnswer, asked)
  const text = planText(verb, before, { forTime, reason, admin: showAddress(admin), local: options.local === true })
  const ending = await consent(options, { text, value: asked })
  if (ending !== 'done') return ending
  // An address may be another's by now; a handle is this one's.
  const body = {
    ...(forTime === undefined ? {} : { for: forTime }),
    ...(reason === undefined ? {} : { reason }),
    ...(options.local === true ? { local: true } : {}),
  }
  const value = await askAdmin(admin, { path: `${pathOf(before.endpoint.handle)}/${verb}`, token, body })
  print(json ? jsonText(value) : outcomeText(verb, knownAnswer(endpointAnswer, value)))
  return 'done'
}
