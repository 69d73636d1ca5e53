// A value of the wrong type, told in the words of Go's JSON decoder, which is what users of kubectl know.

import type { Floats } from './exact.ts'

/** The decoder makes it a BadRequest that names the kind. */
export class Mismatch extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'Mismatch'
  }
}

/** Where decoding is: pushed and popped on the way, spelled only for an error. */
export class Place {
  /** Fields and keys, and the numbers of items. */
  readonly #steps: (string | number)[] = []
  /** Names of struct fields only: what Go's errors show. */
  readonly #fields: string[] = []
  /** Local Go name of the innermost struct. */
  struct = ''
  readonly unknown: string[] = []
  /** What holds the value that was entered last. */
  #holder: object = this
  readonly #floats: Floats | undefined

  constructor(floats?: Floats) {
    this.#floats = floats
  }

  enterField(name: string, holder: object): void {
    this.#holder = holder
    this.#steps.push(name)
    this.#fields.push(name)
  }

  leaveField(): void {
    this.#steps.pop()
    this.#fields.pop()
  }

  enterItem(index: number, holder: object): void {
    this.#holder = holder
    this.#steps.push(index)
  }

  enterKey(key: string, holder: object): void {
    this.#holder = holder
    this.#steps.push(key)
  }

  leave(): void {
    this.#steps.pop()
  }

  /** A scalar that was just entered, as it is written, if no integer is read of that. */
  floatHere(): string | undefined {
    return this.#floats?.get(this.#holder)?.get(String(this.#steps.at(-1)))
  }

  noteUnknown(name: string): void {
    if (this.unknown.length >= 100) return
    const steps = [...this.#steps, name].map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`))
    this.unknown.push(steps.join('').slice(1))
  }

  /** `go` is the type that was wanted. */
  mismatch(value: unknown, go: string): Mismatch {
    const field = this.#fields.length ? `struct field ${this.struct}.${this.#fields.join('.')}` : 'value'
    return new Mismatch(`json: cannot unmarshal ${describe(value)} into Go ${field} of type ${go}`)
  }
}

/** As Go describes a JSON value. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return 'null'
  if (Array.isArray(value)) return 'array'
  return typeof value === 'boolean' ? 'bool' : typeof value
}
