/** What became of one setting of a service, in short, for the log and the history. Pure. */
import type { ServicePolicy } from '../policy/policy.ts'
import { counted } from '../core/counted.ts'
import { sameData } from '../core/same.ts'
import { stickyText } from './show-rule.ts'

/** A longer text would tell nothing at a glance; then the name alone stands there. */
const charsMax = 100

/** Such as `split (none) -> a 80, b 20`, `timeouts (idleMs 60000 -> 1000)`, or the name alone. */
export function settingChange(key: string, before: ServicePolicy, after: ServicePolicy): string {
  const text = shortText(key, before)
  const now = shortText(key, after)
  if (text !== undefined && now !== undefined) return within(key, text === now ? '' : ` ${text} -> ${now}`)
  const fields = fieldsChanged(valueOf(before, key), valueOf(after, key))
  return within(key, fields === undefined ? '' : ` (${fields})`)
}

const within = (key: string, rest: string): string => (rest.length > charsMax ? key : `${key}${rest}`)

const valueOf = (policy: ServicePolicy, key: string): unknown =>
  new Map<string, unknown>(Object.entries(policy)).get(key)

function shortText(key: string, policy: ServicePolicy): string | undefined {
  const { split, failover, rules, sticky } = policy
  const target = ({
    service = 'itself',
    version = '',
  }: {
    readonly service?: string | undefined
    readonly version?: string | undefined
  }): string => `${service} ${version}`.trim()
  switch (key) {
    case 'split':
      return split ? split.map((part) => `${target(part)} ${String(part.weight ?? '')}`.trim()).join(', ') : '(none)'
    case 'failover':
      return failover.length === 0 ? '(nobody)' : failover.map(target).join(', ')
    case 'rules':
      return counted(rules.length, 'rule')
    case 'sticky':
      return sticky ? stickyText(sticky) : 'off'
    default: {
      const value = valueOf(policy, key)
      return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined
    }
  }
}

/** The plain fields that differ; undefined: something else does, or one of them is not there. */
function fieldsChanged(before: unknown, after: unknown): string | undefined {
  if (typeof before !== 'object' || typeof after !== 'object' || !before || !after) return undefined
  const now = new Map<string, unknown>(Object.entries(after))
  const changes = Object.entries(before)
    .map(([name, value]): readonly [string, unknown, unknown] => [name, value, now.get(name)])
    .filter(([, value, other]) => !sameData(value, other))
  const plain = (value: unknown): string | undefined =>
    value === undefined ? 'unset' : typeof value === 'object' ? undefined : JSON.stringify(value)
  const texts = changes.map(([name, value, other]) => [name, plain(value), plain(other)] as const)
  if (texts.length === 0 || texts.some(([, value, other]) => value === undefined || other === undefined))
    return undefined
  return texts.map(([name, value = '', other = '']) => `${name} ${value} -> ${other}`).join(', ')
}
