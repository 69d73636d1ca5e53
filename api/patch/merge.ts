// JSON merge patch (RFC 7386): null deletes, objects merge, everything else replaces.

import { isObject, type JsonObject, put } from '../schema/decode.ts'
import { Written } from '../schema/exact.ts'

/** A new object that shares with `original` what the patch leaves alone. */
export function mergePatch(original: JsonObject, patch: JsonObject): JsonObject {
  const result = { ...original }
  for (const key of Object.keys(patch)) {
    const value = patch[key]
    if (value === null) delete result[key]
    else if (isObject(value) && !(value instanceof Written)) put(result, key, mergePatch(own(result, key), value))
    else put(result, key, value)
  }
  return result
}

function own(object: JsonObject, key: string): JsonObject {
  const value = Object.hasOwn(object, key) ? object[key] : undefined
  return isObject(value) ? value : {}
}
