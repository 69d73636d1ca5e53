// Strategic merge patch: JSON merge patch that knows the schema. Lists with a merge key merge item by
// item, and directives in the patch say the rest:
//   $patch: replace | delete | merge            on an object or a list item
//   $retainKeys: [names]                        drops the other keys of the object (unions)
//   $deleteFromPrimitiveList/<list>: [values]   removes values
//   $setElementOrder/<list>: [items]            orders the merged list; without it, what the patch holds comes
//                                               first, as far as the places of known items allow
// https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
//
// Fields that the schema does not know merge as plain JSON; decoding the result prunes or refuses them.

import { isObject, type JsonObject, put } from '../schema/decode.ts'
import type { PatchStrategy, Schema, Struct } from '../schema/schema.ts'
import { bad, deleteFrom, isDirective, setOrder, withoutDirectives } from './directive.ts'
import { mergeItems, mergeValues, order, removeValues } from './strategic-list.ts'

/** A new object that shares with `original` what the patch leaves alone. Throws BadRequest for a patch that makes no sense. */
export function strategicMergePatch(schema: Struct, original: JsonObject, patch: JsonObject): JsonObject {
  return mergeObjects(schema, original, patch)
}

/** `schema`: undefined inside of what no schema describes. */
function mergeObjects(schema: Schema | undefined, original: JsonObject, patch: JsonObject): JsonObject {
  switch (patch.$patch) {
    case undefined:
    case 'merge':
      break
    case 'replace':
      return withoutDirectives(patch) as JsonObject
    case 'delete':
      return {}
    default:
      throw bad(`Unknown patch type found: ${String(patch.$patch)}`)
  }
  const result = { ...retained(original, patch) }
  const keys = Object.keys(patch)
  for (const key of keys) {
    if (isDirective(key)) continue
    const value = patch[key]
    if (value === null) delete result[key]
    else
      put(
        result,
        key,
        // Of lists only: a name that was never asked for takes long to make.
        merged(childOf(schema, key), own(result, key), value, Array.isArray(value) && setOrder + key in patch),
      )
  }
  for (const key of keys) if (key.startsWith(deleteFrom)) deleteValues(result, key.slice(deleteFrom.length), patch[key])
  for (const key of keys) if (key.startsWith(setOrder)) orderList(schema, original, patch, result, key.slice(setOrder.length))
  return result
}

const own = (object: JsonObject, key: string): unknown => (Object.hasOwn(object, key) ? object[key] : undefined)

type Child = { schema?: Schema; patch?: PatchStrategy }

function childOf(schema: Schema | undefined, key: string): Child {
  if (schema?.kind === 'struct') return schema.fields.get(key) ?? {}
  if (schema?.kind === 'either') return schema.struct.fields.get(key) ?? {}
  return schema?.kind === 'dict' ? { schema: schema.values } : {}
}

/** `ordered`: the patch itself says in which order a list shall be. Else its items come before those that it does not know. */
function merged(child: Child, original: unknown, patch: unknown, ordered: boolean): unknown {
  if (isObject(patch) && isObject(original) && !child.patch?.replace) return mergeObjects(child.schema, original, patch)
  if (!Array.isArray(patch) || !Array.isArray(original) || !child.patch?.merge) return withoutDirectives(patch)
  const items = child.schema?.kind === 'list' ? child.schema.items : undefined
  const { key } = child.patch
  const list = key ? mergeItems(original, patch, key, (item, change) => mergeObjects(items, item, change)) : mergeValues(original, patch)
  const wanted = patch.filter((item) => !isObject(item) || item.$patch === undefined)
  return ordered ? list : order({ list, wanted, before: original, given: [], ...(key && { key }) })
}

/** `$retainKeys` lists all that may stay; the patch may set nothing beyond it. */
function retained(original: JsonObject, patch: JsonObject): JsonObject {
  const keep = patch.$retainKeys
  if (keep === undefined) return original
  if (!Array.isArray(keep)) throw bad('invalid patch format of retainKeys')
  const set = new Set<unknown>(keep)
  const stray = Object.keys(patch).some((key) => !isDirective(key) && patch[key] !== null && !set.has(key))
  if (stray) throw bad('invalid patch format of retainKeys')
  return Object.fromEntries(Object.entries(original).filter(([key]) => set.has(key)))
}

function deleteValues(result: JsonObject, name: string, values: unknown): void {
  if (!Array.isArray(values) || values.some((value) => typeof value === 'object')) throw bad('invalid patch format of primitive list')
  const list = result[name]
  if (Array.isArray(list)) result[name] = removeValues(list, values)
}

function orderList(schema: Schema | undefined, original: JsonObject, patch: JsonObject, result: JsonObject, name: string): void {
  const wanted = patch[setOrder + name]
  if (!Array.isArray(wanted)) throw bad('invalid patch format of setElementOrder list')
  const list = result[name]
  const before = original[name]
  const given = patch[name]
  if (!Array.isArray(list)) return
  const key = childOf(schema, name).patch?.key
  result[name] = order({
    list,
    wanted,
    before: Array.isArray(before) ? before : [],
    given: Array.isArray(given) ? given : [],
    ...(key && { key }),
  })
}
