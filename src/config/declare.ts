/**
 * The words in which settings are declared: each builds a zod schema and remembers what it is for people, so that
 * one declaration serves validation, its messages, spelling help and the reference. Input is always text: the reader
 * (`read-yaml.ts`) converts nothing. No setting is declared here.
 */
import * as z from 'zod'

/** A schema for what was written; its input is unknown until it has looked. */
export type Setting<T> = z.ZodType<T>

/** What a schema is, for those who describe it. */
export type Shape =
  | {
      readonly kind: 'scalar'
      /** Column "type" of the reference: `duration`, `size`, `host:port`. */
      readonly type: string
      readonly bounds: string
      /** The value as it would be written. */
      readonly format: (value: unknown) => string
    }
  | { readonly kind: 'section'; readonly keys: ReadonlyMap<string, z.ZodType> }
  | { readonly kind: 'list'; readonly item: z.ZodType }
  | { readonly kind: 'named'; readonly key: string; readonly value: z.ZodType }
  | {
      readonly kind: 'setting'
      readonly of: z.ZodType
      readonly about: string
      /** The default as it would be written; undefined: none. */
      readonly fallback: string | undefined
      readonly required: boolean
    }

const shapes = new WeakMap<z.ZodType, Shape>()

/** What was remembered of a schema that one of these functions made; undefined for any other. */
export function shapeOf(schema: z.ZodType): Shape | undefined {
  return shapes.get(schema)
}

function remember<T extends z.ZodType>(schema: T, shape: Shape): T {
  shapes.set(schema, shape)
  return schema
}

/** Why a scalar was refused, when "expected ..., found ..." does not say enough. A clause without a full stop. */
export class Because {
  readonly reason: string
  /** What was probably meant. */
  readonly suggestion: string | undefined

  constructor(reason: string, suggestion?: string) {
    this.reason = reason
    this.suggestion = suggestion
  }
}

export interface ScalarSpec<T> {
  readonly type: string
  /** Completes "expected ...". */
  readonly expected: string
  /** Column "bounds" of the reference. */
  readonly bounds?: string
  readonly parse: (text: string) => T | Because | undefined
  readonly format?: (value: T) => string
}

/** One value. An error's message is what was expected; `params.because` adds why. */
export function scalar<T>(spec: ScalarSpec<T>): Setting<T> {
  const format = spec.format ?? String
  const schema = z.string({ error: () => spec.expected }).transform((text, context): T => {
    const value = spec.parse(text)
    if (value instanceof Because) {
      const { reason: because, suggestion } = value
      context.addIssue({ code: 'custom', message: spec.expected, params: { because, suggestion } })
      return z.NEVER
    }
    if (value !== undefined) return value
    context.addIssue({ code: 'custom', message: spec.expected })
    return z.NEVER
  })
  return remember(schema, {
    kind: 'scalar',
    type: spec.type,
    bounds: spec.bounds ?? '',
    format: (value) => format(value as T),
  })
}

/** One word out of a few. */
export function choice<const W extends string>(...words: readonly W[]): Setting<W> {
  const expected = words.length > 1 ? `${words.slice(0, -1).join(', ')} or ${words.at(-1) ?? ''}` : words.join('')
  return scalar<W>({ type: words.join(' \\| '), expected, parse: (text) => words.find((word) => word === text) })
}

/** A mapping with the keys given and no others. */
export function section<S extends Readonly<Record<string, z.ZodType>>>(
  keys: S,
): Setting<{ readonly [K in keyof S]: z.output<S[K]> }> {
  const error = (issue: { readonly code?: string | undefined }): string | undefined =>
    issue.code === 'invalid_type' ? `a mapping with ${listOf(Object.keys(keys))}` : undefined
  const schema = z.strictObject(keys, { error }) as unknown as Setting<{
    readonly [K in keyof S]: z.output<S[K]>
  }>
  return remember(schema, { kind: 'section', keys: new Map(Object.entries(keys)) })
}

function listOf(names: readonly string[]): string {
  const shown = names.slice(0, 6)
  if (shown.length < names.length) shown.push('...')
  return shown.join(', ')
}

/** A list of at most `most` items. */
export function list<T>(item: Setting<T>, what: string, most = 10_000): Setting<readonly T[]> {
  const expected = `a list of ${what}`
  const schema = z
    .array(item, { error: () => expected })
    .max(most, { error: () => `${expected}, ${String(most)} at most` })
  return remember(schema as Setting<readonly T[]>, { kind: 'list', item })
}

