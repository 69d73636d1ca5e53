// Request bodies as JSON: bounded nesting, whole characters only, and the duplicate keys that JSON.parse
// passes over in silence.

import { StatusError } from '../errors.ts'
import { parseExact } from './exact.ts'

/** More would help nobody, and each is as long as its place is deep. */
const mostDuplicates = 100

/** Deeper than any real object; well within what recursive code and JSON.stringify can take. */
const maxDepth = 1000

export type Parsed = {
  value: unknown
  /** Paths such as `spec.ports[0].name`, in the order of the text, the first hundred; empty unless asked for. */
  duplicates: string[]
}

/** Throws BadRequest; `failure` says of what. */
export function parseJson(body: string | Uint8Array, options: { duplicates?: boolean; failure?: string } = {}): Parsed {
  const { failure = "couldn't get version/kind; json parse error" } = options
  const text = wholeCharacters(typeof body === 'string' ? body : new TextDecoder().decode(body))
  let value: unknown
  try {
    value = parseExact(text)
  } catch (error) {
    throw new StatusError('BadRequest', `${failure}: ${(error as Error).message}`, undefined, { cause: error })
  }
  const duplicates: string[] = []
  if (options.duplicates || text.length > 2 * maxDepth) scan(text, options.duplicates ? duplicates : undefined)
  return { value, duplicates }
}

/** Half a surrogate pair becomes U+FFFD, as Go decodes it: no UTF-8, and so no path and no client, could carry it on. */
function wholeCharacters(text: string): string {
  if (!/\\u[dD][89a-fA-F]/.test(text)) return text
  const escapes = /\\(?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|u([dD][89a-fA-F][\da-fA-F]{2})|.)/g
  return text.replace(escapes, (escape, half?: string) => (half ? '\\ufffd' : escape))
}

type Frame = { keys?: Set<string>; key: string; index: number }

/** Walks text that is known to be JSON. */
function scan(text: string, duplicates: string[] | undefined): void {
  const stack: Frame[] = []
  let top: Frame | undefined
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case 0x7b: // {
        top = { keys: new Set(), key: '', index: -1 }
        push(stack, top)
        break
      case 0x5b: // [
        top = { key: '', index: 0 }
        push(stack, top)
        break
      case 0x7d: // }
      case 0x5d: // ]
        stack.pop()
        top = stack.at(-1)
        break
      case 0x2c: // ,
        if (top && !top.keys) top.index++
        else if (top) top.key = ''
        break
      case 0x22: {
        const end = endOfString(text, i)
        if (duplicates && top?.keys && !top.key && isKey(text, end)) seen(text.slice(i, end), stack, top, duplicates)
        i = end - 1
      }
    }
  }
}

function push(stack: Frame[], frame: Frame): void {
  if (stack.push(frame) > maxDepth) throw new StatusError('BadRequest', 'json: exceeded max depth')
}

/** One past the closing quote. */
function endOfString(text: string, start: number): number {
  for (let i = start + 1; ; i++) {
    const code = text.charCodeAt(i)
    if (code === 0x5c) i++
    else if (code === 0x22) return i + 1
  }
}

function isKey(text: string, at: number): boolean {
  let i = at
  while (text.charCodeAt(i) <= 0x20) i++
  return text.charCodeAt(i) === 0x3a
}

function seen(quoted: string, stack: Frame[], frame: Frame, duplicates: string[]): void {
  const key = JSON.parse(quoted) as string
  frame.key = key
  if (frame.keys?.has(key) && duplicates.length < mostDuplicates) duplicates.push(pathOf(stack))
  frame.keys?.add(key)
}

const pathOf = (stack: Frame[]): string =>
  stack.reduce((path, { keys, key, index }) => (keys ? (path ? `${path}.${key}` : key) : `${path}[${index}]`), '')
