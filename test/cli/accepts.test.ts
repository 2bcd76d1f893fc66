/** `fairlead serve` has each listening socket several times, in every process that takes requests, and has so after an upgrade. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import t from 'tap'
import { ask } from '../fixtures/app.ts'
import { childrenOf, type Command } from '../fixtures/command.ts'
import { parseTable } from '../../src/handover/listening.ts'
import { acceptsPerTurn } from '../../src/proxy/listener.ts'
import { echoBackend, type Place, placeOf, ready, slow, tookOver } from '../fixtures/upgrade.ts'
import { until } from '../fixtures/until.ts'

if (process.platform !== 'linux') t.bailout('seen by /proc')

/** For each process of the proxy that listens on `port`: how many descriptors each socket of it has there, by socket. */
function descriptors(port: number, { pid }: Command): readonly ReadonlyMap<string, number>[] {
  const inodes = new Set<string>()
  for (const [inode, at] of parseTable(readFileSync('/proc/self/net/tcp', 'utf8')))
    if (at.port === port) inodes.add(inode)
  const found: Map<string, number>[] = []
  for (const each of [pid, ...childrenOf(pid)]) {
    const counts = new Map<string, number>()
    for (const fd of readdirSync(`/proc/${each}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${each}/fd/${fd}`))?.[1] ?? ''
      if (inodes.has(inode)) counts.set(inode, (counts.get(inode) ?? 0) + 1)
    }
    if (counts.size > 0) found.push(counts)
  }
  return found
}

/** The sockets of the port, once each of them has all its copies in the one process that has it. */
async function sockets({ port }: Place, command: Command, workers: number): Promise<readonly string[]> {
  const told = (): string => JSON.stringify(descriptors(port, command).map((counts) => [...counts]))
  await until(() => {
    const found = descriptors(port, command)
    const isFull = found.every((counts) => counts.size === 1 && [...counts.values()][0] === acceptsPerTurn)
    return isFull && found.length === workers
  }, slow).catch((cause: unknown) => {
    throw new Error(told(), { cause })
  })
  return descriptors(port, command)
    .flatMap((counts) => [...counts.keys()])
    .toSorted()
}

for (const workers of [1, 2])
  t.test(`with workers: ${workers}`, async (t) => {
    const more = `workers: ${workers}\nshutdown: { lameDuck: 0s, deadline: 20s }\n`
    const place = await placeOf(t, await echoBackend(t), more)
    const old = place.start()
    await ready(place, old)
    const before = await sockets(place, old, workers)
    const next = place.start('--replace')
    t.equal(await tookOver(old, next), 0)
    t.same(await sockets(place, next, workers), before, 'the same sockets, and no others')
    t.equal((await ask(place.port)).body, 'ok')
  })
