// Request bodies as JSON: bounded nesting, whole characters only, and the duplicate keys that JSON.parse
// passes over in silence.

import { atOnce, type Steps } from '../breather.ts'
import { StatusError } from '../errors.ts'
import { boundValues, mostMembers, mostValues, tooLarge } from './bounds.ts'
import { type Floats, parseExact, parseNotingFloats, parseWritten } from './exact.ts'

/** More would help nobody, and each is as long as its place is deep. */
const mostDuplicates = 100

/** Deeper than any real object; well within what recursive code and JSON.stringify can take. */
const maxDepth = 1000

export type Parsed = {
  value: unknown
  /** Paths such as `spec.ports[0].name`, in the order of the text, the first hundred; empty unless asked for. */
  duplicates: string[]
  /** Where they are asked for, and are. */
  floats?: Floats
}

/** What else to find than the value; `written`: floats within it. */
export type ReadOptions = { duplicates?: boolean; floats?: boolean; written?: boolean; failure?: string }

/** As parsingJson, at once. */
export const parseJson = (body: string | Uint8Array, options: ReadOptions = {}): Parsed => atOnce(parsingJson(body, options))

/** Throws BadRequest, whose `failure` says of what, and RequestEntityTooLarge. */
export function* parsingJson(body: string | Uint8Array, options: ReadOptions = {}): Steps<Parsed> {
  const { failure = "couldn't get version/kind; json parse error" } = options
  const text = wholeCharacters(typeof body === 'string' ? body : new TextDecoder().decode(body))
  const isWide = text.length > mostValues && looksWide(text)
  yield
  let parsed: { value: unknown; floats?: Floats }
  try {
    if (options.written) parsed = { value: parseWritten(text) }
    else parsed = options.floats ? parseNotingFloats(text) : { value: parseExact(text) }
  } catch (error) {
    throw new StatusError('BadRequest', `${failure}: ${(error as Error).message}`, undefined, { cause: error })
  }
  yield
  if (isWide && typeof parsed.value === 'object' && parsed.value) boundValues(parsed.value)
  const duplicates: string[] = []
  if (options.duplicates || text.length > 2 * maxDepth) scan(text, options.duplicates ? duplicates : undefined)
  return { ...parsed, duplicates }
}

/** Counts before there is an object for each, in text that need not be JSON. Returns whether one map may have too many members. */
function looksWide(text: string): boolean {
  const members = new Uint32Array(maxDepth + 1)
  let isWide = false
  let values = 0
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 0x22) i = endOfString(text, i) - 1
    else if (code === 0x2c) {
      values++
      if (++members[depth]! > mostMembers) isWide = true
    } else if (code === 0x5b || code === 0x7b) {
      values++
      if (++depth > maxDepth) throw tooDeep()
      members[depth] = 1
    } else if (code === 0x5d || code === 0x7d) depth--
  }
  if (values > mostValues) throw tooLarge(`${values} values, limit is ${mostValues}`)
  return isWide
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
  if (stack.push(frame) > maxDepth) throw tooDeep()
}

const tooDeep = () => new StatusError('BadRequest', 'json: exceeded max depth')

/** One past the closing quote, or the end of the text. */
function endOfString(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 0x5c) i++
    else if (code === 0x22) return i + 1
  }
  return text.length
}

function isKey(text: string, at: number): boolean {
  let i = at
  while (text.charCodeAt(i) <= 0x20) i++
  return text.charCodeAt(i) === 0x3a
}

function seen(quoted: string, stack: Frame[], frame: Frame, duplicates: string[]): void {
  const key = quoted.includes('\\') ? (JSON.parse(quoted) as string) : quoted.slice(1, -1)
  frame.key = key
  const { keys } = frame
  if (!keys) return
  const { size } = keys
  if (keys.add(key).size === size && duplicates.length < mostDuplicates) duplicates.push(pathOf(stack))
}

const pathOf = (stack: Frame[]): string =>
  stack.reduce((path, { keys, key, index }) => (keys ? (path ? `${path}.${key}` : key) : `${path}[${index}]`), '')
