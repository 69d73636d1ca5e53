// The text of a document and where in it the reader is: white space, lines and columns, and scalars in all
// of YAML's spellings. Every character is looked at a bounded number of times.

import { YamlError } from './error.ts'

const tab = 0x09
const newline = 0x0a
const space = 0x20
const hash = 0x23
const colon = 0x3a
const dash = 0x2d
const backslash = 0x5c

/** Control characters but tabs and line ends, and what is no character. */
const forbidden = /[^\P{Cc}\t\n]|[\ufffe\uffff]/u

const escapes: Readonly<Record<string, string>> = {
  '0': '\0',
  a: '\x07',
  b: '\b',
  t: '\t',
  '\t': '\t',
  n: '\n',
  v: '\v',
  f: '\f',
  r: '\r',
  e: '\x1b',
  ' ': ' ',
  '"': '"',
  "'": "'",
  '/': '/',
  '\\': '\\',
  N: '\x85',
  _: '\xa0',
  L: '\u2028',
  P: '\u2029',
}
const hexLengths: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 }

export const isBlank = (code: number): boolean => code === space || code === tab || code === newline || Number.isNaN(code)
/** `,[]{}` */
export const isFlowIndicator = (code: number): boolean => code === 0x2c || code === 0x5b || code === 0x5d || code === 0x7b || code === 0x7d

const isNameCode = (code: number): boolean =>
  (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a) || code === 0x5f || code === dash

export class Text {
  readonly #text: string
  at = 0
  /** From 1. */
  line = 1
  #lineStart = 0

  /** Throws YamlError for characters that may not stand in YAML. */
  constructor(given: string) {
    const text = given.replace(/^\ufeff/, '').replace(/\r\n?|\x85/g, '\n')
    if (forbidden.test(text)) throw new YamlError('control characters are not allowed')
    this.#text = text
  }

  get column(): number {
    return this.at - this.#lineStart
  }

  get ended(): boolean {
    return this.at >= this.#text.length
  }

  /** Of the character at an offset from here; NaN beyond the end. */
  code(offset = 0): number {
    return this.#text.charCodeAt(this.at + offset)
  }

  char(): string {
    return this.#text[this.at] ?? ''
  }

  slice(from: number): string {
    return this.#text.slice(from, this.at)
  }

  startsWith(text: string): boolean {
    return this.#text.startsWith(text, this.at)
  }

  fail(why: string): YamlError {
    return new YamlError(`line ${this.line}: ${why}`)
  }

  /** `---` or `...` at the start of a line, or the end. */
  get atDocumentEnd(): boolean {
    return this.ended || (this.column === 0 && (this.startsWith('---') || this.startsWith('...')) && isBlank(this.code(3)))
  }

  newline(): void {
    this.at += 1
    this.line += 1
    this.#lineStart = this.at
  }

