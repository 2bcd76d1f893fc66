/** From Consul's list of config entries to documents. Pure; it reads no entry's meaning. */
import type { PolicyDocument } from '../documents/documents.ts'

export type EntryKind = 'service-router' | 'service-splitter' | 'service-resolver'

export const entryKinds: readonly EntryKind[] = ['service-router', 'service-splitter', 'service-resolver']

/** Body of `GET /v1/config/KIND`; throws a plain Error when it is not one. An entry without a name is left out. */
export function entryDocuments(kind: EntryKind, json: unknown): readonly PolicyDocument[] {
  if (!Array.isArray(json)) throw new Error(`config/${kind} is no list`)
  return (json as unknown[]).flatMap((entry) => {
    if (typeof entry !== 'object' || entry === null) throw new Error(`config/${kind} has an entry that is no object`)
    const { CreateIndex: _created, ModifyIndex: modifyIndex, ...content } = entry as Record<string, unknown>
    const { Name: name } = content
    if (typeof name !== 'string' || name === '') return []
    const index = typeof modifyIndex === 'number' && Number.isSafeInteger(modifyIndex) ? modifyIndex : 0
    return [{ key: `${kind}/${name}`, text: textOf(content), modifyIndex: index }]
  })
}

/** '' for one that is nested too deep to be written: it is then no JSON, and costs itself alone. */
function textOf(content: Readonly<Record<string, unknown>>): string {
  try {
    return JSON.stringify(content)
  } catch {
    return ''
  }
}
