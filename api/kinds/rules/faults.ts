// Collects what is wrong with an object, field by field, in Kubernetes' wording
// (apimachinery util/validation/field), so that tools which read those messages keep working.

import type { CauseReason, FieldError } from '../../errors.ts'
import { specialAddress } from '../../special-address.ts'
import { isIP } from './names.ts'

/** In characters: a value that is wrong in a hundred thousand places need not be told of all of them. */
const mostText = 512 * 1024

export class Faults {
  readonly list: FieldError[] = []
  #text = 0

  keep(which: (fault: FieldError) => boolean): void {
    this.list.splice(0, this.list.length, ...this.list.filter(which))
  }

  required(field: string, detail = ''): void {
    this.#add(field, 'FieldValueRequired', 'Required value', detail)
  }

  invalid(field: string, value: unknown, detail: string): void {
    if (this.isFull) return
    this.#add(field, 'FieldValueInvalid', `Invalid value: ${spell(value)}`, detail)
  }

  /** `value` is of another type than `detail` wants. */
  mistyped(field: string, value: unknown, detail: string): void {
    if (this.isFull) return
    this.#add(field, 'FieldValueTypeInvalid', `Invalid value: ${spell(value)}`, detail)
  }

  /** Wrong as a whole, where no one value is to blame. */
  wrong(field: string, detail: string): void {
    this.#add(field, 'FieldValueInvalid', 'Invalid value', detail)
  }

  notSupported(field: string, value: unknown, supported: readonly string[]): void {
    if (this.isFull) return
    const list = supported.map((s) => JSON.stringify(s)).join(', ')
    this.#add(field, 'FieldValueNotSupported', `Unsupported value: ${spell(value)}`, `supported values: ${list}`)
  }

  notFound(field: string, value: unknown, detail = ''): void {
    if (this.isFull) return
    this.#add(field, 'FieldValueNotFound', `Not found: ${spell(value)}`, detail)
  }

  duplicate(field: string, value: unknown, detail = ''): void {
    if (this.isFull) return
    this.#add(field, 'FieldValueDuplicate', `Duplicate value: ${spell(value)}`, detail)
  }

  forbidden(field: string, detail: string): void {
    this.#add(field, 'FieldValueForbidden', 'Forbidden', detail)
  }

  tooLong(field: string, bytes: number): void {
    this.#add(field, 'FieldValueTooLong', 'Too long', `may not be more than ${bytes} bytes`)
  }

  tooMany(field: string, actual: number, most: number): void {
    this.#add(field, 'FieldValueTooMany', `Too many: ${actual}`, `must have at most ${most} items`)
  }

  /** An address that others are sent to: none that means another machine on each of them. */
  address(field: string, value: string): void {
    const special = specialAddress(value)
    this.each(field, value, special === undefined ? isIP(value) : [special])
  }

  /** Each of `messages` as an invalid value. */
  each(field: string, value: unknown, messages: readonly string[]): void {
    for (const message of messages) this.invalid(field, value, message)
  }

  oneOf(field: string, value: unknown, supported: readonly string[]): void {
    if (!supported.includes(value as string)) this.notSupported(field, value, supported)
  }

  notNegative(field: string, value: number | undefined): void {
    if (value !== undefined && value < 0) this.invalid(field, value, 'must be greater than or equal to 0')
  }

  positive(field: string, value: number | undefined): void {
    if (value !== undefined && value < 1) this.invalid(field, value, 'must be greater than 0')
  }

  port(field: string, value: number): void {
    if (!Number.isInteger(value) || value < 1 || value > 65535) this.invalid(field, value, 'must be between 1 and 65535, inclusive')
  }

  immutable(field: string, next: unknown, previous: unknown): void {
    if (!same(next, previous)) this.invalid(field, next, 'field is immutable')
  }

  /** Then nothing more is noted: no value, which may be as long as the object, is spelled for it, and nobody need look on. */
  get isFull(): boolean {
    return this.#text > mostText
  }

  #add(field: string, reason: CauseReason, text: string, detail: string): void {
    if (this.isFull) return
    const message = detail ? `${text}: ${detail}` : text
    this.#text += field.length + message.length
    this.list.push({ field, reason, message })
  }
}

/** Structural equality of JSON values; absent and undefined are the same, the order of keys does not matter. */
export function same(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, i) => same(item, b[i]))
  }
  const left = a as Record<string, unknown>
  const right = b as Record<string, unknown>
  // Own keys only: `constructor` is a key like any other.
  for (const key in left) if (!same(left[key], Object.hasOwn(right, key) ? right[key] : undefined)) return false
  for (const key in right) if (right[key] !== undefined && !Object.hasOwn(left, key)) return false
  return true
}

/** Tells of one value after the other whether it came before. */
export function repeats(): (value: string | number) => boolean {
  const seen = new Set<string | number>()
  return (value) => seen.size === seen.add(value).size
}

const spell = (value: unknown): string =>
  typeof value === 'number' || typeof value === 'boolean' ? String(value) : (JSON.stringify(value) ?? 'null')