  /** Over white space, comments and line ends; whether a line ended. Tabs do not indent. */
  skip(inFlow = false): boolean {
    let isNew = this.column === 0
    let isSeparated = isNew
    for (;;) {
      const code = this.code()
      if (code === space) this.at += 1
      else if (code === tab) {
        if (isNew && !inFlow && !this.#isBlankLine()) throw this.fail('found character that cannot start any token')
        this.at += 1
      } else if (code === newline) {
        this.newline()
        isNew = true
      } else if (code === hash && (isSeparated || this.#isAfterBlank())) this.toLineEnd()
      else return isNew
      isSeparated = true
    }
  }

  #isAfterBlank(): boolean {
    return this.at === 0 || isBlank(this.#text.charCodeAt(this.at - 1))
  }

  /** Whether only white space, or a comment, follows. */
  #isBlankLine(): boolean {
    let at = this.at
    while (this.#text.charCodeAt(at) === space || this.#text.charCodeAt(at) === tab) at += 1
    const code = this.#text.charCodeAt(at)
    return code === newline || code === hash || Number.isNaN(code)
  }

  toLineEnd(): void {
    const end = this.#text.indexOf('\n', this.at)
    this.at = end < 0 ? this.#text.length : end
  }

  /** Spaces and tabs of this line. */
  blanks(): void {
    while (this.code() === space || this.code() === tab) this.at += 1
  }

  /** Up to white space, in a flow up to its indicators too. */
  tag(inFlow: boolean): string {
    const from = this.at
    const isEnd = inFlow ? (code: number) => isBlank(code) || isFlowIndicator(code) : isBlank
    while (!isEnd(this.code())) this.at += 1
    return this.slice(from)
  }

  /** The name of an anchor. */
  name(): string {
    const from = this.at
    while (isNameCode(this.code())) this.at += 1
    const name = this.slice(from)
    if (!name || !(isBlank(this.code()) || '?:,]}%@`'.includes(this.char())))
      throw this.fail('did not find expected alphabetic or numeric character')
    return name
  }

  /** Without quotes, as far as lines are indented deeper than `indent`; in a flow up to its indicators. */
  plain(indent: number, inFlow: boolean): string {
    const parts: string[] = []
    for (;;) {
      parts.push(this.#plainLine(inFlow))
      const [end, line, lineStart] = [this.at, this.line, this.#lineStart]
      this.blanks()
      if (this.code() !== newline) {
        if (this.code() !== hash) this.at = end
        break
      }
      const breaks = this.#breaks()
      const goesOn = !this.atDocumentEnd && this.code() !== hash && (inFlow || this.column > indent) && this.#isPlainHere(inFlow)
      if (!goesOn) {
        this.at = end
        this.line = line
        this.#lineStart = lineStart
        break
      }
      parts.push(folded(breaks))
    }
    return parts.join('')
  }

  #isPlainHere(inFlow: boolean): boolean {
    const code = this.code()
    if (inFlow && isFlowIndicator(code)) return false
    return !(code === colon && isBlank(this.code(1)))
  }

  #plainLine(inFlow: boolean): string {
    const from = this.at
    let end = from
    for (;;) {
      const code = this.code()
      if (code === newline || Number.isNaN(code)) break
      if (code === colon) {
        if (isBlank(this.code(1))) break
      } else if (code === hash && end < this.at) break
      else if (inFlow && isFlowIndicator(code)) break
      this.at += 1
      if (code !== space && code !== tab) end = this.at
    }
    this.at = end
    return this.slice(from)
  }

  /** Line ends and the white space around them; how many lines ended. */
  #breaks(): number {
    let count = 0
    for (;;) {
      const code = this.code()
      if (code === newline) {
        this.newline()
        count += 1
      } else if (code === space || code === tab) this.at += 1
      else return count
    }
  }

  single(): string {
    const parts: string[] = []
    this.at += 1
    for (let from = this.at; ; ) {
      const code = this.code()
      if (Number.isNaN(code) || (this.column === 0 && this.atDocumentEnd)) throw this.fail('found unexpected end of stream')
      if (code === 0x27) {
        parts.push(this.slice(from))
        this.at += 1
        if (this.code() !== 0x27) return parts.join('')
        from = this.at
        this.at += 1
      } else if (code === newline) {
        parts.push(trimmedEnd(this.slice(from)), folded(this.#breaks()))
        from = this.at
      } else this.at += 1
    }
  }

  double(): string {
    const parts: string[] = []
    this.at += 1
    for (let from = this.at; ; ) {
      const code = this.code()
      if (Number.isNaN(code) || (this.column === 0 && this.atDocumentEnd)) throw this.fail('found unexpected end of stream')
      if (code === 0x22) {
        parts.push(this.slice(from))
        this.at += 1
        return parts.join('')
      }
      if (code === newline) {
        parts.push(trimmedEnd(this.slice(from)), folded(this.#breaks()))
        from = this.at
      } else if (code === backslash) {
        parts.push(this.slice(from))
        this.at += 1
        parts.push(this.#escape())
        from = this.at
      } else this.at += 1
    }
  }

  #escape(): string {
    if (this.code() === newline) {
      const breaks = this.#breaks()
      return '\n'.repeat(breaks - 1)
    }
    const kind = this.char()
    this.at += 1
    const plain = Object.hasOwn(escapes, kind) ? escapes[kind] : undefined
    if (plain !== undefined) return plain
    const length = Object.hasOwn(hexLengths, kind) ? hexLengths[kind] : undefined
    if (length === undefined) throw this.fail('found unknown escape character')
    const from = this.at
    this.at += length
    const digits = this.slice(from)
    if (!/^[\da-fA-F]+$/.test(digits) || digits.length < length) throw this.fail('did not find expected hexadecimal number')
    const point = Number.parseInt(digits, 16)
    if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) throw this.fail('found invalid Unicode character escape code')
    return String.fromCodePoint(point)
  }

  /** `|` or `>`, below what is indented by `parent`; -1 for the document itself. */
  block(parent: number): string {
    const isFolded = this.char() === '>'
    this.at += 1
    const { chomp, increment } = this.#header()
    let indent = increment ? Math.max(parent, 0) + increment : 0
    const lines: string[] = []
    let isCut = false
    for (;;) {
      this.#indent(indent === 0 ? Number.POSITIVE_INFINITY : indent)
      if (this.code() === newline) {
        lines.push('')
        this.newline()
        continue
      }
      if (this.ended) break
      if (indent === 0) {
        indent = Math.max(this.column, parent + 1, 1)
        if (this.code() === tab && this.column < indent) throw this.fail('found a tab character where an indentation space is expected')
      }
      if (this.column < indent || this.atDocumentEnd) break
      const from = this.at
      this.toLineEnd()
      lines.push(this.slice(from))
      isCut = this.ended
      if (isCut) break
      this.newline()
    }
    // What follows is read from the start of its line.
    if (!isCut) this.at = this.#lineStart
    let trailing = 0
    for (; lines.at(-1) === ''; trailing += 1) lines.pop()
    const end = lines.length > 0 && !isCut ? '\n' : ''
    const content = isFolded ? foldedLines(lines) : lines.join('\n')
    if (chomp === '-') return content
    return chomp === '+' ? content + end + '\n'.repeat(trailing) : content + end
  }

  /** Over spaces, up to a column. */
  #indent(column: number): void {
    while (this.code() === space && this.column < column) this.at += 1
  }

  #header(): { chomp: string; increment: number } {
    let chomp = ''
    let increment = 0
    for (;;) {
      const char = this.char()
      if ((char === '+' || char === '-') && !chomp) chomp = char
      else if (char >= '1' && char <= '9' && !increment) increment = Number(char)
      else break
      this.at += 1
    }
    if (this.char() === '0') throw this.fail('found an indentation indicator equal to 0')
    this.blanks()
    if (this.code() === hash && this.#isAfterBlank()) this.toLineEnd()
    if (this.code() === newline) this.newline()
    else if (!this.ended) throw this.fail('did not find expected comment or line break')
    return { chomp, increment }
  }
}

const folded = (breaks: number): string => (breaks === 1 ? ' ' : '\n'.repeat(breaks - 1))

/** Spaces and tabs only; in as many steps as there are. */
function trimmedEnd(text: string): string {
  let end = text.length
  while (end > 0 && (text[end - 1] === ' ' || text[end - 1] === '\t')) end -= 1
  return text.slice(0, end)
}

/** One line end between lines that begin with text becomes a space. */
function foldedLines(lines: readonly string[]): string {
  const parts: string[] = []
  let empty = 0
  let before: string | undefined
  const isIndented = (line: string) => line.startsWith(' ') || line.startsWith('\t')
  for (const line of lines) {
    if (line === '') {
      empty += 1
      continue
    }
    if (before === undefined) parts.push('\n'.repeat(empty))
    else if (isIndented(before) || isIndented(line)) parts.push('\n'.repeat(empty + 1))
    else parts.push(empty ? '\n'.repeat(empty) : ' ')
    parts.push(line)
    before = line
    empty = 0
  }
  return parts.join('')
}
