/**
 * The listening TCP sockets of this process, each with one of its descriptors, as Linux shows them below /proc: Node tells nobody
 * the descriptor of a server, and only a descriptor can be given to a child process. Elsewhere there are none.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { endianness } from 'node:os'
import { type ListeningSocket, plainHost } from './messages.ts'

const listening = '0A'

export function listeningSockets(): readonly ListeningSocket[] {
  const byInode = new Map<string, { host: string; port: number }>()
  for (const table of ['tcp', 'tcp6'])
    for (const [inode, at] of parseTable(readText(`/proc/self/net/${table}`))) byInode.set(inode, at)
  const found: ListeningSocket[] = []
  for (const name of readNames('/proc/self/fd')) {
    const inode = /^socket:\[(\d+)\]$/.exec(readLink(`/proc/self/fd/${name}`))?.[1]
    const at = inode === undefined ? undefined : byInode.get(inode)
    if (inode === undefined || !at) continue
    found.push({ fd: Number(name), ...at })
    // The others are copies of it.
    byInode.delete(inode)
  }
  return found
}

/** Whether somebody listens on this Unix socket. It is not connected to, and so nobody is woken. */
export function isListeningAt(path: string): boolean {
  // Its fields: address, count, protocol, flags, type, state, inode, path. Of the flags one says that it accepts.
  return readText('/proc/self/net/unix')
    .split('\n')
    .some((line) => line.endsWith(` ${path}`) && line.split(/\s+/)[3] === '00010000')
}

/** Listening sockets by inode, of the text of /proc/net/tcp or tcp6. */
export function parseTable(text: string): ReadonlyMap<string, { readonly host: string; readonly port: number }> {
  const found = new Map<string, { host: string; port: number }>()
  for (const line of text.split('\n').slice(1)) {
    const fields = line.trim().split(/\s+/)
    const [address = '', port = ''] = (fields[1] ?? '').split(':')
    const inode = fields[9]
    if (fields[3] !== listening || inode === undefined) continue
    found.set(inode, { host: hostOf(Buffer.from(address, 'hex')), port: Number.parseInt(port, 16) })
  }
  return found
}

/** The kernel prints words of four bytes as this machine reads them. */
function hostOf(bytes: Buffer): string {
  if (endianness() === 'LE') bytes.swap32()
  if (bytes.length === 4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16))
  return plainHost(groups.join(':'))
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function readNames(path: string): readonly string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}

function readLink(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    // Closed meanwhile, as is the one by which the folder was read.
    return ''
  }
}
