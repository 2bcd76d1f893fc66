/**
 * Where the embedded catalog does otherwise than Consul 1.8.7, on purpose. The cases beside this file name a row where they
 * see it; what only shows in the embedded one is pinned in test/catalog.
 */
/** What it is about, what Consul does, what the embedded catalog does. */
export type Deviation = readonly [what: string, consul: string, embedded: string]

type Name =
  | 'tagsSorted'
  | 'noConsulService'
  | 'indexAboveCurrent'
  | 'filter'
  | 'connect'
  | 'checkless'
  | 'bodyCap'
  | 'absentApi'
  | 'absentAgent'
  | 'lockIndex'
  | 'decodeText'
  | 'ownNode'
  | 'root'
  | 'checkTypes'
  | 'crowd'
  | 'txn'
  | 'firstIndex'
  | 'antiEntropy'
  | 'broken'

export const deviations: Readonly<Record<Name, Deviation>> = {
  tagsSorted: ['catalog/services: tags', 'in random order', 'sorted, so that equal sets are equal bytes'],
  noConsulService: [
    'the service `consul`',
    'every server registers itself',
    'absent: there is no server cluster to find',
  ],
  indexAboveCurrent: [
    'index above the current one',
    'blocks until the wait is over',
    'answers at once: the client of a catalog that started anew would hang',
  ],
  filter: ['?filter', 'evaluated', '400 that says so: never silently ignored'],
  connect: ['Kind, Connect, Proxy', 'accepted', '400: there is no Connect'],
  checkless: [
    'health/state of a service without a check',
    'nothing',
    'one passing check, so that clients that look only there (fabio) find it',
  ],
  bodyCap: ['a body above 512 KiB', '413 for KV, else read whole', '413 for all'],
  txn: [
    'a transaction with locks, or on nodes, services, checks and sessions',
    'done',
    '409 or 400 that says so: there are the operations on keys',
  ],
  absentApi: ['/v1/acl, /v1/query, /v1/agent/metrics, …', 'there', '501 that says so'],
  absentAgent: ['any other path below /v1/agent/', '404', '501 that says so: agents differ in what they have there'],
  broken: ['a change that cannot be kept (disk, directory taken over)', '500', '503: nothing was changed'],
  lockIndex: ['LockIndex after a plain write to a held key', 'back to 0 (mended in later versions)', 'kept'],
  decodeText: ['text of a JSON error', "Go's", 'the same beginning, then what is wrong'],
  ownNode: ['catalog/deregister of the own node', 'comes back within a minute', '400'],
  root: ['GET /', 'redirect to the web UI', 'a line of text'],
  checkTypes: ['gRPC, Docker, alias and script checks', 'run (scripts if allowed)', 'refused'],
  crowd: ['too many queries at once', 'above 200 connections of one client: cut off', 'above 4096 that wait: 429'],
  firstIndex: ['the first index', 'small', "the wall clock's milliseconds, so above that of any earlier catalog there"],
  antiEntropy: [
    'catalog/register over a service of the agent itself',
    'undone within minutes (tags may stay)',
    'stays until the service registers again',
  ],
}
