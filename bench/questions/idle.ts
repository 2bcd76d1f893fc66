/** `idle`: what a keep-alive client that is connected and asks nothing holds in memory. */
import { measureMemory, renderMemory } from '../lib/ask-memory.ts'
import { becomeIdle } from '../lib/held-connections.ts'
import { openFilesLimit } from '../lib/procfs.ts'
import type { Question } from '../lib/question.ts'
import { figure } from '../lib/report.ts'

/** What a process has open besides the connections. */
const otherFiles = 512

export const idle: Question = {
  asks: 'What does an idle keep-alive client hold in memory?',
  how:
    'Each is started afresh in each round; 10,000 clients (--clients) connect, ask once and stay. Resident memory after a ' +
    'while, less that before them, by their number. What copies bytes holds a connection to the backend for each.',
  openFiles: (options) => options.clients + otherFiles,
  async *ask(lab, contestants, options) {
    const { clients, settleSeconds } = options
    // one that only copies bytes needs twice as many files, which may be more than there are
    const limit = openFilesLimit()
    const able = contestants.filter(({ readsHttp }) => readsHttp || 2 * clients + otherFiles <= limit)
    const left = contestants.filter((contestant) => !able.includes(contestant))
    const notes = left.map(
      ({ name }) =>
        `${name} is left out: it needs ${2 * clients + otherFiles} open files, and ${limit} are allowed (ulimit -Hn).`,
    )
    const title = `Memory of ${figure(clients, 0)} idle keep-alive clients`
    const asked = { title, count: clients, settleSeconds, become: becomeIdle }
    const results = await measureMemory(lab, able, asked)
    yield { markdown: renderMemory(title, results, notes), figures: { clients, notes, results } }
  },
}
