// JSONPath as kubectl and printer columns have it (client-go util/jsonpath), without templates around it:
// `.spec.image`, `.metadata.labels.app\.kubernetes\.io/name`, `.items[0,2]`, `.list[1:3]`, `.list[-1]`, `..name`,
// `.status.conditions[?(@.type=="Ready")].status`, `['a','b']`, `[*]`.

import { isObject } from '../decode.ts'

type Step = (values: readonly unknown[]) => unknown[]

export type JsonPath = {
  /** All that the path leads to; nothing where it leads nowhere. */
  find(root: unknown): unknown[]
}

/** Bounds what `..` and wildcards may gather. */
const most = 10_000

/** Throws SyntaxError. */
export function jsonPath(text: string): JsonPath {
  const source = text.startsWith('{') && text.endsWith('}') ? text.slice(1, -1) : text
  const parser = new Parser(source)
  const steps = parser.path()
  if (!parser.done) throw new SyntaxError(`unexpected ${JSON.stringify(source.slice(parser.at))} in path ${JSON.stringify(text)}`)
  return { find: (root) => run(steps, root) }
}

const run = (steps: readonly Step[], root: unknown): unknown[] =>
  steps.reduce<unknown[]>((values, step) => (values.length ? step(values).slice(0, most) : values), [root])

class Parser {
  readonly #text: string
  at = 0

  constructor(text: string) {
    this.#text = text
  }

  get done(): boolean {
    return this.at >= this.#text.length
  }

  /** Up to what cannot go on a path. */
  path(): Step[] {
    const steps: Step[] = []
    if (this.#text[this.at] === '$' || this.#text[this.at] === '@') this.at += 1
    for (;;) {
      if (this.#eat('..')) {
        steps.push(descend)
        if (this.#text[this.at] !== '[') steps.push(this.#named())
      } else if (this.#eat('.')) {
        // `.` alone is the whole, and `.[0]` is `[0]`.
        if (!this.done && this.#text[this.at] !== '[') steps.push(this.#named())
      } else if (this.#eat('[')) steps.push(this.#bracket())
      else return steps
    }
  }

  #named(): Step {
    if (this.#eat('*')) return wildcard
    const name = this.#take(/(?:\\.|[^\s.[\]()\\,=<>!'"?@|&])+/y)
    if (!name) throw this.#unexpected('a field name')
    return field(name.replace(/\\(.)/g, '$1'))
  }

  #bracket(): Step {
    if (this.#eat('?(')) {
      const step = this.#filter()
      this.#expect(')')
      this.#expect(']')
      return step
    }
    if (this.#eat('*')) {
      this.#expect(']')
      return wildcard
    }
    const parts: Step[] = []
    do parts.push(this.#part())
    while (this.#eat(','))
    this.#expect(']')
    return (values) => parts.flatMap((part) => part(values))
  }

  /** A name, an index or a slice. */
  #part(): Step {
    this.#space()
    const quoted = this.#quoted()
    if (quoted !== undefined) return field(quoted)
    const [from, to, step] = (this.#take(/-?\d*(?::-?\d*){0,2}/y) ?? '').split(':')
    this.#space()
    if (to === undefined) {
      if (!from) throw this.#unexpected('an index')
      const index = Number(from)
      return (values) => values.flatMap((value) => (Array.isArray(value) && value.at(index) !== undefined ? [value.at(index)] : []))
    }
    return slice(from ? Number(from) : undefined, to ? Number(to) : undefined, step ? Number(step) : 1)
  }

  #filter(): Step {
    const left = this.#operand()
    this.#space()
    const operator = this.#take(/==|!=|<=|>=|<|>/y)
    if (!operator) return filtered((item) => left(item).length > 0)
    const right = this.#operand()
    return filtered((item) => {
      const [a] = left(item)
      const [b] = right(item)
      return a !== undefined && b !== undefined && compare(a, operator, b)
    })
  }

  #operand(): (item: unknown) => unknown[] {
    this.#space()
    const quoted = this.#quoted()
    if (quoted !== undefined) return () => [quoted]
    const number = this.#take(/-?\d+(\.\d+)?/y)
    if (number) return () => [Number(number)]
    const word = this.#take(/true|false/y)
    if (word) return () => [word === 'true']
    const steps = this.path()
    this.#space()
    return (item) => run(steps, item)
  }

  #quoted(): string | undefined {
    const text = this.#take(/'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"/y)
    this.#space()
    return text?.slice(1, -1).replace(/\\(.)/g, '$1')
  }

  #space(): void {
    this.#take(/\s+/y)
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.#text)?.[0]
    this.at += found?.length ?? 0
    return found
  }

  #eat(text: string): boolean {
    if (!this.#text.startsWith(text, this.at)) return false
    this.at += text.length
    return true
  }

  #expect(text: string): void {
    this.#space()
    if (!this.#eat(text)) throw this.#unexpected(JSON.stringify(text))
  }

  #unexpected(wanted: string): SyntaxError {
    return new SyntaxError(`expected ${wanted} at ${this.at} in path ${JSON.stringify(this.#text)}`)
  }
}

const field =
  (name: string): Step =>
  (values) =>
    values.flatMap((value) => (isObject(value) && Object.hasOwn(value, name) ? [value[name]] : []))

const inside = (value: unknown): unknown[] => (Array.isArray(value) ? (value as unknown[]) : isObject(value) ? Object.values(value) : [])

const wildcard: Step = (values) => values.flatMap(inside)

const filtered =
  (test: (item: unknown) => boolean): Step =>
  (values) =>
    values.flatMap((value) => inside(value).filter(test))

function slice(from: number | undefined, to: number | undefined, step: number): Step {
  if (step < 1) throw new SyntaxError('the step of a slice must be at least 1')
  return (values) => values.flatMap((value) => (Array.isArray(value) ? value.slice(from, to).filter((_, i) => i % step === 0) : []))
}

/** Each value and all within it. */
const descend: Step = (values) => {
  const found: unknown[] = []
  const visit = (value: unknown): void => {
    if (found.length >= most) return
    found.push(value)
    for (const inner of inside(value)) visit(inner)
  }
  for (const value of values) visit(value)
  return found
}

function compare(a: unknown, operator: string, b: unknown): boolean {
  if (operator === '==') return a === b
  if (operator === '!=') return a !== b
  if (typeof a !== typeof b || (typeof a !== 'number' && typeof a !== 'string')) return false
  const [left, right] = [a as number, b as number]
  if (operator === '<') return left < right
  if (operator === '>') return left > right
  return operator === '<=' ? left <= right : left >= right
}
