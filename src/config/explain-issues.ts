/**
 * What zod found, said to the person who wrote the file: where, what was expected, what stands there, what was meant.
 * One issue may be several errors (one per unknown key). Secrets are never quoted. Pure.
 */
import type * as z from 'zod'
import type { ConfigError, ErrorMaker } from './config-error.ts'
import { maskText } from './config-error.ts'
import { locate, shapeAt } from './locate.ts'
import type { Path } from './locate.ts'
import { nearest } from './nearest.ts'
import { isNotYet } from './not-yet.ts'
import { clip } from './read-yaml.ts'
import type { Raw, ReadText } from './read-yaml.ts'

const notBuilt = 'is not available in this version'

export function explainIssues(
  issues: readonly z.core.$ZodIssue[],
  schema: z.ZodType,
  text: string,
  read: ReadText,
  make: ErrorMaker,
): readonly ConfigError[] {
  const errors = issues.flatMap((issue): readonly ConfigError[] => {
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => unknownKey([...issue.path, key], schema, read, make))
    if (issue.code === 'invalid_key') {
      const first = issue.issues[0]
      const { place, shown } = locate(read.root, read.value, issue.path)
      const found = JSON.stringify(clip(String(issue.path.at(-1))))
      return [said(make, place.key, shown, first?.message ?? 'another name', found, becauseOf(first))]
    }
    return [wrongValue(issue, schema, text, read, make)]
  })
  // A misspelt required key is one mistake, not a missing key and an unknown one.
  const meant = new Set(errors.filter(({ suggestion }) => suggestion !== undefined).map(meantPath))
  return errors.filter(({ path, found }) => found !== 'nothing' || !meant.has(path))
}

function meantPath({ path, suggestion }: ConfigError): string {
  return path.replace(/[^.\]]*$/, suggestion ?? '')
}

function unknownKey(path: Path, schema: z.ZodType, read: ReadText, make: ErrorMaker): ConfigError {
  const { place, shown } = locate(read.root, read.value, path)
  const key = String(path.at(-1))
  if (isNotYet(path)) return make(place.key, shown, `${key} ${notBuilt}`)
  const owner = shapeAt(schema, path.slice(0, -1))
  const names = owner?.kind === 'section' ? [...owner.keys.keys()] : []
  const suggestion = nearest(key, names)
  const help = suggestion === undefined ? `the keys here are ${names.join(', ')}` : `did you mean "${suggestion}"?`
  return make(place.key, shown, `there is no setting "${clip(key)}"; ${help}`, { suggestion })
}

function wrongValue(
  issue: z.core.$ZodIssue,
  schema: z.ZodType,
  text: string,
  read: ReadText,
  make: ErrorMaker,
): ConfigError {
  const { place, raw, missing, shown } = locate(read.root, read.value, issue.path)
  if (missing || raw === undefined) return said(make, place.key, shown, issue.message, 'nothing', undefined)
  if (typeof raw === 'string' && isNotYet(issue.path, raw)) return make(place.start, shown, `${clip(raw)} ${notBuilt}`)
  const shape = shapeAt(schema, issue.path)
  const secret = shape?.kind === 'scalar' && shape.type === 'secret'
  const found = secret ? 'something else' : describe(raw, text.slice(place.start, place.end))
  const words = shape?.kind === 'scalar' && typeof raw === 'string' ? shape.type.split(' \\| ') : []
  const suggestion = words.length > 1 && typeof raw === 'string' ? nearest(raw, words) : suggestionOf(issue)
  const because = becauseOf(issue)
  const meant = suggestion === undefined ? undefined : `did you mean "${suggestion}"?`
  const hint = because === undefined || meant === undefined ? (meant ?? because) : `${because}; ${meant}`
  return said(make, place.start, shown, issue.message, found, secret ? undefined : hint, suggestion)
}

function said(
  make: ErrorMaker,
  offset: number,
  path: string,
  expected: string,
  found: string,
  because: string | undefined,
  suggestion?: string,
): ConfigError {
  const message = `expected ${expected}; found ${found}${because === undefined ? '' : `: ${because}`}`
  return make(offset, path, message, { expected, found, suggestion })
}

function becauseOf(issue: object | undefined): string | undefined {
  return paramOf(issue, 'because')
}

function suggestionOf(issue: object | undefined): string | undefined {
  return paramOf(issue, 'suggestion')
}

function paramOf(issue: object | undefined, name: 'because' | 'suggestion'): string | undefined {
  const params = issue && 'params' in issue ? issue.params : undefined
  const value =
    typeof params === 'object' && params ? (params as Partial<Record<typeof name, unknown>>)[name] : undefined
  return typeof value === 'string' ? value : undefined
}

/** What stands there. What came from a variable whose name speaks of a secret is not shown. */
function describe(raw: Raw, source: string): string {
  if (typeof raw !== 'string') return raw === undefined ? 'nothing' : Array.isArray(raw) ? 'a list' : 'a mapping'
  const shown = JSON.stringify(clip(maskText(raw.slice(0, 400))))
  if (!source.includes('${') || source.includes('$${')) return shown
  return /token|secret|passw|key|cred/i.test(source)
    ? `what ${clip(source)} stands for`
    : `${shown}, from ${clip(source)}`
}
