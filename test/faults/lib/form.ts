/**
 * Which form of the fault suite runs. Short (in `npm test`): seconds each, asserts counts and identities only. Long
 * (`npm run faults`, FAIRLEAD_FAULTS=long): as the promises are written, with times beside a paired run without a fault.
 */

export const long: boolean = process.env['FAIRLEAD_FAULTS'] === 'long'

/** The value for the form that runs. */
export function byForm<T>(short: T, whole: T): T {
  return long ? whole : short
}
