// Equality and order of CEL values as the worker holds them: bigint for int, number for double, Date for
// timestamp, instances of classes for objects.

const comparable = (value: unknown): bigint | number | string | boolean => {
  if (typeof value === 'bigint' || typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean') return value
  const plain: unknown = typeof value === 'object' && value !== null ? value.valueOf() : undefined
  if (typeof plain === 'number' || typeof plain === 'bigint') return plain
  throw new Error('values of this type have no order')
}

export const less = (a: unknown, b: unknown): boolean => comparable(a) < comparable(b)

export function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) {
    // An int and a double that are the same number are equal.
    return isNumber(a) && isNumber(b) && Number(a) === Number(b)
  }
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((each, i) => equal(each, b[i]))
  if (a instanceof Date || 'nanos' in a) return less(a, b) === less(b, a)
  const keys = Object.keys(a).filter((key) => (a as Record<string, unknown>)[key] !== undefined)
  const others = Object.keys(b).filter((key) => (b as Record<string, unknown>)[key] !== undefined)
  return (
    keys.length === others.length &&
    keys.every((key) => Object.hasOwn(b, key) && equal((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]))
  )
}

const isNumber = (value: unknown): boolean => typeof value === 'bigint' || typeof value === 'number'
