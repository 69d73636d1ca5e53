// How many values one object may have: so many that real ones pass (the largest definitions that people install have
// 64,000 values, and no map of more than some hundred members), so few that no step of a request takes long.

import { StatusError } from '../errors.ts'

/** Members and items of a whole object together. */
export const mostValues = 64 * 1024
/** Members of one map, items of one list that is a map or a set. */
export const mostMembers = 16 * 1024
/** Fields that have managers: an object with all of its managedFields can be sent back. */
export const mostFields = 20_000

/** Throws RequestEntityTooLarge, which says of which map it is. What `managedFields` hold follows from the rest. */
export function boundValues(object: object): void {
  const values = count(object, [])
  if (values > mostValues) throw tooLarge(`${values} values, limit is ${mostValues}`)
}

/** As boundValues; what was stored beyond the bounds may still be changed. */
export function boundUpdate(object: object, previous: object | undefined): void {
  try {
    boundValues(object)
  } catch (error) {
    if (!previous || isWithin(previous)) throw error
  }
}

function isWithin(object: object): boolean {
  try {
    boundValues(object)
    return true
  } catch {
    return false
  }
}

/** `path`: with or without its leading dot. */
export const tooWide = (path: string, members: number): StatusError =>
  tooLarge(`${path.replace(/^\./, '') || 'the object'} has ${members} members, limit is ${mostMembers}`)

export const tooLarge = (what: string): StatusError => new StatusError('RequestEntityTooLarge', `Request entity too large: ${what}`)

/** As many as its text has brackets and commas. */
function count(value: object, path: (string | number)[]): number {
  const isList = Array.isArray(value)
  let own = 0
  let within = 0
  for (const key in value) {
    own += 1
    const inner = (value as Record<string, unknown>)[key]
    if (typeof inner !== 'object' || inner === null || (key === 'managedFields' && path.length === 1)) continue
    path.push(isList ? Number(key) : key)
    within += count(inner, path)
    path.pop()
  }
  if (own > mostMembers && !isList) throw tooWide(path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${key}`)).join(''), own)
  return Math.max(own, 1) + within
}
