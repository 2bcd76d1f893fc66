/**
 * The brake on sudden mass removal: which instances that one update takes away stay for a while, since a catalog that fails
 * looks like mass death. Whether an answer is the catalog's at all is judged before, in the source (`belief.ts`); here it is
 * believed, and only not acted upon at once. Pure; it keeps nothing and asks nobody.
 */
import type { Instance, ServiceSnapshot, Snapshot } from '../catalog/snapshot.ts'
import type { Interest } from '../catalog/source.ts'

export interface BrakeInput {
  /** What the table was given until now, with what is held in it. */
  readonly before: Snapshot
  /** What the source says now. */
  readonly next: Snapshot
  /** What matters to the routes. */
  readonly interest: Interest
  /** Whether an instance is held already: then it is neither lost again nor counted. */
  readonly isHeld: (key: string) => boolean
  /** The source was out of reach lately, or `before` was read from a file: it may not have heard of everybody yet. */
  readonly troubled: boolean
  /** `before` was read from a file: that the source does not name a service does not mean that it has ceased to matter. */
  readonly restored: boolean
  /**
   * Between `before` and `next` came other updates: one event that a fast catalog tells in pieces. What was replaced may then be
   * told before its successor is, so that what is lost is reckoned less what came.
   */
  readonly inPieces: boolean
}

/** Instances of one service to hold. */
export interface Hold {
  readonly service: string
  /** In their last good form. */
  readonly instances: readonly Instance[]
  /** How many served before. */
  readonly serving: number
}

/** Whether the catalog lets it have traffic. */
export function isServing({ status, weights, agentLost }: Instance): boolean {
  if (status === 'passing') return weights.passing > 0
  if (status === 'warning') return weights.warning > 0
  return status === 'critical' && agentLost
}

/** Whether `service` has a route, as its instances (those before included) have it. */
export function matters(interest: Interest, service: string, instances: readonly Instance[]): boolean {
  const { names, tagPrefix } = interest
  if (names.has(service)) return true
  return tagPrefix !== undefined && instances.some(({ tags }) => tags.some((tag) => tag.startsWith(tagPrefix)))
}

interface Loss extends Hold {
  /** Instances that serve now and did not before. */
  readonly added: number
}

function lossOf(before: ServiceSnapshot, next: ServiceSnapshot | undefined, input: BrakeInput): Loss | undefined {
  const now = new Map(next?.instances.map((instance) => [instance.key, instance]))
  const instances: Instance[] = []
  let serving = 0
  let stayed = 0
  for (const instance of before.instances) {
    if (!isServing(instance) || input.isHeld(instance.key)) continue
    serving++
    const successor = now.get(instance.key)
    if (successor && isServing(successor)) stayed++
    // Maintenance is an operator's word.
    else if (successor?.status !== 'maintenance') instances.push(instance)
  }
  if (instances.length === 0) return undefined
  const known = new Set(before.instances.filter(isServing).map(({ key }) => key))
  const added = next?.instances.filter((one) => isServing(one) && !known.has(one.key)).length ?? 0
  return { service: before.name, instances, serving, added }
}

function lossesOf(input: BrakeInput): Loss[] {
  const { before, next, interest, restored } = input
  const losses: Loss[] = []
  for (const [name, service] of before.services) {
    const successor = next.services.get(name)
    if (successor === service || (!successor && !restored)) continue
    const loss = lossOf(service, successor, input)
    if (loss && matters(interest, name, service.instances)) losses.push(loss)
  }
  return losses
}

function servingOf(snapshot: Snapshot, isHeld: (key: string) => boolean): number {
  let serving = 0
  for (const { instances } of snapshot.services.values())
    for (const instance of instances) if (isServing(instance) && !isHeld(instance.key)) serving++
  return serving
}

/**
 * What to hold of what has been taken away or turned critical since `before`. Of a service:
 * - more than half and at least two of its instances that served, unless as many others came with the same update;
 * - its only one, when the update takes more than half (and at least two) of all that the source had, or after trouble.
 */
export function decideBrake(input: BrakeInput): readonly Hold[] {
  const losses = lossesOf(input)
  if (losses.length === 0) return []
  let lost = 0
  for (const { instances } of losses) lost += instances.length
  const alone = (loss: Loss): boolean => loss.serving === 1
  const mass = lost >= 2 && losses.some(alone) && lost * 2 > servingOf(input.before, input.isHeld)
  return losses.filter((loss) => {
    const { instances, serving, added } = loss
    if (added >= instances.length) return false
    if (alone(loss)) return mass || input.troubled
    const missing = input.inPieces ? instances.length - added : instances.length
    return missing >= 2 && missing * 2 > serving
  })
}
