// The directives inside a strategic merge patch.

import { StatusError } from '../errors.ts'
import { isObject, type JsonObject, put } from '../schema/decode.ts'

export const setOrder = '$setElementOrder/'
export const deleteFrom = '$deleteFromPrimitiveList/'

export const isDirective = (key: string): boolean =>
  key === '$patch' || key === '$retainKeys' || key.startsWith(setOrder) || key.startsWith(deleteFrom)

/** What a patch says about something that was not there: its plain values, without nulls. */
export function withoutDirectives(value: unknown): unknown {
  if (Array.isArray(value)) {
    const items = value.filter((item) => !isObject(item) || item.$patch === undefined || item.$patch === 'merge')
    return items.map(withoutDirectives)
  }
  if (!isObject(value)) return value
  const result: JsonObject = {}
  for (const key of Object.keys(value)) if (!isDirective(key) && value[key] !== null) put(result, key, withoutDirectives(value[key]))
  return result
}

export const bad = (message: string): StatusError => new StatusError('BadRequest', message)
