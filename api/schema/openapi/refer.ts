// From the endpoints to the types that they take and answer.

import { schemaOf } from '../compile.ts'
import type { Gvk } from '../schema.ts'
import type { Definitions } from './definitions.ts'
import type { Json } from './json.ts'
import type { Endpoint } from './paths.ts'

export const objectOf = ({ gvk, published }: Endpoint, definitions: Definitions): Json =>
  published ? definitions.custom(published, gvk, 'object') : refOf(gvk, definitions)

export const listOf = ({ gvk, published }: Endpoint, definitions: Definitions): Json =>
  published ? definitions.custom(published, gvk, 'list') : refOf({ ...gvk, kind: `${gvk.kind}List` }, definitions)

/** Of a type that the table knows. */
export function refOf(gvk: Gvk, definitions: Definitions): Json {
  const struct = schemaOf(gvk)
  return struct ? definitions.ref(struct, [{ group: gvk.group, kind: gvk.kind, version: gvk.version }]) : { type: 'object' }
}
