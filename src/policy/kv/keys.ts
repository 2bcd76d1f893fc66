/**
 * Where documents lie below the prefix: `services/NAME`, `routes/NAME`, `drains/HANDLE`, and the history of the first two at
 * `history/services/NAME/REVISION`. Pure; it knows nothing of what they hold.
 */

import { nearest } from '../../config/nearest.ts'

export type DocumentKind = 'services' | 'routes' | 'drains'

/** The folders that hold documents in force. */
export const documentFolders: readonly DocumentKind[] = ['services', 'routes', 'drains']

/** All that is kept below the prefix. */
const ownFolders: ReadonlySet<string> = new Set([...documentFolders, 'history'].map((folder) => `${folder}/`))

/** Whether what a listing by folders names, `services/` or a key, is none of ours. The prefix's own key is ''. */
export function isStray(name: string): boolean {
  return name !== '' && !ownFolders.has(name)
}

export const nameBytesMax = 128

const revisionDigits = 10
/** The largest revision that the key of a history entry can sort. */
export const revisionMax: number = 10 ** revisionDigits - 1

/** `prefix` as keys begin: no slash before, one behind. */
export function kvPrefix(prefix: string): string {
  return `${prefix.replaceAll(/^\/+|\/+$/g, '')}/`
}

/** The name of a prefix's source, and where its documents are for people: `kv:fairlead`. */
export function kvSourceName(prefix: string): string {
  return `kv:${kvPrefix(prefix).slice(0, -1)}`
}

/** The path of a key in Consul's API, without `/v1`. */
export function kvPath(key: string): string {
  return `/kv/${key.split('/').map(encodeURIComponent).join('/')}`
}

export function documentKey(kind: DocumentKind, name: string): string {
  return `${kind}/${name}`
}

/** The folder of a document's history; it ends in a slash. */
export function historyFolder(kind: DocumentKind, name: string): string {
  return `history/${kind}/${name}/`
}

/** Zero-padded, so that revisions sort as text. */
export function historyKey(kind: DocumentKind, name: string, revision: number): string {
  return historyFolder(kind, name) + String(revision).padStart(revisionDigits, '0')
}

/** The revision that a history key is of; undefined when it is none of ours. */
export function revisionOf(key: string): number | undefined {
  const last = key.slice(key.lastIndexOf('/') + 1)
  return last.length === revisionDigits && /^\d+$/.test(last) ? Number(last) : undefined
}

/** What a document's key says it is about, or why it cannot be: reasons complete "… is not used: ". */
export type KeyReading =
  | { readonly kind: DocumentKind; readonly name: string }
  | { readonly kind: 'bad'; readonly reason: string }
  /** It lies beside the folders, and looks like none of them: it may well be none of ours. */
  | { readonly kind: 'foreign' }

export function readKey(key: string): KeyReading {
  const slash = key.indexOf('/')
  const folder = slash < 0 ? key : key.slice(0, slash)
  const kind = documentFolders.find((one) => one === folder)
  if (slash < 0 || kind === undefined) {
    const meant = kind ?? meantFolder(folder)
    if (meant === undefined) return { kind: 'foreign' }
    const likely = `${meant}/${(slash < 0 ? '' : shorten(key.slice(slash + 1))) || 'NAME'}`
    const reason = `it is in none of the folders ${documentFolders.join(', ')}; ${likely} was probably meant`
    return { kind: 'bad', reason }
  }
  const name = key.slice(slash + 1)
  const reason = nameFault(name)
  return reason === undefined ? { kind, name } : { kind: 'bad', reason }
}

/** Why this cannot be the name of a document; undefined: it can. */
export function nameFault(name: string): string | undefined {
  if (name === '') return 'its name is empty'
  if (name.includes('/')) return `its name has a slash: ${JSON.stringify(shorten(name))}`
  if (name === '.' || name === '..') return `${JSON.stringify(name)} is no name: URLs drop it`
  if (name === '__proto__') return 'the name __proto__ is refused'
  if (Buffer.byteLength(name) > nameBytesMax)
    return `its name has ${String(Buffer.byteLength(name))} bytes, at most ${String(nameBytesMax)} are taken`
  if (!name.isWellFormed() || name.includes('\ufffd')) return 'its name is no UTF-8'
  if (/\p{Cc}/u.test(name)) return 'its name has a control character'
  return undefined
}

/** The folder of documents that a misspelt one was probably meant to be. */
export function meantFolder(folder: string): DocumentKind | undefined {
  const meant = nearest(folder, documentFolders)
  return documentFolders.find((one) => one === meant)
}

function shorten(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}
