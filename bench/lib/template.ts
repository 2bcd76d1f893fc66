/**
 * Fills the `{{name}}` places of the configuration files that lie beside the bench and writes them where a run needs them.
 */
import { readFileSync, writeFileSync } from 'node:fs'

/** Writes `source` (a URL beside the bench) to `target`, each `{{name}}` replaced. Throws for a name not given. */
export function renderTemplate(source: URL, target: string, values: Readonly<Record<string, string | number>>): string {
  const text = readFileSync(source, 'utf8').replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => {
    const value = values[name]
    if (value === undefined) throw new Error(`${source.pathname}: no value for {{${name}}}`)
    return String(value)
  })
  writeFileSync(target, text)
  return target
}
