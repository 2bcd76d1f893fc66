/**
 * `npm run bench`: asks the questions of `bench/questions/` of Fairlead and of other proxies side by side, and prints the
 * answers as Markdown tables. See README.md beside it for what is asked and where noise comes from.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkContestant } from './lib/check.ts'
import { contestant } from './lib/contestants.ts'
import type { Contestant } from './lib/contestants.ts'
import { withLab } from './lib/lab.ts'
import { describeRevision, machine } from './lib/machine.ts'
import type { Lab } from './lib/measure.ts'
import { parseBenchOptions, questionNames } from './lib/options.ts'
import type { BenchOptions } from './lib/options.ts'
import { openFilesLimit } from './lib/procfs.ts'
import { obstacle } from './lib/question.ts'
import type { Section } from './lib/question.ts'
import { renderGoals, renderHead, renderJson, renderMarkdown, renderQuestion } from './lib/results.ts'
import type { Answer, Circumstances } from './lib/results.ts'
import { questions } from './questions/index.ts'
import { runProgram } from './lib/program.ts'

function print(text: string): void {
  process.stdout.write(`${text}\n\n`)
}

/** Those that are installed; says of the others how to install them. */
function takingPart(options: BenchOptions): readonly Contestant[] {
  return options.contestants.map(contestant).filter((one) => {
    if (one.version === undefined) process.stderr.write(`${one.name} is not installed: ${one.install}\n`)
    return one.version !== undefined
  })
}

function circumstances(
  lab: Lab,
  cores: Circumstances['cores'],
  options: BenchOptions,
  contestants: readonly Contestant[],
): Circumstances {
  const wrk = options.load === 'auto' && lab.load.name === 'node' ? ' (for wrk: apt-get install wrk)' : ''
  return {
    date: new Date().toISOString(),
    machine: machine(),
    cores,
    revision: describeRevision(),
    load: `${lab.load.name}${wrk}`,
    backend: lab.backend.name,
    versions: Object.fromEntries(contestants.map(({ name, version }) => [name, version ?? ''])),
    options,
  }
}

async function askAll(lab: Lab, options: BenchOptions, contestants: readonly Contestant[]): Promise<readonly Answer[]> {
  const answers: Answer[] = []
  for (const name of options.questions) {
    const question = questions[name]
    print(renderQuestion(name, question))
    const sections: Section[] = []
    for await (const section of question.ask(lab, contestants, options)) {
      sections.push(section)
      print(section.markdown)
    }
    answers.push({ name, question, sections })
  }
  return answers
}

async function run(lab: Lab, cores: Circumstances['cores'], options: BenchOptions): Promise<void> {
  const contestants = takingPart(options)
  for (const [index, one] of contestants.entries()) {
    lab.say(`checking ${one.name}`)
    await checkContestant(one, join(lab.dir, `check-${index}`))
  }
  const found = circumstances(lab, cores, options, contestants)
  print(renderHead(found))
  const answers = await askAll(lab, options, contestants)
  const goals = renderGoals(answers)
  if (goals !== '') print(goals)
  if (options.json !== undefined) writeFileSync(options.json, renderJson(found, answers))
  if (options.markdown !== undefined) writeFileSync(options.markdown, renderMarkdown(found, answers))
}

/** What cannot be asked on this machine is said before anything runs, not after an hour. */
function refusals(options: BenchOptions): readonly string[] {
  return options.questions.flatMap((name) => {
    const reason = obstacle(questions[name], options, openFilesLimit())
    return reason === undefined ? [] : [`${name} ${reason}`]
  })
}

await runProgram(async () => {
  const options = parseBenchOptions(process.argv.slice(2))
  const refused = options.list ? [] : refusals(options)
  if (options.list)
    for (const name of questionNames) process.stdout.write(`${name.padEnd(12)}${questions[name].asks}\n`)
  else if (refused.length > 0) {
    process.stderr.write(`${refused.join('\n')}\n`)
    process.exitCode = 2
  } else await withLab(options, false, (lab, cores) => run(lab, cores, options))
})
