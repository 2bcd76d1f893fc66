/**
 * Settings of a service or a route that come from elsewhere than the file, as JSON: the same schema, the same messages. Pure.
 */
import type * as z from 'zod'
import { errorMaker } from './config-error.ts'
import type { RouteConfig, ServiceSettings } from './config.ts'
import { crossCheckSettings } from './cross-check.ts'
import { explainIssues } from './explain-issues.ts'
import { readJson } from './read-json.ts'
import { routeSchema } from './schema-route.ts'
import { serviceSchema } from './schema-service.ts'

export type Parsed<T> =
  | { readonly kind: 'good'; readonly settings: T }
  /** At least one, each with its key path. Of very many, the first. */
  | { readonly kind: 'bad'; readonly messages: readonly string[] }

export function parseServiceSettings(json: unknown): Parsed<ServiceSettings> {
  const parsed = parse(json, serviceSchema)
  // It names files of one machine, and whom that machine trusts.
  if (parsed.kind === 'bad' || parsed.settings.tls === undefined) return parsed
  return { kind: 'bad', messages: ['tls: this stands in the configuration file alone'] }
}

export function parseRouteSettings(json: unknown): Parsed<RouteConfig> {
  return parse(json, routeSchema)
}

/** Mistakes that are explained: each costs a search for what was meant. */
const explainedMax = 64

/** Every scalar is read as the text that stands there, and each message knows its key. */
function parse<T>(json: unknown, schema: z.ZodType<T>): Parsed<T> {
  const read = readJson(json)
  const mistakes = read.mistakes.map(({ path, message }) => said(path, message))
  if (mistakes.length > 0) return { kind: 'bad', messages: mistakes }
  const result = schema.safeParse(read.value)
  if (result.success) {
    const between = crossCheckSettings(read.value)
    return between.length > 0 ? { kind: 'bad', messages: between } : { kind: 'good', settings: result.data }
  }
  const issues = firstOf(result.error.issues)
  const errors = explainIssues(issues, schema, '', read, errorMaker('', '', read))
  return { kind: 'bad', messages: errors.map(({ path, message }) => said(path, message)) }
}

/** One issue may name thousands of keys. */
function firstOf(issues: readonly z.core.$ZodIssue[]): readonly z.core.$ZodIssue[] {
  return issues
    .slice(0, explainedMax)
    .map((issue) =>
      issue.code === 'unrecognized_keys' ? { ...issue, keys: issue.keys.slice(0, explainedMax) } : issue,
    )
}

const said = (path: string, message: string): string => (path === '' ? message : `${path}: ${message}`)
