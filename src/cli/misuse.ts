/** What commander says of a command line that it cannot use, in the words of the other messages. Pure. */
import { safeLong } from './table-text.ts'

const argument = /^command-argument value '(.*)' is invalid for argument '([^']*)'\. (.*)$/s
const option = /^option '([^']*)' argument '(.*)' is invalid\. (.*)$/s

/** `text` as commander writes it to its error output: an error, a help text behind it, or the help alone. */
export function misuseText(text: string): string {
  const [, said, rest = ''] = /^error: (.*?)(\n|$)/s.exec(text) ?? []
  if (said === undefined) return text
  return `fairlead: ${sentence(said)}${rest}${text.slice(`error: ${said}${rest}`.length)}`
}

function sentence(said: string): string {
  const [, value, name, why] = argument.exec(said) ?? []
  if (value !== undefined && name !== undefined && why !== undefined)
    return `${quoted(value)} cannot be used as ${name}. ${why}`
  const [, flags, given, because] = option.exec(said) ?? []
  if (flags !== undefined && given !== undefined && because !== undefined)
    return `${quoted(given)} cannot be used with ${flags}. ${because.charAt(0).toUpperCase()}${because.slice(1)}`
  return safeLong(said)
}

const quoted = (value: string): string => `"${safeLong(value)}"`
