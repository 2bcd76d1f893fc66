/**
 * The door of endpoint choice: filter, prefer the own zone while it has room, then weigh what is left by the service's algorithm.
 * It decides no health and waits for nothing.
 */
import type { Random } from '../core/random.ts'
import type { BoundEndpoint, Candidates, EndpointState } from '../live/runtime.ts'
import type { ServicePolicy } from '../policy/policy.ts'
import { pickHash } from './hash.ts'
import { pickLeastRequest } from './least-request.ts'
import { mixedHash } from './rendezvous.ts'
import { pickRoundRobin } from './round-robin.ts'
import { ownShare } from './zones.ts'

/** What says how to pick; a service's policy is one. */
export type BalancePolicy = Pick<ServicePolicy, 'balance' | 'hash'>

/** The key hash of a request without a key; others are 0 to 2^32 - 1. */
export const noKey = -1

/** Makes of a key's hash the number that decides its zone: another one than decides its endpoint. */
const zoneSeed = 0x85157af5

/**
 * The endpoint for the next attempt, never one in `tried` and never one that is leaving; undefined when none is left.
 * `keyHash` is what `balance: hash` goes by; without it that is least-request. Changes nothing but round-robin's credit, and
 * that only when it picks; the caller counts `inFlight`.
 */
export function pickEndpoint(
  { endpoints, zones }: Candidates,
  random: Random,
  tried: readonly EndpointState[],
  policy: BalancePolicy,
  keyHash: number = noKey,
): BoundEndpoint | undefined {
  if (zones === undefined) return pickAmong(endpoints, random, tried, policy, keyHash)
  const share = ownShare(zones, tried)
  // A key stays with its zone, too, while the share is the same.
  const own = share >= 1 || (share > 0 && (keyHash === noKey ? random() : zoneDraw(keyHash)) < share)
  return pickAmong(own ? zones.own : zones.others, random, tried, policy, keyHash)
}

const zoneDraw = (keyHash: number): number => mixedHash(keyHash, zoneSeed) / 4_294_967_296

function pickAmong(
  endpoints: readonly BoundEndpoint[],
  random: Random,
  tried: readonly EndpointState[],
  { balance, hash }: BalancePolicy,
  keyHash: number,
): BoundEndpoint | undefined {
  if (balance === 'round-robin') return pickRoundRobin(endpoints, tried)
  if (balance === 'hash' && keyHash !== noKey) return pickHash(endpoints, keyHash, hash.loadFactor, tried)
  return pickLeastRequest(endpoints, random, tried)
}
