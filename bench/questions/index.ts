/** The questions by name. */
import type { QuestionName } from '../lib/options.ts'
import type { Question } from '../lib/question.ts'
import { accept } from './accept.ts'
import { fairness } from './fairness.ts'
import { idle } from './idle.ts'
import { large } from './large.ts'
import { latency } from './latency.ts'
import { post } from './post.ts'
import { sidecar } from './sidecar.ts'
import { small } from './small.ts'
import { websockets } from './websockets.ts'
import { workers } from './workers.ts'

export const questions: Readonly<Record<QuestionName, Question>> = {
  small,
  large,
  post,
  latency,
  accept,
  fairness,
  idle,
  websockets,
  sidecar,
  workers,
}
