/**
 * `${NAME}` and `${NAME:-default}` inside a scalar, from the environment it is given. What is put in is never parsed
 * again, so a value cannot become structure. `$${` stands for `${` itself. Pure.
 */
const reference = /\$\$\{|\$\{([^}]*)\}?/g
const name = /^[A-Za-z_][A-Za-z0-9_]*$/

export type Environment = Readonly<Record<string, string | undefined>>

/** As in a shell, the default stands for a variable that is unset or empty. */
export function substitute(text: string, env: Environment): { readonly text: string } | { readonly refused: string } {
  if (!text.includes('${')) return { text }
  let refused: string | undefined
  const result = text.replaceAll(reference, (whole: string, body: string | undefined) => {
    if (body === undefined) return '${'
    const at = body.indexOf(':-')
    const variable = at < 0 ? body : body.slice(0, at)
    if (!whole.endsWith('}') || !name.test(variable)) {
      refused ??= 'expected ${NAME} or ${NAME:-default}; write $${ for the characters themselves'
      return ''
    }
    const value = Object.hasOwn(env, variable) ? env[variable] : undefined
    if (at >= 0) return value === undefined || value === '' ? body.slice(at + 2) : value
    if (value === undefined)
      refused ??= `the environment has no ${variable}; \${${variable}:-default} would give it one`
    return value ?? ''
  })
  return refused === undefined ? { text: result } : { refused }
}
