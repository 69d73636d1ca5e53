// Who owns the fields that an update, a create or a patch changed: metadata.managedFields kept by
// comparing the object before and after. On the way of every write: entries whose set stays the same
// are passed on as they are.

import { isDeepStrictEqual } from 'node:util'
import { atOnce, type Steps } from '../../breather.ts'
import { decode, type JsonObject } from '../../schema/decode.ts'
import type { Struct } from '../../schema/schema.ts'
import type { ManagedFieldsEntry } from '../../types/meta-v1.gen.ts'
import { comparing, isSame } from './compare.ts'
import { difference, type Fields, isEmpty, none, union } from './fields.ts'
import { identityOf, isReset, type Managers, newManaged, readManagers, withFields, writeManagers } from './managers.ts'

type Meta = { managedFields?: ManagedFieldsEntry[] }

export type Update<T extends object> = {
  schema: Struct
  /** What is stored; undefined on create. */
  before: object | undefined
  /** What is to be stored, decoded and with defaults. */
  after: T
  manager: string
  subresource?: string | undefined
  /** RFC 3339. */
  now: string
}

/** As trackingUpdate, at once. */
export const trackUpdate = <T extends object>(update: Update<T>): T => atOnce(trackingUpdate(update))

/** `after` with its managedFields; nothing that came in is changed. */
export function* trackingUpdate<T extends object>({ schema, before, after, manager, subresource, now }: Update<T>): Steps<T> {
  const old = metaOf(before).managedFields
  const given = subresource ? undefined : metaOf(after).managedFields
  if (isReset(given)) return withManaged(after, undefined)
  // Clients send back what they read.
  const asked = given?.length && !isDeepStrictEqual(given, old) ? readManagers(given) : undefined
  yield
  const managers = asked?.size ? asked : (readManagers(old) ?? new Map())
  yield
  // An object whose managers were reset stays without them.
  if (before && !managers.size) return withManaged(after, undefined)
  const { apiVersion } = after as { apiVersion: string }
  const changes = yield* comparing(schema, (before ?? emptyOf(schema)) as JsonObject, after as JsonObject)
  yield
  if (isSame(changes)) return withManaged(after, managers === asked ? writeManagers(managers) : old)
  const taken = union(changes.added, changes.modified)
  const self = { manager, operation: 'Update', apiVersion, subresource } as const
  const identity = identityOf(self)
  yield* releasing(managers, identity, [taken, changes.removed])
  const own = managers.get(identity)
  const left = difference(own?.fields ?? none, changes.removed)
  yield
  const fields = union(left, taken)
  yield
  if (!own || own.fields !== fields) managers.set(identity, newManaged(self, fields, now))
  return withManaged(after, writeManagers(managers))
}

/** Takes fields from all managers but one. */
export function* releasing(managers: Managers, except: string, sets: readonly Fields[]): Steps<void> {
  for (const [identity, managed] of managers) {
    if (identity === except) continue
    let left = managed.fields
    for (const fields of sets) {
      yield
      left = difference(left, fields)
    }
    if (isEmpty(left)) managers.delete(identity)
    else if (left !== managed.fields) managers.set(identity, withFields(managed, left))
  }
}

/** The zero object of the kind: what a new one is compared with. */
export const emptyOf = (schema: Struct): JsonObject => decode(schema, {}).object

export function metaOf(object: object | undefined): Meta & JsonObject {
  const { metadata } = (object ?? {}) as { metadata?: Meta & JsonObject }
  return metadata ?? {}
}

export function withManaged<T extends object>(object: T, managedFields: ManagedFieldsEntry[] | undefined): T {
  const metadata = { ...metaOf(object) }
  if (metadata.managedFields === managedFields) return object
  if (managedFields?.length) metadata.managedFields = managedFields
  else delete metadata.managedFields
  return { ...object, metadata }
}
