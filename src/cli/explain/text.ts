/** An explanation for a person. Pure; nothing from elsewhere reaches the terminal unescaped. */
import type { ExplainAnswer } from '../../admin/explain.ts'
import { counted } from '../../core/counted.ts'
import { percent, safeLong as safe } from '../table-text.ts'

/** The result first, then what led to it; newline included. */
export function explanationText(answer: ExplainAnswer): string {
  const { request, origins, result } = answer
  const lines = [
    `${safe(request.method)} ${safe(request.host)}${safe(request.path)} from ${safe(request.client)}`,
    safe(result),
    ...routeLines(answer),
    ...ruleLines(answer),
    ...versionLines(answer),
    ...mirrorLines(answer),
    ...onwardLines(answer),
  ]
  if (answer.service !== null)
    lines.push(
      '',
      `Settings of ${safe(answer.service)}: ${origins.length === 0 ? 'the defaults' : origins.map(safe).join(', over ')}`,
    )
  return `${lines.join('\n')}\n`
}

function routeLines({ routes, otherRoutes }: ExplainAnswer): readonly string[] {
  if (routes.length === 0 && otherRoutes === 0) return []
  const rows = routes.map(
    ({ taken, route, leadsTo, why, origin }) =>
      `  ${taken ? '*' : ' '} ${safe(route)} to ${safe(leadsTo)} (${safe(origin)}): ${safe(why)}`,
  )
  const more = otherRoutes > 0 ? [`    and ${counted(otherRoutes, 'route')} with neither its host nor its path`] : []
  return ['', 'Routes', ...rows, ...more]
}

function ruleLines({ rules }: ExplainAnswer): readonly string[] {
  if (rules.length === 0) return []
  const rows = rules.flatMap(({ leadsTo, matches, conditions }, index) => {
    const state = matches === null ? 'not asked' : matches ? 'matches' : 'does not match'
    const first = `  ${matches === true ? '*' : ' '} ${String(index + 1)}. ${safe(leadsTo)}: ${state}`
    return [first, ...conditions.map(({ text, holds }) => `       ${holds ? 'yes' : 'no '} ${safe(text)}`)]
  })
  return ['', 'Rules', ...rows]
}

function mirrorLines({ mirror }: ExplainAnswer): readonly string[] {
  if (mirror === null) return []
  const { version, share, applies, why } = mirror
  return ['', `Mirrored to ${safe(version)}: ${applies ? percent(share) : 'no'}, ${safe(why)}`]
}

function onwardLines({ request, onward }: ExplainAnswer): readonly string[] {
  if (onward === null) return []
  const { target, host } = onward
  const name = host === null ? '' : `, with ${host === 'instance' ? 'its own address' : safe(host)} as Host`
  return ['', `The instance sees ${safe(request.method)} ${safe(target)}${name}`]
}

function versionLines({ versions, sticky, fallback, instance }: ExplainAnswer): readonly string[] {
  if (versions.length === 0) return []
  const tied =
    sticky === null
      ? ''
      : `, tied to ${safe(sticky.by)}${sticky.isNew ? ' (it has none; one would be set)' : ` = ${safe(sticky.key)}`}`
  const several = new Set(versions.map(({ service }) => service)).size > 1
  const left = fallback === 'none' ? ', none for another that is down' : ''
  const rows = versions.flatMap(({ service, version, weight, share, chosen, instance: one, endpoints }) => [
    `  ${chosen ? '*' : ' '} ${several ? `${safe(service)} ` : ''}${version === '' ? '(no version)' : safe(version)}: weight ${String(Number(weight.toPrecision(4)))}, ${percent(share)}`,
    ...endpoints.map(
      (one) =>
        `       ${one.usable ? 'yes' : 'no '} ${safe(one.handle)} ${safe(one.address)}: ${safe(one.why)}, ` +
        `weight ${String(Number(one.weight.toPrecision(3)))}, ${String(one.inFlight)} in flight`,
    ),
    `       instance ${one.handle === null ? 'not certain' : safe(one.handle)}: ${safe(one.why)}`,
  ])
  const held =
    instance === null
      ? []
      : [`  Instance ${safe(instance.handle)}, tied to ${safe(instance.by)} = ${safe(instance.key)}`]
  return ['', `Versions${tied}${left}`, ...rows, ...held]
}
