/** A number and what it counts, for people: `1 route`, `2 routes`, `0 routes`. Regular plurals only. */
export function counted(count: number, what: string): string {
  return `${String(count)} ${what}${count === 1 ? '' : 's'}`
}
