/**
 * Text that is safe inside a JSON string on one line of a log, whatever a client sent: control characters of both
 * sets, DEL, the two Unicode line ends, lone surrogates, and what has no width or turns the direction of writing are escaped, so that no terminal or log shipper is steered.
 */

// What must not stand in a JSON string, and what JSON allows but a log must not show.
const unsafe =
  // oxlint-disable-next-line no-control-regex -- control characters are what it looks for
  /["\\\u0000-\u001f\u007f-\u009f\u2028\u2029\ud800-\udfff\u061c\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]/
const unsafeAll = new RegExp(unsafe, 'g')
// The same for text that is JSON already, where quotes and backslashes are its own.
const unsafeInJson = /[\u007f-\u009f\u2028\u2029\u061c\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g

const hex = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`

/** `text` without quotes around it, cut to `charsMax` UTF-16 units (an ellipsis shows the cut). One test when clean. */
export function escapeField(text: string, charsMax = 2_048): string {
  const cut = text.length > charsMax ? `${text.slice(0, charsMax)}\u2026` : text
  if (!unsafe.test(cut)) return cut
  return cut.replace(unsafeAll, (char) => (char === '"' || char === '\\' ? `\\${char}` : hex(char)))
}

/** The same for people, who read quotes and backslashes as they are and parse nothing. */
export function escapeText(text: string, charsMax = 2_048): string {
  const cut = text.length > charsMax ? `${text.slice(0, charsMax)}\u2026` : text
  return unsafe.test(cut) ? cut.replace(unsafeAll, (char) => (char === '"' || char === '\\' ? char : hex(char))) : cut
}

/** True when `text` may stand in a JSON string as it is. */
export function isPlain(text: string): boolean {
  return !unsafe.test(text)
}

/** A line of JSON with what `JSON.stringify` leaves bare escaped too; inside JSON such characters stand in strings only. */
export function escapeJsonLine(line: string): string {
  return line.replace(unsafeInJson, hex)
}
