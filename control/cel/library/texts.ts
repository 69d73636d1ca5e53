// Strings and regular expressions. Patterns are matched by an engine that takes linear time; only `find`
// and `findAll`, which need positions, use the platform's own after that engine has said that there is a match.

import type { Environment } from '@marcbachmann/cel-js'
import type { Pattern, Patterns } from '#api/schema/crd/pattern.ts'

const mostSplit = 100_000

export const texts =
  ({ patterns }: { patterns: Patterns }) =>
  (environment: Environment): void => {
    const compiled = (source: string): Pattern => {
      const pattern = patterns.of(source)
      if (typeof pattern === 'string') throw new Error(pattern)
      return pattern
    }
    const test = (text: string, source: string) => compiled(source).test(text)
    const find = (text: string, source: string) => (test(text, source) ? (new RegExp(source, 'u').exec(text)?.[0] ?? '') : '')
    const findAll = (text: string, source: string) => (test(text, source) ? (text.match(new RegExp(source, 'gu')) ?? []) : [])
    environment
      .registerFunction('string.matchesPattern(string): bool', test)
      .registerFunction('matchesPattern(string, string): bool', test)
      .registerFunction('string.find(string): string', find)
      .registerFunction('string.findAll(string): list<string>', findAll)
      .registerFunction('string.findAll(string, int): list<string>', (text: string, source: string, most: bigint) =>
        most < 0n ? findAll(text, source) : findAll(text, source).slice(0, Number(most)),
      )
      .registerFunction('string.charAt(int): string', (text: string, at: bigint) => {
        if (at < 0n || at > text.length) throw new Error(`index out of range: ${at}`)
        return text.charAt(Number(at))
      })
      .registerFunction('string.replace(string, string): string', (text: string, from: string, to: string) =>
        text.replaceAll(from, () => to),
      )
      .registerFunction('string.replace(string, string, int): string', (text: string, from: string, to: string, most: bigint) =>
        most < 0n ? text.replaceAll(from, () => to) : replaced(text, from, to, Number(most)),
      )
      .registerFunction('string.reverse(): string', (text: string) => Array.from(text).reverse().join(''))
      .registerFunction('string.formatText(list): string', formatted)
      .registerFunction('string.splitText(string): list<string>', (text: string, by: string) => split(text, by))
      .registerFunction('string.splitText(string, int): list<string>', (text: string, by: string, most: bigint) => {
        if (most === 0n) return []
        const parts = split(text, by)
        return most < 0n || parts.length <= most ? parts : [...parts.slice(0, Number(most) - 1), parts.slice(Number(most) - 1).join(by)]
      })
  }

function split(text: string, by: string): string[] {
  if (by === '' && text.length > mostSplit) throw new Error('the string is too long to split')
  return by === '' ? Array.from(text) : text.split(by)
}

function replaced(text: string, from: string, to: string, most: number): string {
  let result = text
  let at = 0
  for (let i = 0; i < most; i++) {
    const found = result.indexOf(from, at)
    if (found < 0 || (from === '' && found >= result.length)) break
    result = result.slice(0, found) + to + result.slice(found + from.length)
    at = found + to.length + (from === '' ? 1 : 0)
  }
  return result
}

/** `%s %d %f %e %x %X %o %b %%`, with a precision for `%f` and `%e`. */
function formatted(format: string, values: readonly unknown[]): string {
  let next = 0
  return format.replace(/%(?:\.(\d{1,3}))?([a-zA-Z%])/g, (_, precision: string | undefined, verb: string) => {
    if (verb === '%') return '%'
    if (next >= values.length) throw new Error(`format: no argument for %${verb}`)
    return one(verb, values[next++], precision === undefined ? 6 : Number(precision))
  })
}

function one(verb: string, value: unknown, precision: number): string {
  switch (verb) {
    case 's':
      return shown(value)
    case 'd':
      if (typeof value !== 'bigint' && typeof value !== 'number') throw new Error('format: %d takes a number')
      return String(value)
    case 'f':
      return Number(value).toFixed(precision)
    case 'e':
      return Number(value).toExponential(precision)
    case 'x':
    case 'X': {
      const text =
        typeof value === 'string'
          ? Buffer.from(value).toString('hex')
          : value instanceof Uint8Array
            ? Buffer.from(value).toString('hex')
            : whole(value, 16)
      return verb === 'X' ? text.toUpperCase() : text
    }
    case 'o':
      return whole(value, 8)
    case 'b':
      return typeof value === 'boolean' ? String(Number(value)) : whole(value, 2)
    default:
      throw new Error(`format: unknown clause %${verb}`)
  }
}

function whole(value: unknown, radix: number): string {
  if (typeof value !== 'bigint') throw new Error('format: this clause takes an integer')
  return value.toString(radix)
}

export function shown(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return value
    case 'bigint':
    case 'number':
    case 'boolean':
      return String(value)
    case 'object':
      return value === null ? 'null' : shownObject(value)
    default:
      return 'null'
  }
}

function shownObject(value: object): string {
  if (value instanceof Date) return value.toISOString().replace('.000Z', 'Z')
  if (value instanceof Uint8Array) return Buffer.from(value).toString()
  if (Array.isArray(value)) return `[${value.map(shown).join(', ')}]`
  const { toString } = value as { toString?: () => string }
  if (toString && toString !== Object.prototype.toString && !(value instanceof Map)) return toString.call(value)
  const entries = value instanceof Map ? [...(value as Map<string, unknown>)] : Object.entries(value)
  const present = entries.filter(([, inner]) => inner !== undefined)
  return `{${present.map(([key, inner]) => `${key}: ${shown(inner)}`).join(', ')}}`
}
