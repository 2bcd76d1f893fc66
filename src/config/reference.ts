/**
 * The reference of all settings in Markdown, made from their declarations, and its place in README.md.
 * `node src/config/reference.ts --write` puts it there; a test fails when it is stale. Declares nothing itself.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import type * as z from 'zod'
import { shapeOf } from './declare.ts'
import type { Shape } from './declare.ts'
import { bare } from './locate.ts'
import { fileSchema } from './schema.ts'

const begin = '<!-- config reference: begin -->'
const end = '<!-- config reference: end -->'

interface Row {
  readonly key: string
  readonly type: string
  readonly fallback: string
  readonly bounds: string
  readonly about: string
}

/** Tables of every setting, one for each top-level key that has settings of its own; begins and ends without blanks. */
export function renderReference(): string {
  const root = bare(fileSchema)
  if (root?.kind !== 'section') return ''
  const plain: Row[] = []
  const tables: string[] = []
  for (const [key, schema] of root.keys) {
    const rows = rowsOf(key, schema)
    // What `defaults` takes stands under `services` already.
    if (rows.length === 1 || key === 'defaults') plain.push(...rows.slice(0, 1))
    else tables.push(`**\`${key}\`** ${aboutOf(schema)}\n\n${table(rows.slice(1))}`)
  }
  return [table(plain), ...tables].join('\n\n')
}

function aboutOf(schema: z.ZodType): string {
  const shape = shapeOf(schema)
  if (shape?.kind !== 'setting') return ''
  return shape.fallback === undefined ? shape.about : `${shape.about} Default: ${code(shape.fallback)}.`
}

/** The setting itself, then all below it. */
function rowsOf(key: string, schema: z.ZodType): readonly Row[] {
  const shape = shapeOf(schema)
  const inner = bare(schema)
  const setting = shape?.kind === 'setting' ? shape : undefined
  const row: Row = {
    key,
    type: inner ? typeOf(inner) : '',
    fallback: setting?.required ? 'required' : setting?.fallback === undefined ? '' : code(setting.fallback),
    bounds: inner?.kind === 'scalar' ? inner.bounds : '',
    about: setting?.about ?? '',
  }
  return [row, ...below(key, inner)]
}

function below(key: string, shape: Shape | undefined): readonly Row[] {
  switch (shape?.kind) {
    case 'section':
      return [...shape.keys].flatMap(([name, schema]) => rowsOf(`${key}.${name}`, schema))
    case 'list':
      return below(`${key}[]`, bare(shape.item))
    case 'named':
      return below(`${key}.NAME`, bare(shape.value))
    case 'scalar':
    case 'setting':
    case undefined:
      return []
  }
}

function typeOf(shape: Shape): string {
  if (shape.kind === 'scalar') return shape.type
  if (shape.kind === 'named') return `mapping of ${shape.key}`
  if (shape.kind !== 'list') return 'mapping'
  const item = bare(shape.item)
  return item?.kind === 'scalar' ? `list of ${item.type}` : 'list'
}

/** Values read as code, sentences as they are. */
function code(text: string): string {
  return /^[\w.:%+=/|-]+$/.test(text) && text !== 'none' ? `\`${text}\`` : text
}

function table(rows: readonly Row[]): string {
  const lines = rows.map((row) => `| \`${row.key}\` | ${row.type} | ${row.fallback} | ${row.bounds} | ${row.about} |`)
  return ['| Setting | Type | Default | Bounds | Meaning |', '| --- | --- | --- | --- | --- |', ...lines].join('\n')
}

/** `readme` with the reference between its markers. Throws when it lacks them. */
export function insertReference(readme: string): string {
  const from = readme.indexOf(begin)
  const to = readme.indexOf(end)
  if (from < 0 || to < from) throw new Error(`README.md has no ${begin} followed by ${end}`)
  return `${readme.slice(0, from + begin.length)}\n\n${renderReference()}\n\n${readme.slice(to)}`
}

if (import.meta.main && process.argv.includes('--write')) {
  const readme = new URL('../../README.md', import.meta.url)
  writeFileSync(readme, insertReference(readFileSync(readme, 'utf8')))
}
