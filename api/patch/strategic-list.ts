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
  const places = new Map<unknown, number[]>()
  const note = (item: unknown, at: number) => {
    if (!isObject(item)) return
    const known = places.get(item[key])
    if (known) known.push(at)
    else places.set(item[key], [at])
  }
  for (const [at, item] of result.entries()) note(item, at)
  for (const item of given) {
    const id = idOf(item, key)
    const found = places.get(id) ?? []
    if (item.$patch === 'delete') {
      for (const at of found) result[at] = gone
      places.delete(id)
      continue
    }
    const [at] = found
    if (at !== undefined) result[at] = merge(result[at] as JsonObject, item)
    else note(item, result.push(withoutDirectives(item)) - 1)
  }
  return result.filter((item) => item !== gone)
}

/** In the place of an item that was deleted. */
const gone = Symbol('gone')

function idOf(item: JsonObject, key: string): unknown {
  if (item[key] === undefined) throw bad(`map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`)
  return item[key]
}

/** A set: every value once, new ones last. */
export const mergeValues = (original: unknown[], patch: unknown[]): unknown[] => [...new Set([...original, ...patch])]

export function removeValues(list: unknown[], values: unknown[]): unknown[] {
  const removed = new Set(values)
  return list.filter((value) => !removed.has(value))
}

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
  let next = 0
  for (const item of known) {
    const at = place.get(id(item)) ?? -1
    for (; next < others.length && (place.get(id(others[next])) ?? Infinity) < at; next += 1) result.push(others[next])
    result.push(item)
  }
  return result.concat(others.slice(next))
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
