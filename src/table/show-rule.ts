/** Rules as people read them. Pure. */
import type { Condition, RequestKey, RuleAction, TextMatch } from '../policy/traffic.ts'

const quoted = (text: string): string => `'${text}'`

function matchText(match: TextMatch): string {
  switch (match.kind) {
    case 'equals':
      return `is ${quoted(match.value)}`
    case 'prefix':
      return `begins with ${quoted(match.value)}`
    case 'oneOf':
      return `is one of ${match.values.map(quoted).join(', ')}`
    case 'glob':
      return `is like ${quoted(match.value)}`
    case 'present':
      return 'is there'
    default:
      return match.match.kind === 'present' ? 'is not there' : `never ${matchText(match.match)}`
  }
}

/** Such as `header x-canary is 'always'`. */
export function conditionText(condition: Condition): string {
  if (condition.subject === 'client')
    return `client address is ${condition.within ? '' : 'not '}in ${condition.ranges.join(', ')}`
  if (condition.subject === 'method' || condition.subject === 'path')
    return `${condition.subject} ${matchText(condition.match)}`
  return `${condition.subject} ${condition.name} ${matchText(condition.match)}`
}

/** Such as `version 9.8.0`. */
export function actionText(action: RuleAction): string {
  switch (action.kind) {
    case 'version':
      return `version ${action.version}`
    case 'service':
      return `service ${action.service}${action.version === undefined ? '' : `, version ${action.version}`}`
    case 'redirect':
      return `redirect ${String(action.redirect.status)} to ${action.redirect.to}`
    default:
      return `answer ${String(action.answer.status)}`
  }
}

/** Such as `cookie fairlead`. */
export function stickyText(sticky: RequestKey): string {
  return sticky.from === 'client' ? 'client address' : `${sticky.from} ${sticky.name}`
}