/** A mapping of at most `most` names that the user chooses. `key` says what they are and checks them; keeps the written order. */
export function named<K, V>(
  key: Setting<K>,
  value: Setting<V>,
  what: string,
  most: number = 10_000,
): Setting<ReadonlyMap<K, V>> {
  const expected = `a mapping of ${what}`
  // Before any of them is read: each costs its own checks.
  const few = z.unknown().superRefine((entries, context) => {
    if (typeof entries === 'object' && entries !== null && Object.keys(entries).length > most)
      context.addIssue({ code: 'custom', message: `${expected}, ${String(most)} at most` })
  })
  const checkKey = z.string().superRefine((text, context) => {
    const result = key.safeParse(text)
    for (const issue of result.error?.issues ?? [])
      context.addIssue({
        code: 'custom',
        message: issue.message,
        params: { ...('params' in issue ? issue.params : {}) },
      })
  })
  const schema = z
    .record(checkKey, value, {
      error: (issue) => (issue.code === 'invalid_type' ? expected : undefined),
    })
    .transform((entries): ReadonlyMap<K, V> => {
      const pairs = Object.entries(entries) as readonly (readonly [string, V])[]
      return new Map(pairs.map(([name, entry]) => [key.parse(name), entry]))
    })
  return remember(few.pipe(schema), { kind: 'named', key: what, value })
}

/** A setting that may be left out and then is undefined; `without` says what that means. */
export function optional<T>(schema: Setting<T>, about: string, without?: string): Setting<T | undefined> {
  return remember(schema.optional() as unknown as Setting<T | undefined>, {
    kind: 'setting',
    of: schema,
    about,
    fallback: without,
    required: false,
  })
}

/** A setting with a default, given as the value it resolves to. */
export function withDefault<T>(schema: Setting<T>, value: T & ({} | null), about: string, shown?: string): Setting<T> {
  const inner = shapeOf(schema)
  const fallback = shown ?? (inner?.kind === 'scalar' ? inner.format(value) : undefined)
  return remember(schema.default(value as never) as unknown as Setting<T>, {
    kind: 'setting',
    of: schema,
    about,
    fallback,
    required: false,
  })
}

/** A section that may be left out and then has its settings' own defaults. */
export function withOwnDefaults<T>(schema: Setting<T>, about: string): Setting<T> {
  return remember(schema.prefault({}) as unknown as Setting<T>, {
    kind: 'setting',
    of: schema,
    about,
    fallback: undefined,
    required: false,
  })
}

/** A setting that must be there. */
export function required<T>(schema: Setting<T>, about: string): Setting<T> {
  // A copy, so that what is remembered of it is not remembered of the schema it describes.
  return remember(schema.clone(), {
    kind: 'setting',
    of: schema,
    about,
    fallback: undefined,
    required: true,
  })
}

/** A schema that can also be written shorter; for people it stays what `schema` is. */
export function shorthand<T>(schema: Setting<T>, expand: (value: unknown) => unknown): Setting<T> {
  const shape = shapeOf(schema)
  const wrapped = z.preprocess(expand, schema)
  return shape ? remember(wrapped, shape) : wrapped
}

/** A section, or a word that stands for none of it. */
export function orWord<T, const W extends string>(schema: Setting<T>, word: W): Setting<T | W> {
  const either = z.unknown().transform((value, context): T | W => {
    if (value === word) return word
    const result = schema.safeParse(value)
    if (result.success) return result.data
    for (const issue of result.error.issues) context.issues.push({ ...issue, input: value } as never)
    return z.NEVER
  })
  const shape = shapeOf(schema)
  return shape ? remember(either, shape) : either
}

/** What a schema yields, made into what the program uses, or refused with what was expected and why. For people it stays what `schema` is. */
export function mapped<A, B>(schema: Setting<A>, expected: string, make: (value: A) => B | Because): Setting<B> {
  const wrapped = schema.transform((value, context): B => {
    // What is wrong in its parts has been said; what would be said of the rest follows from it.
    if (context.issues.length > 0) return z.NEVER
    const made = make(value)
    if (!(made instanceof Because)) return made
    context.addIssue({ code: 'custom', message: expected, params: { because: made.reason } })
    return z.NEVER
  })
  const shape = shapeOf(schema)
  return shape ? remember(wrapped as Setting<B>, shape) : wrapped
}
