/** The questions that are one exchange in a closed loop: what they share. */
import { measureCase } from './measure.ts'
import type { ExchangeName } from './options.ts'
import { exchanges } from './payload.ts'
import type { Question } from './question.ts'
import { goals, renderCase } from './report.ts'

/** The question what a request of one kind costs, at each number of connections asked for. */
export function exchangeQuestion(name: ExchangeName, asks: string): Question {
  return {
    asks,
    how:
      'Keep-alive clients that each send their next request when the last is answered. CPU per request is judged; ' +
      "throughput in [ ] is not comparable: the proxy's core was not the bottleneck.",
    async *ask(lab, contestants, options) {
      for (const connections of options.connections) {
        const result = await measureCase(lab, contestants, exchanges[name], connections)
        yield { markdown: renderCase(result), figures: result, goals: goals([result]) }
      }
    },
  }
}
