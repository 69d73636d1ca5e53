// The lists of a strategic merge patch: items found by their merge key, values as sets, and their order.

import { isObject, type JsonObject } from '../schema/decode.ts'
import { bad, withoutDirectives } from './directive.ts'

type Merge = (item: JsonObject, patch: JsonObject) => JsonObject

/** Items keep their places; new ones come last. */
export function mergeItems(original: unknown[], patch: unknown[], key: string, merge: Merge): unknown[] {
  const given = patch.map((item) => {
    if (!isObject(item)) throw bad('invalid patch format: a list of objects holds something else')
    return item
  })
  if (given.some((item) => item.$patch === 'replace')) return withoutDirectives(given) as unknown[]
  const result = [...original]
  for (const item of given) {
    const id = idOf(item, key)
    if (item.$patch === 'delete') {
      for (let at = find(result, key, id); at >= 0; at = find(result, key, id)) result.splice(at, 1)
      continue
    }
    const at = find(result, key, id)
    const found = result[at]
    if (isObject(found)) result[at] = merge(found, item)
    else result.push(withoutDirectives(item))
  }
  return result
}

function idOf(item: JsonObject, key: string): unknown {
  if (item[key] === undefined) throw bad(`map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`)
  return item[key]
}

const find = (list: unknown[], key: string, id: unknown): number => list.findIndex((item) => isObject(item) && item[key] === id)

/** A set: every value once, new ones last. */
export const mergeValues = (original: unknown[], patch: unknown[]): unknown[] => [...new Set([...original, ...patch])]

export const removeValues = (list: unknown[], values: unknown[]): unknown[] => list.filter((value) => !values.includes(value))

type Ordering = {
  list: unknown[]
  /** Of `$setElementOrder`: values, or objects that hold the merge key. */
  wanted: unknown[]
  /** The list before the patch: orders the items that the patch's author does not know. */
  before: unknown[]
  given: unknown[]
  key?: string
}

/** Items that `wanted` names come in its order; the others stay as near as may be to where they were. */
export function order({ list, wanted, before, given, key }: Ordering): unknown[] {
  const id = (item: unknown) => (key && isObject(item) ? item[key] : item)
  const rank = new Map(wanted.map((item, index) => [id(item), index]))
  const place = new Map(before.map((item, index) => [id(item), index]))
  checkGiven(
    given.filter((item) => !isObject(item) || item.$patch === undefined).map((item) => rank.get(id(item))),
    given,
    wanted,
  )
  const by = (ranks: Map<unknown, number>) => (a: unknown, b: unknown) =>
    (ranks.get(id(a)) ?? Infinity) - (ranks.get(id(b)) ?? Infinity) || 0
  const known = list.filter((item) => rank.has(id(item))).sort(by(rank))
  const others = list.filter((item) => !rank.has(id(item))).sort(by(place))
  const result: unknown[] = []
  for (const item of known) {
    const at = place.get(id(item)) ?? -1
    while (others.length && (place.get(id(others[0])) ?? Infinity) < at) result.push(others.shift())
    result.push(item)
  }
  return [...result, ...others]
}

function checkGiven(ranks: (number | undefined)[], given: unknown[], wanted: unknown[]): void {
  let last = -1
  for (const rank of ranks) {
    if (rank === undefined || rank < last) {
      throw bad(`The order in patch list:\n${JSON.stringify(given)}\n doesn't match $setElementOrder list:\n${JSON.stringify(wanted)}\n`)
    }
    last = rank
  }
}
