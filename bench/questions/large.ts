/** `large`: What does a request cost whose answer has 100 kB? */
import { exchangeQuestion } from '../lib/ask-exchange.ts'
import type { Question } from '../lib/question.ts'

export const large: Question = exchangeQuestion('large', 'What does a request cost whose answer has 100 kB?')
