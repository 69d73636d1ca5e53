// One place in a file of configuration: what is there, of the type that is wanted, or a fault that names it.

import type { Faults } from '#api/kinds/rules/faults.ts'
import { isObject } from '#api/schema/decode.ts'

export class Field {
  readonly path: string
  readonly value: unknown
  readonly faults: Faults

  constructor(path: string, value: unknown, faults: Faults) {
    this.path = path
    this.value = value
    this.faults = faults
  }

  get isAbsent(): boolean {
    return this.value === undefined || this.value === null
  }

  /** A member of an object; absent where there is no object. */
  at(name: string): Field {
    const value = isObject(this.value) && Object.hasOwn(this.value, name) ? this.value[name] : undefined
    return new Field(this.path ? `${this.path}.${name}` : name, value, this.faults)
  }

  /** An object with no other members than these. */
  members(known: readonly string[]): this {
    if (this.isAbsent) return this
    if (!isObject(this.value)) this.faults.mistyped(this.path, this.value, 'must be an object')
    else for (const name of Object.keys(this.value)) if (!known.includes(name)) this.faults.forbidden(this.at(name).path, 'unknown field')
    return this
  }

  /** The same object without these members. */
  without(names: readonly string[]): Field {
    if (!isObject(this.value)) return this
    const rest = Object.fromEntries(Object.entries(this.value).filter(([name]) => !names.includes(name)))
    return new Field(this.path, rest, this.faults)
  }

  items(): Field[] {
    if (this.isAbsent) return []
    if (Array.isArray(this.value)) return this.value.map((each, i) => new Field(`${this.path}[${i}]`, each, this.faults))
    this.faults.mistyped(this.path, this.value, 'must be a list')
    return []
  }

  text(): string | undefined {
    if (this.isAbsent) return undefined
    if (typeof this.value === 'string') return this.value
    this.faults.mistyped(this.path, this.value, 'must be a string')
    return undefined
  }

  needed(): string {
    const text = this.text()
    if (this.isAbsent || text === '') this.faults.required(this.path)
    return text ?? ''
  }

  oneOf<T extends string>(known: readonly T[]): T | undefined {
    const text = this.text()
    if (text === undefined || text === '') return undefined
    this.faults.oneOf(this.path, text, known)
    return text as T
  }

  flag(): boolean | undefined {
    if (this.isAbsent) return undefined
    if (typeof this.value === 'boolean') return this.value
    this.faults.mistyped(this.path, this.value, 'must be true or false')
    return undefined
  }

  /** A whole number from `least` to `most`. */
  whole(least: number, most: number): number | undefined {
    if (this.isAbsent) return undefined
    const { value } = this
    if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value
    const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`
    this.faults.invalid(this.path, value, `must be a whole number ${range}`)
    return undefined
  }
}

export const anyWhole = Number.MAX_SAFE_INTEGER
