// JSON values as YAML that reads back as what they are, with this reader and with any of YAML 1.1 or 1.2.

import { resolve } from './scalar.ts'

/** Text that needs no quotes in any place, if it is not taken for another type. */
const plain = /^[A-Za-z_/.][\w./+-]*( [\w./+-]+)*$/

/** In block style, keys in their order. */
export function stringifyYaml(value: unknown): string {
  const parts: string[] = []
  write(value, '', '', parts)
  return parts.join('')
}

/** `lead`: what stands before the value on its line. */
function write(value: unknown, indent: string, lead: string, parts: string[]): void {
  if (typeof value !== 'object' || value === null) parts.push(`${scalar(value)}\n`)
  else if (Array.isArray(value)) writeList(value, indent, lead, parts)
  else writeMapping(value as Record<string, unknown>, indent, lead, parts)
}

function writeList(items: readonly unknown[], indent: string, lead: string, parts: string[]): void {
  if (items.length === 0) return void parts.push('[]\n')
  if (lead === ':') parts.push('\n')
  for (const [i, item] of items.entries()) {
    parts.push(i === 0 && lead === '-' ? '- ' : `${indent}- `)
    write(item, `${indent}  `, '-', parts)
  }
}

function writeMapping(object: Record<string, unknown>, indent: string, lead: string, parts: string[]): void {
  const keys = Object.keys(object).filter((key) => object[key] !== undefined)
  if (keys.length === 0) return void parts.push('{}\n')
  if (lead === ':') parts.push('\n')
  for (const [i, key] of keys.entries()) {
    const value = object[key]
    const isEmpty = typeof value !== 'object' || value === null || Object.keys(value).length === 0
    parts.push(`${i === 0 && lead === '-' ? '' : indent}${scalar(key)}:${isEmpty ? ' ' : ''}`)
    write(value, Array.isArray(value) ? indent : `${indent}  `, ':', parts)
  }
}

function scalar(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value ?? null)
  return plain.test(value) && resolve(value).tag === 'str' ? value : quoted(value)
}

/** As JSON, whose escapes YAML knows, but for halves of a pair and what YAML takes for the end of a line. */
const quoted = (value: string): string =>
  JSON.stringify(value.toWellFormed()).replace(
    /[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
