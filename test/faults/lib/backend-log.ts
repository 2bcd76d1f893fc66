/**
 * What a backend writes down of each request, one line per step, so that kill -9 at any moment leaves what came before:
 * write(2) has handed it to the kernel by then. Pure but for reading the files.
 */
import { readFileSync } from 'node:fs'

/** `began`: its head was read. `ran`: it was executed (its body was whole). `answered`: the whole answer was handed to the kernel. */
export type Step = 'began' | 'ran' | 'answered'

const letters: Readonly<Record<Step, string>> = { began: 'b', ran: 'r', answered: 'a' }
const steps = new Map<string, Step>(Object.entries(letters).map(([step, letter]) => [letter, step as Step]))

/** A line for the log. The id is what the client put into `x-check-id`; it must hold no blank. */
export function logLine(step: Step, id: string, method: string): string {
  return `${letters[step]} ${id} ${method}\n`
}

/** One request at one backend: executed as far as `step`. The same id twice at one backend is two of these. */
export interface Execution {
  readonly id: string
  readonly method: string
  readonly instance: string
  readonly step: Step
}

/** Parses one backend's log. A torn last line is left out; lines of no known step are an error. */
export function parseLog(text: string, instance: string): Execution[] {
  const found: Execution[] = []
  /** Places in `found` of an id's executions that have not been answered yet, oldest first. */
  const open = new Map<string, number[]>()
  for (const line of text.slice(0, text.lastIndexOf('\n') + 1).split('\n')) {
    if (line === '') continue
    const [letter = '', id = '', method = ''] = line.split(' ')
    const step = steps.get(letter)
    if (step === undefined) throw new Error(`${instance} logged '${line}'`)
    if (step === 'began') {
      const places = open.get(id)
      if (places) places.push(found.length)
      else open.set(id, [found.length])
      found.push({ id, method, instance, step })
      continue
    }
    const places = open.get(id) ?? []
    const wanted = step === 'ran' ? 'began' : 'ran'
    const at = places.find((place) => found[place]?.step === wanted) ?? places[0]
    if (at === undefined) throw new Error(`${instance} logged '${line}' without its beginning`)
    found[at] = { ...(found[at] as Execution), step }
  }
  return found
}

export function readLog(file: string, instance: string): Execution[] {
  return parseLog(readFileSync(file, 'latin1'), instance)
}
