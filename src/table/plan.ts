/**
 * What a route does beyond sending requests on by its service's weights: its own settings laid over its service's, its rules
 * compiled. A plain route has no plan, so that its requests pay nothing. Pure; made once per route and table.
 */
import type {
  AccessPolicy,
  MirrorPolicy,
  Redirect,
  Rule,
  RuleAction,
  ShapingPolicy,
  StickyPolicy,
} from '../policy/traffic.ts'
import { compileConditions, type Test } from './condition.ts'
import { rulesOf } from './rule-targets.ts'
import type { Route } from './table.ts'

export interface PlannedRule {
  readonly rule: Rule
  readonly test: Test
  readonly action: RuleAction
}

export interface Plan {
  readonly redirect: Redirect | undefined
  readonly access: AccessPolicy | undefined
  readonly rules: readonly PlannedRule[]
  readonly sticky: StickyPolicy | undefined
  readonly fallback: 'others' | 'none'
  readonly mirror: MirrorPolicy | undefined
  readonly shaping: ShapingPolicy | undefined
}

/** Undefined: by weights, to any version that is available, and nothing else. */
export function planOf({ policy, service }: Route): Plan | undefined {
  const { traffic, redirect, access, shaping } = policy
  const own = service.policy
  const rules = rulesOf(policy, own)
  // A route may say that it has none of what its service has.
  const sticky = traffic && 'sticky' in traffic ? traffic.sticky : own.sticky
  const mirror = traffic && 'mirror' in traffic ? traffic.mirror : own.mirror
  const fallback = traffic?.fallback ?? own.fallback
  const plain = rules.length === 0 && fallback === 'others'
  if (plain && !redirect && !access && !sticky && !mirror && !shaping) return undefined
  return {
    redirect,
    access,
    rules: rules.map((rule) => ({ rule, test: compileConditions(rule.when), action: rule.action })),
    sticky,
    fallback,
    mirror,
    shaping,
  }
}
