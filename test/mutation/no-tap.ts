/** Stands in for tap where cases are only collected: it takes them and runs nothing. */
import type { Job } from '../fixtures/cases.ts'

export const collected: Job[] = []

const noTap: {
  pass(): void
  fail(): void
  teardown(): void
  takeCases(jobs: readonly Job[]): void
} = {
  pass() {},
  fail() {},
  teardown() {},
  takeCases: (jobs) => void collected.push(...jobs),
}

export default noTap
