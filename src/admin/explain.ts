/** `GET /v1/explain`: reads what request is meant, and has it explained. Nothing is sent anywhere. */
import { isIP } from 'node:net'
import type { Random } from '../core/random.ts'
import type { BoundTable } from '../live/runtime.ts'
import { explain, type Explanation, type Question } from '../proxy/explain.ts'
import type { WireLimits } from '../wire/limits.ts'
import { json, type Answer } from './door.ts'

export interface ExplainSources {
  readonly current: () => BoundTable
  readonly random: Random
  readonly limits: () => WireLimits
  readonly origins: (service: string) => readonly string[]
}

/** With where the service's settings come from, the strongest first. */
export type ExplainAnswer = Explanation & { readonly origins: readonly string[] }

const names = ['url', 'method', 'header', 'client']

export function explainAnswer(sources: ExplainSources, query: string): Answer {
  const question = readQuestion(query)
  if (typeof question === 'string') return json(400, { error: question })
  const explanation = explain(sources.current(), sources.random, sources.limits(), question)
  const origins = explanation.service === null ? [] : sources.origins(explanation.service)
  return json(200, { ...explanation, origins } satisfies ExplainAnswer)
}

/** The question, or a sentence about what is wrong with it. */
function readQuestion(query: string): Question | string {
  const given = new URLSearchParams(query)
  for (const name of given.keys())
    if (!names.includes(name)) return `There is no such parameter here; there are ${names.join(', ')}.`
  for (const name of ['url', 'method', 'client'])
    if (given.getAll(name).length > 1) return `The parameter ${name} is given twice.`
  const place = readUrl(given.get('url') ?? '')
  if (typeof place === 'string') return place
  const method = given.get('method') ?? 'GET'
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}$/.test(method)) return 'method is a word such as GET or POST.'
  const headers = given.getAll('header')
  for (const header of headers)
    if (!/^[^\s:]+:[^\r\n]*$/.test(header)) return 'header is a line such as "x-canary: always".'
  const clientAddress = given.get('client') ?? '127.0.0.1'
  if (isIP(clientAddress) === 0) return 'client is an IP address.'
  return { ...place, method, headers: headers.filter((line) => !/^host:/i.test(line)), clientAddress }
}

/** `http://host/path?query`, `host/path` or `/path`; what it holds goes on as it was written. */
function readUrl(text: string): Pick<Question, 'host' | 'target'> | string {
  const wrong = 'url is a URL such as http://shop.example.com/cart, or a path such as /cart.'
  if (text.startsWith('/')) return { host: '', target: withoutFragment(text) }
  const [, host = '', rest = ''] = /^(?:https?:\/\/)?([^/?#\s]+)(.*)$/i.exec(text) ?? []
  if (host === '') return wrong
  const target = withoutFragment(rest)
  return { host, target: target.startsWith('/') ? target : `/${target}` }
}

const withoutFragment = (text: string): string => text.replace(/#.*$/s, '')
