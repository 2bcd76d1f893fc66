/**
 * What a route changes on the way: the target, Host and header lines of a request, the header lines of an answer. Pure text in,
 * text out; names and values were checked when the policy was read, so that nothing here can break a message's framing.
 */
import { routingPath } from './path.ts'

/**
 * The target as it goes on. The prefix is taken off the bytes as they came where they begin so; where only the normalised path
 * does (`/%61pi`, `//api`), the rest of that goes on, since it is what was routed by. What does not begin with the prefix on a
 * segment boundary, and `*`, stay. The result begins with one slash.
 */
export function shapeTarget(target: string, strip: string, prepend: string): string {
  if (target === '*') return target
  const tail = (restOf(target, strip) ?? pathOf(target)).replace(/^\/{2,}/, '/')
  return (tail === '' && prepend === '' ? '/' : prepend + tail) + queryOf(target)
}

/** Whether {@link shapeTarget} finds the prefix. */
export function isStripped(target: string, strip: string): boolean {
  return restOf(target, strip) !== undefined
}

/** The query of a target with its question mark; '' without one. */
export function queryOf(target: string): string {
  const mark = target.indexOf('?')
  return mark < 0 ? '' : target.slice(mark)
}

function pathOf(target: string): string {
  const mark = target.indexOf('?')
  return mark < 0 ? target : target.slice(0, mark)
}

/** What follows the prefix; undefined: it is another path, or there is no prefix to take off. */
function restOf(target: string, strip: string): string | undefined {
  if (strip === '') return undefined
  const path = pathOf(target)
  return behind(path, strip) ?? behind(routingPath(target) ?? path, strip)
}

function behind(path: string, prefix: string): string | undefined {
  if (!path.startsWith(prefix)) return undefined
  return path.length === prefix.length || path.charCodeAt(prefix.length) === 0x2f
    ? path.slice(prefix.length)
    : undefined
}
