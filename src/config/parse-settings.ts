/**
 * Settings of a service or a route that come from elsewhere than the file, as JSON: the same schema, the same messages. Pure.
 */
import type * as z from 'zod'
import { errorMaker } from './config-error.ts'
import type { RouteConfig, ServiceSettings } from './config.ts'
import { explainIssues } from './explain-issues.ts'
import { readYaml } from './read-yaml.ts'
import { routeSchema } from './schema-route.ts'
import { serviceSchema } from './schema-service.ts'

export type Parsed<T> =
  | { readonly kind: 'good'; readonly settings: T }
  /** At least one, each with its key path. */
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

/** JSON is YAML: read so, every scalar is the text that stands there, and each message knows its key. */
function parse<T>(json: unknown, schema: z.ZodType<T>): Parsed<T> {
  const text = JSON.stringify(json) ?? 'null'
  const read = readYaml(text)
  const make = errorMaker('', text, read)
  const mistakes = read.mistakes.map(({ path, message }) => said(path, message))
  if (mistakes.length > 0) return { kind: 'bad', messages: mistakes }
  const result = schema.safeParse(read.value)
  if (result.success) return { kind: 'good', settings: result.data }
  const errors = explainIssues(result.error.issues, schema, text, read, make)
  return { kind: 'bad', messages: errors.map(({ path, message }) => said(path, message)) }
}

const said = (path: string, message: string): string => (path === '' ? message : `${path}: ${message}`)
