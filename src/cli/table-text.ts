/**
 * What the commands that print for a person share: a table where it fits the terminal, colours, times, and nothing that a
 * client or a registration chose reaching the terminal unescaped. Pure but for {@link screenOf}, which looks at the process.
 */
import { escapeText } from '../telemetry/escape.ts'

export interface Screen {
  readonly color: boolean
  /** Columns of the terminal; Infinity: it is none. */
  readonly width: number
}

/** The process's own standard output: colour only on a terminal, and not where `NO_COLOR` is set. */
export function screenOf({ isTTY, columns }: Pick<NodeJS.WriteStream, 'isTTY' | 'columns'> = process.stdout): Screen {
  return { color: isTTY && !process.env['NO_COLOR'], width: isTTY ? columns : Infinity }
}

export type Color = 'red' | 'yellow' | 'bold'
const codes: Readonly<Record<Color, string>> = { red: '\u001b[31m', yellow: '\u001b[33m', bold: '\u001b[1m' }
export type Paint = (text: string, color: Color | undefined) => string

export function paintOn({ color: colored }: Pick<Screen, 'color'>): Paint {
  return (text, color) => (colored && color ? `${codes[color]}${text}\u001b[0m` : text)
}

export interface Cell {
  readonly text: string
  readonly color?: Color | undefined
}

export interface Column<T> {
  readonly title: string
  readonly right?: true
  readonly cell: (row: T) => Cell
}

export const gap = '  '

/** A line of titles, and for each row its line with the lines `below` it. Undefined: it is wider than the screen. */
export function tableLines<T>(
  rows: readonly T[],
  columns: readonly Column<T>[],
  screen: Screen,
  below: (row: T) => readonly string[] = () => [],
): readonly string[] | undefined {
  const cells = rows.map((row) => columns.map(({ cell }) => cell(row)))
  const widths = columns.map(({ title }, i) => Math.max(title.length, ...cells.map((row) => row[i]?.text.length ?? 0)))
  if (widths.reduce((sum, width) => sum + width + gap.length, -gap.length) > screen.width) return undefined
  const paint = paintOn(screen)
  const line = (row: readonly Cell[]): string =>
    row
      .map(({ text, color }, i) => {
        const fill = ' '.repeat((widths[i] ?? 0) - text.length)
        return columns[i]?.right ? fill + paint(text, color) : paint(text, color) + fill
      })
      .join(gap)
      .trimEnd()
  const head = line(columns.map(({ title }) => ({ text: title, color: 'bold' })))
  return [head, ...rows.flatMap((row, i) => [line(cells[i] ?? []), ...below(row)])]
}

/** `2024-05-01T12:03:07.123Z` without what takes room and tells nothing. */
export const timeText = (iso: string): string =>
  safe(iso)
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z')

export const safe = (text: string, charsMax = 128): string => escapeText(text, charsMax)

/** The same, of texts that are sentences. */
export const safeLong = (text: string): string => safe(text, 512)

/** A share of 0 to 1 to three digits, such as `12.5 %`. */
export const percent = (share: number): string => `${Number((share * 100).toPrecision(3))} %`

/** A service and its version. */
export const serviceText = (of: { readonly service: string; readonly version: string }): string =>
  safe(of.version === '' ? of.service : `${of.service} ${of.version}`)

/** Routes named in one line; more are counted. */
const routesMax = 8

/** Routes such as `shop.example.com/cart`; `/` is for any host. */
export function routesText(routes: readonly string[]): string {
  const more = routes.length - routesMax
  const named = routes.slice(0, routesMax).map((route) => safe(route.startsWith('/') ? `*${route}` : route, 255))
  return `${named.join(', ')}${more > 0 ? ` and ${String(more)} more` : ''}`
}
