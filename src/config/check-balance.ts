/** What is wrong between the settings that choose an instance, and what a service takes over from `defaults` for them. Pure. */
import type { Findings } from './cross-check.ts'
import { childOf, type Path } from './locate.ts'
import type { Raw } from './read-yaml.ts'

/** `service` is one of `services` or `defaults` itself, as written. */
export function checkBalance(file: Raw, service: Raw, path: Path, { errors, warnings }: Findings): void {
  const inherited = (key: string): Raw => childOf(service, key) ?? childOf(childOf(file, 'defaults'), key)
  // A service may say `balance: hash` for the hash of `defaults`.
  if (path[0] === 'services' && childOf(service, 'hash') !== undefined && inherited('balance') !== 'hash')
    warnings.push({ path: [...path, 'hash'], message: 'it has no effect without balance: hash' })
  const cookie = childOf(inherited('affinity'), 'cookie')
  if (cookie === undefined || (childOf(service, 'affinity') ?? childOf(service, 'sticky')) === undefined) return
  const at = [...path, childOf(service, 'affinity') === undefined ? 'sticky' : 'affinity', 'cookie']
  if (childOf(inherited('sticky'), 'cookie') === cookie)
    errors.push({ path: at, message: 'sticky and affinity need a cookie each; give one of them another name' })
}
