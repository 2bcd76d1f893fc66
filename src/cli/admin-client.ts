/**
 * Asks a running proxy's admin address, for the commands that need one. It knows how to get there and what its refusals
 * mean; what an answer holds is for the command that asked.
 */
import { showAddress } from '../config/addresses.ts'
import type { Address } from '../config/config.ts'
import { type Clock, systemClock } from '../core/clock.ts'
import { FairleadError } from '../core/errors.ts'
import { bracketed } from '../core/host.ts'
import { escapeText } from '../telemetry/escape.ts'
import { type Exchange, exchange, parsedJson, reasonOf } from './exchange.ts'

const tokenHint = '--token-file, FAIRLEAD_TOKEN_FILE or FAIRLEAD_TOKEN gives one'
const elsewhere = '--admin or FAIRLEAD_ADMIN names another address'

/** After so long without an answer, whoever waits is told. */
const patienceMs = 2_000

export type Question = Pick<Exchange, 'path' | 'token' | 'body'>

/**
 * The JSON that is answered to the question. Rejects with FL_ADMIN, in words for the person who typed the
 * command: nobody answers there, it refuses, or it is no proxy's admin address.
 */
export async function askAdmin(
  address: Address,
  question: Question,
  clock: Pick<Clock, 'setTimer'> = systemClock,
): Promise<unknown> {
  const where = showAddress(address)
  const place =
    address.kind === 'unix'
      ? { origin: 'http://localhost', socketPath: address.path }
      : { origin: `http://${bracketed(address.host)}:${address.port}` }
  const patience = clock.setTimer(patienceMs, () => {
    process.stderr.write(
      `fairlead: still waiting for the proxy at ${where}${question.body ? ', which may wait for Consul' : ''}\n`,
    )
  })
  const { status, body } = await exchange({ ...place, ...question })
    .catch((error: unknown) => {
      const reason = reasonOf(error, elsewhere)
      throw new FairleadError('FL_ADMIN', `no proxy answers at ${where}: ${reason}`, { cause: error })
    })
    .finally(() => patience.clear())
  const value = parsedJson(body)
  if (status === 200 && value !== undefined) return value
  const said = saidIn(value)
  if (said === undefined) {
    throw new FairleadError('FL_ADMIN', `what answers at ${where} is no admin address of Fairlead; ${elsewhere}`)
  }
  const hint = status === 401 ? ` (${tokenHint})` : ''
  throw new FairleadError('FL_ADMIN', `the proxy at ${where} says: ${escapeText(said)}${hint}`)
}

function saidIn(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || !('error' in value)) return undefined
  return typeof value.error === 'string' ? value.error : undefined
}
