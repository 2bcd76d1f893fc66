/** How whoever reads it calls the program: in a checkout there is no `fairlead` but by npx. Looks at the process alone. */

/** `npx fairlead` when npx started it, else `fairlead`. */
export function commandName(env: Readonly<Record<string, string | undefined>> = process.env): string {
  const { npm_lifecycle_event: event, npm_lifecycle_script: script = '' } = env
  // Whatever else npx started, such as a test runner, hands its variables on to us.
  return event === 'npx' && /^['"]?fairlead['"]?(?:\s|$)/.test(script) ? 'npx fairlead' : 'fairlead'
}
