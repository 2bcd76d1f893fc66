/** The sentence that an explanation begins with: where the request goes. Pure. */
import type { ConsideredVersion, Explanation } from './explain.ts'

/** A version that a new cookie would lead to, were it the one that was drawn here. */
export interface Drawn {
  readonly by: string
  readonly key: string
  readonly service: string
  readonly version: string | undefined
}

export interface Course {
  /** Those that it may go to. */
  readonly open: readonly ConsideredVersion[]
  /** Undefined: chance decides among the open ones. */
  readonly certain: ConsideredVersion | undefined
  /** The services of those it may go to. */
  readonly names: readonly string[]
  /** Such as `by rule 1`. */
  readonly how: string
  /** `how` is said even where chance decides. */
  readonly isTold: boolean
  readonly instance: Explanation['instance']
  readonly balance: string
  readonly drawn: Drawn | undefined
}

export function resultText({ open, certain, names, how, isTold, instance, balance, drawn }: Course): string {
  const name = certain?.service ?? names.join(' or ')
  if (certain) {
    const { version, endpoints } = certain
    const count = endpoints.filter((one) => one.usable).length
    const where = instance
      ? `${instance.handle} by ${instance.by}`
      : (certain.instance.handle ?? `one of ${String(count)} instances (${balance})`)
    return `It goes to ${name} ${version === '' ? 'without a version' : version} ${how}, ${where}.`
  }
  if (open.length <= 1) return 'No instance that it may have is available: 503.'
  const several = names.length > 1
  const shares = open
    .map((one) => `${versionText(one, several)} ${String(Number((one.share * 100).toPrecision(3)))} %`)
    .join(', ')
  if (!drawn) return `It goes to ${name}${isTold ? ` ${how}` : ''}, by chance to ${shares}.`
  const { key, by, service, version } = drawn
  const led = version === undefined ? '503' : versionText({ service, version }, several)
  return `It goes to ${name}, by the ${by} that would be set: ${shares}. For example, ${key} would lead to ${led}.`
}

function versionText({ service, version }: Pick<ConsideredVersion, 'service' | 'version'>, several: boolean): string {
  return several ? `${service} ${version}`.trim() : version || '(none)'
}
