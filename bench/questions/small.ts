/** `small`: What does a request cost whose answer has 64 bytes? */
import { exchangeQuestion } from '../lib/ask-exchange.ts'
import type { Question } from '../lib/question.ts'

export const small: Question = exchangeQuestion('small', 'What does a request cost whose answer has 64 bytes?')
