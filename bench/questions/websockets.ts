/** `websockets`: what a WebSocket that is open and quiet holds in memory, and that it still works with all of them open. */
import { measureMemory, renderMemory } from '../lib/ask-memory.ts'
import { becomeWebSocket, echo, someAtATime } from '../lib/held-connections.ts'
import type { Question } from '../lib/question.ts'
import { figure } from '../lib/report.ts'

export const websockets: Question = {
  asks: 'What does an open WebSocket hold in memory, and do all of them still echo?',
  how:
    'Each is started afresh in each round; 2,000 WebSockets (--tunnels) open and echo once each. Resident memory after a ' +
    'while, less that before them, by their number; then each echoes a text of its own again, or the run fails.',
  // the proxy has two for each
  openFiles: (options) => 2 * options.tunnels + 512,
  async *ask(lab, contestants, options) {
    const { tunnels, settleSeconds } = options
    const title = `Memory of ${figure(tunnels, 0)} open WebSockets`
    const results = await measureMemory(lab, contestants, {
      title,
      count: tunnels,
      settleSeconds,
      become: async (held, index) => {
        await becomeWebSocket(held)
        await echo(held, `opened ${index}`)
      },
      prove: (all) => someAtATime(all, (held, index) => echo(held, `still here ${index}`)),
    })
    yield { markdown: renderMemory(title, results), figures: { tunnels, results } }
  },
}
