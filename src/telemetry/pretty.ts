/**
 * One JSON line of the log or of the access log as a plain line for a person: time, level, sentence, then the fields.
 * Pure; what cannot be read as such a line comes out as it was, made harmless.
 */
import { escapeField, escapeText } from './escape.ts'

const colors: ReadonlyMap<string, string> = new Map([
  ['debug', '\u001b[2m'],
  ['warn', '\u001b[33m'],
  ['error', '\u001b[31m'],
])
const reset = '\u001b[0m'

/** A line with its newline, from a line with or without. */
export function prettyLine(json: string, color: boolean): string {
  const record = parse(json)
  if (!record) return `${escapeField(json.trimEnd())}\n`
  const { level, time, msg, ...fields } = record
  const word = typeof level === 'string' ? level : ''
  const clock = typeof time === 'string' ? time.slice(11, 23) : ''
  const sentence = word === 'access' ? access(fields) : `${text(msg)}${list(fields)}`
  const paint = color ? (colors.get(word) ?? '') : ''
  return `${clock} ${paint}${word.padEnd(6)}${paint ? reset : ''} ${sentence}\n`
}

function parse(json: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
  } catch {
    return undefined
  }
}

function list(fields: Readonly<Record<string, unknown>>): string {
  let out = ''
  for (const [name, value] of Object.entries(fields)) out += ` ${escapeField(name)}=${text(value)}`
  return out
}

function text(value: unknown): string {
  if (typeof value === 'string') return value === '' ? '""' : shown(value)
  if (typeof value === 'object' && value !== null && 'stack' in value && typeof value.stack === 'string') {
    // An error: its stack is worth its lines here, where a person reads.
    return value.stack
      .split('\n')
      .map((line) => shown(line))
      .join('\n    ')
  }
  return shown(JSON.stringify(value) ?? '')
}

/** Control characters as they would stand in JSON; quotes as they are, since nobody parses this. */
const shown = (value: string): string => escapeText(value, 4_096)

function access(fields: Readonly<Record<string, unknown>>): string {
  const { client, method, host, target, status, ms, service, version, endpoint, attempts, cause } = fields
  const who = service ? `${text(service)}${version ? ` ${text(version)}` : ''}` : '-'
  const tries = attempts !== 1 ? ` attempts=${text(attempts)}` : ''
  const why = cause ? ` ${text(cause)}` : ''
  const where = `${typeof host === 'string' ? shown(host) : ''}${typeof target === 'string' ? shown(target) : ''}`
  return `${text(client)} ${text(method)} ${where} -> ${text(status)} ${text(ms)}ms ${who} ${endpoint ? text(endpoint) : '-'}${tries}${why}`
}
