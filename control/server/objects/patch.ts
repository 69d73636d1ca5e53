// Applies a patch of one of the four kinds to an object.

import { atOnce, breather, gently, type Steps } from '#api/breather.ts'
import { StatusError } from '#api/errors.ts'
import type { KubeObject } from '#api/kinds/kind.ts'
import { jsonPatching } from '#api/patch/json.ts'
import { mergePatch } from '#api/patch/merge.ts'
import { strategicMergePatch } from '#api/patch/strategic.ts'
import { decode, isObject, type JsonObject } from '#api/schema/decode.ts'
import { type Floats, settle } from '#api/schema/exact.ts'
import type { Struct } from '#api/schema/schema.ts'
import type { WriteOptions } from './call.ts'
import { warnOfAll } from './request-review.ts'
import type { Resource } from './resource.ts'

export type Patch = { type: 'json' | 'merge' | 'strategic'; body: unknown }

/** What `current` becomes; decoded and checked as a request's object is. */
export async function patched(resource: Resource, current: KubeObject, { type, body }: Patch, options: WriteOptions): Promise<KubeObject> {
  const breathe = breather()
  await breathe()
  const merged = await gently(merging(resource.schema, current, type, body), breathe)
  await breathe()
  const floats: Floats = new Map()
  const settled = type === 'strategic' ? merged : settle(merged, floats)
  const { object, warnings } = decode(resource.schema, settled, {
    ...(!resource.schema.loose && { floats }),
    fieldValidation: options.fieldValidation ?? 'Ignore',
  })
  warnOfAll(options.warnings, warnings)
  const result = object as KubeObject
  if (result.kind !== current.kind || result.apiVersion !== current.apiVersion) {
    throw new StatusError('BadRequest', `a patch may not change the kind of an object (${current.apiVersion} ${current.kind})`)
  }
  return result
}

/** Not yet decoded. */
export const merge = (schema: Struct, current: JsonObject, type: Patch['type'], body: unknown): unknown =>
  atOnce(merging(schema, current, type, body))

function* merging(schema: Struct, current: JsonObject, type: Patch['type'], body: unknown): Steps<unknown> {
  if (type === 'json') return yield* jsonPatching(current, body)
  if (!isObject(body)) throw new StatusError('BadRequest', 'the patch must be an object')
  return type === 'merge' ? mergePatch(current, body) : strategicMergePatch(schema, current, body)
}
