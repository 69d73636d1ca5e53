// JSON with all of a whole number's digits. What is beyond 2^53 and fits into 64 bits is a bigint, all other
// numbers are numbers: one value has one form, so that `===` tells whether two are the same.
// As in Go, larger ones are floating-point numbers.

// JSON.stringify writes a bigint as the number that it is, where it would refuse one: the language leaves this name to programs.
Reflect.defineProperty(BigInt.prototype, 'toJSON', {
  value(this: bigint): unknown {
    return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(String(this))
  },
  configurable: true,
  writable: true,
})

/** What may be such a number; most texts have none, and are parsed as fast as ever. */
const long = /[:[,\s]-?\d{16}/
const whole = /^-?\d+$/

/** Whole numbers that are written as fractions or with an exponent (`1.0`, `1e3`), as they are written: by what holds them, and their key. */
export type Floats = Map<object, Map<string, string>>

/** The end of what may be such a number: text ends with quotes. Looked for in every body that is created, so that it is quick. */
const fraction = /\d[.eE][-+]?\d+(?:[eE][-+]?\d+)?\s*[,}\]]/

/** As parseExact, and notes which whole numbers Go would read into no integer; undefined: there are none. */
export function parseNotingFloats(text: string): { value: unknown; floats?: Floats } {
  if (!fraction.test(text)) return { value: parseExact(text) }
  const floats: Floats = new Map()
  const value: unknown = JSON.parse(text, function note(this: object, key: string, item: unknown, context?: { source?: string }) {
    if (Number.isInteger(item) && !whole.test(context?.source ?? '')) {
      const known = floats.get(this)
      if (known) known.set(key, context?.source ?? '')
      else floats.set(this, new Map([[key, context?.source ?? '']]))
    }
    return exact.call(this, key, item, context)
  })
  return { value, floats }
}

/** Such a number in a patch, until it stands where it is to stand: `settle` tells there how it was written. */
export class Written {
  readonly #value: unknown
  readonly text: string

  constructor(value: unknown, text: string) {
    this.#value = value
    this.text = text
  }

  toJSON(): unknown {
    return this.#value
  }
}

/** As parseExact, with a Written for each such number. */
export function parseWritten(text: string): unknown {
  const { value, floats } = parseNotingFloats(text)
  for (const [holder, members] of floats ?? []) {
    for (const [key, source] of members) Reflect.set(holder, key, new Written(Reflect.get(holder, key), source))
  }
  return value
}

/** `value` with the numbers themselves in their places, which are noted in `floats`; what has none is shared. */
export function settle<T>(value: T, floats: Floats): T {
  if (typeof value !== 'object' || value === null) return value
  let copy: object | undefined
  for (const key in value) {
    const inner: unknown = value[key]
    if (typeof inner !== 'object' || inner === null) continue
    const settled = inner instanceof Written ? inner.toJSON() : settle(inner, floats)
    if (settled === inner) continue
    copy ??= Array.isArray(value) ? [...(value as unknown[])] : { ...value }
    Reflect.defineProperty(copy, key, { value: settled, enumerable: true, configurable: true, writable: true })
    if (!(inner instanceof Written)) continue
    const known = floats.get(copy)
    if (known) known.set(key, inner.text)
    else floats.set(copy, new Map([[key, inner.text]]))
  }
  return (copy ?? value) as T
}

/** As JSON.parse. */
export function parseExact(text: string): unknown {
  return long.test(text) ? (JSON.parse(text, exact) as unknown) : (JSON.parse(text) as unknown)
}

function exact(this: unknown, _key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
  const source = context?.source ?? ''
  return whole.test(source) ? (integer(BigInt(source)) ?? value) : value
}

/** Undefined beyond 64 bits. */
function integer(value: bigint): number | bigint | undefined {
  return BigInt.asIntN(64, value) === value ? plainInteger(value) : undefined
}

/** A whole number in the one form that it has. */
export const plainInteger = (value: bigint): number | bigint =>
  value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value

/** To reckon with: what the types call a number may have more digits than one. */
export const rounded = (value: number | bigint): number => Number(value)
