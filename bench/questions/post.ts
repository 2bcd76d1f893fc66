/** `post`: What does a request cost that posts 4 kB? */
import { exchangeQuestion } from '../lib/ask-exchange.ts'
import type { Question } from '../lib/question.ts'

export const post: Question = exchangeQuestion('post', 'What does a request cost that posts 4 kB?')
