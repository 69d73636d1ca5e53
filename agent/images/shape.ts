// What JSON and YAML from outside must look like. A shape takes a value and says where it stands, and
// gives the value back with only the fields it knows, or throws Malformed with the place that is wrong.
//
// Not a library: the one for the purpose costs each agent six megabytes, for five small schemas.

import { Malformed } from './malformed.ts'

export type Shape<T> = (value: unknown, at: string) => T
export type Shaped<S> = S extends Shape<infer T> ? T : never

type Fields = Record<string, Shape<unknown>>
type OptionalKey<F extends Fields> = { [K in keyof F]: undefined extends Shaped<F[K]> ? K : never }[keyof F]
type Shapely<F extends Fields> = { [K in OptionalKey<F>]?: Shaped<F[K]> } & { [K in Exclude<keyof F, OptionalKey<F>>]: Shaped<F[K]> }

export const text: Shape<string> = (value, at) => (typeof value === 'string' ? value : wrong(at, 'a string'))
export const flag: Shape<boolean> = (value, at) => (typeof value === 'boolean' ? value : wrong(at, 'true or false'))
export const number: Shape<number> = (value, at) => (typeof value === 'number' && Number.isFinite(value) ? value : wrong(at, 'a number'))
/** A whole number from 0. */
export const count: Shape<number> = (value, at) =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : wrong(at, 'a whole number, not negative')

export const matching =
  (pattern: RegExp): Shape<string> =>
  (value, at) =>
    typeof value === 'string' && pattern.test(value) ? value : wrong(at, `a string like ${pattern.source}`)

export const list =
  <T>(of: Shape<T>, most = Number.POSITIVE_INFINITY): Shape<T[]> =>
  (value, at) => {
    if (!Array.isArray(value)) return wrong(at, 'a list')
    if (value.length > most) return wrong(at, `a list of at most ${most}`)
    return value.map((item, i) => of(item, `${at}[${i}]`))
  }

/** Any keys, values of one shape. */
export const record =
  <T>(of: Shape<T>): Shape<Record<string, T>> =>
  (value, at) =>
    Object.fromEntries(Object.entries(fieldsOf(value, at)).map(([key, item]) => [key, of(item, `${at}.${key}`)]))

/** Null counts as absent, as in Go, where most of what we read is written. */
export const optional =
  <T>(of: Shape<T>): Shape<T | undefined> =>
  (value, at) =>
    value === undefined || value === null ? undefined : of(value, at)

export const or =
  <T>(of: Shape<T>, otherwise: NoInfer<T>): Shape<T> =>
  (value, at) =>
    value === undefined || value === null ? otherwise : of(value, at)

/** Fields that the shape does not name are dropped. */
export const object =
  <F extends Fields>(fields: F): Shape<Shapely<F>> =>
  (value, at) => {
    const given = fieldsOf(value, at)
    const found: Record<string, unknown> = {}
    for (const [key, shape] of Object.entries(fields)) {
      const item = shape(Object.hasOwn(given, key) ? given[key] : undefined, `${at}.${key}`)
      if (item !== undefined) found[key] = item
    }
    return found as Shapely<F>
  }

/** Fields that the shape does not name are refused: they would be typing errors. */
export const strictObject = <F extends Fields>(fields: F): Shape<Shapely<F>> => {
  const shape = object(fields)
  return (value, at) => {
    const unknown = Object.keys(fieldsOf(value, at)).find((key) => !Object.hasOwn(fields, key))
    if (unknown !== undefined)
      throw new Malformed(`${at} has a field ${JSON.stringify(unknown)}, which is none of ${Object.keys(fields).join(', ')}`)
    return shape(value, at)
  }
}

function fieldsOf(value: unknown, at: string): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : wrong(at, 'an object')
}

function wrong(at: string, expected: string): never {
  throw new Malformed(`${at} must be ${expected}`)
}
