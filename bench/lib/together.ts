/** Two loads at once. It knows nothing of what they are. */

/** What both come to. Rejects with the first's reason, else with the second's, and only when both have ended. */
export async function together<A, B>(first: Promise<A>, second: Promise<B>): Promise<readonly [A, B]> {
  const [a, b] = await Promise.allSettled([first, second])
  if (a.status === 'rejected') throw a.reason
  if (b.status === 'rejected') throw b.reason
  return [a.value, b.value]
}
