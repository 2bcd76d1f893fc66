/**
 * Which instance of a version a request would get, for `explain`: certain where a cookie or a key ties it, where one alone is
 * left, and otherwise the reason why nobody can say. It asks what picks for requests, and changes nothing.
 */
import { pickEndpoint } from '../balance/pick-endpoint.ts'
import { isUsable } from '../balance/usable.ts'
import type { Random } from '../core/random.ts'
import type { BoundGroup } from '../live/runtime.ts'
import { stickyText } from '../table/show-rule.ts'
import type { Aim } from './next-endpoint.ts'
import type { SteeredRequest } from './steer.ts'
import { Tie } from './tie.ts'

export interface ConsideredInstance {
  /** Null: it is not certain. */
  readonly handle: string | null
  /** What ties the request to it, such as `cookie fairlead-i`, with its value; null: nothing does. */
  readonly tie: { readonly by: string; readonly key: string } | null
  /** Why it is this one, or why it cannot be said. */
  readonly why: string
}

export function considerInstance(
  { service }: Aim,
  group: BoundGroup,
  random: Random,
  request: SteeredRequest,
): ConsideredInstance {
  const { policy } = service.table
  const usable = group.endpoints.filter((one) => isUsable(one, []))
  const uncertain = (why: string): ConsideredInstance => ({ handle: null, tie: null, why })
  if (usable.length === 0) return uncertain('none of its instances is available')
  const said: string[] = []
  if (service.tied) {
    const tie = new Tie(policy, request.lines, request.clientAddress)
    const cookie = `cookie ${policy.affinity?.cookie ?? ''}`
    const holder = tie.holder(group, [])
    if (holder)
      return { handle: holder.endpoint.handle, tie: { by: cookie, key: holder.token }, why: `${cookie} names it` }
    if (policy.affinity) {
      const named = tie.named(group)
      said.push(
        named ? `${cookie} names ${named.endpoint.handle}, which is kept out` : `no ${cookie} names one of them`,
      )
    }
    const by = stickyText(policy.hash.key)
    const picked = tie.key === undefined ? undefined : pickEndpoint(group, random, [], policy, tie.keyHash)
    if (picked && tie.key !== undefined) {
      const why = [...said, `the hash of its ${by} leads there as busy as they are now`].join('; ')
      return { handle: picked.endpoint.handle, tie: { by, key: tie.key }, why }
    }
    if (policy.balance === 'hash') said.push(`the request has no ${by}`)
  }
  const [only, ...others] = usable
  if (only && others.length === 0)
    return { handle: only.endpoint.handle, tie: null, why: [...said, 'no other is available'].join('; ') }
  const how = policy.balance === 'round-robin' ? 'round-robin, whose turn it is' : 'least-request, which goes by chance'
  return uncertain([...said, `${how} among ${String(usable.length)}`].join('; '))
}
