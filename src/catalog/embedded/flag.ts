/**
 * A flag of the query string: present without a value means yes, and an explicit `false` or `0` means no.
 */
export function flag(query: URLSearchParams, name: string): boolean {
  const value = query.get(name)
  return value !== null && value !== 'false' && value !== '0'
}
