// Puts what a webhook or a policy made of an object into its place.

import type { KubeObject } from '#api/kinds/kind.ts'
import type { ObjectMeta } from '#api/types/meta-v1.gen.ts'

/** What only the server says about an object. */
const settled = [
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'managedFields',
] as const satisfies (keyof ObjectMeta)[]

/** In place; `next` belongs to `object` from then on. */
export function replace(object: KubeObject, next: KubeObject): void {
  const before = object.metadata
  for (const key of Object.keys(object)) delete object[key as keyof KubeObject]
  Object.assign(object, next)
  const kept = Object.fromEntries(settled.filter((field) => before[field] !== undefined).map((field) => [field, before[field]]))
  for (const field of settled) delete (object.metadata as Partial<ObjectMeta>)[field]
  Object.assign(object.metadata, kept)
}
