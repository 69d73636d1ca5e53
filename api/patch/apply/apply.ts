// Server-side apply: a configuration, the fields that it names, and who else has an interest in them.
// https://kubernetes.io/docs/reference/using-api/server-side-apply/

import { isDeepStrictEqual } from 'node:util'
import { atOnce, type Steps } from '../../breather.ts'
import { type Cause, StatusError } from '../../errors.ts'
import { decode, isObject, type JsonObject } from '../../schema/decode.ts'
import { parseExact } from '../../schema/exact.ts'
import type { Struct } from '../../schema/schema.ts'
import { compare, comparing } from './compare.ts'
import { fieldsOf, merge, namedFields } from './config.ts'
import { difference, type Fields, intersection, isEmpty, none, pathsOf, union, unionOf } from './fields.ts'
import { identityOf, type Managed, type Managers, newManaged, readManagers, writeManagers } from './managers.ts'
import { prune } from './prune.ts'
import { emptyOf, metaOf, releasing, withManaged } from './track.ts'

export type Apply = {
  schema: Struct
  /** What is stored; undefined where the apply creates it. */
  live: JsonObject | undefined
  /** The configuration as it was sent, not decoded: what it does not name, it must not own. */
  patch: JsonObject
  manager: string
  force?: boolean
  subresource?: string | undefined
  /** The kind has no status subresource: its status is like any other field. */
  statusIsPlain?: boolean
  /** RFC 3339. */
  now: string
}

const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration'

/** As applyingPatch, at once. */
export const applyPatch = (request: Apply): JsonObject => atOnce(applyingPatch(request))

/**
 * The object with its managedFields, decoded but without new defaults; `live` itself where the apply changes nothing.
 * Throws Conflict with a cause for each field that another manager owns, and BadRequest.
 */
export function* applyingPatch(request: Apply): Steps<JsonObject> {
  const { schema, live, manager, subresource, now } = request
  if (metaOf(request.patch).managedFields?.length) throw new StatusError('BadRequest', 'metadata.managedFields must be nil')
  const patch = owned(request)
  const before = live ?? emptyOf(schema)
  const apiVersion = String(patch.apiVersion)
  const managers = managersOf(schema, live, now)
  yield
  const self = { manager, operation: 'Apply', apiVersion, subresource } as const
  const identity = identityOf(self)
  const last = managers.get(identity)
  const fields = yield* namedFields(schema, patch)
  yield
  const repeats = isDeepStrictEqual(last?.fields ?? none, fields)
  managers.set(identity, newManaged(self, fields, now))
  const merged = merge(schema, before, patch)
  yield
  const pruned = last ? prune(schema, merged, last.fields, unionOf([...managers.values()].map(({ fields }) => fields))) : merged
  yield
  const after = decode(schema, pruned).object
  yield
  const synced = live && manager === 'kubectl' ? syncLastApplied(after, patch) : after
  const changes = yield* comparing(schema, before, after)
  yield
  const taken = union(changes.added, changes.modified)
  yield
  if (!request.force) checkConflicts(schema, managers, identity, taken, manager === 'kubectl' ? live : undefined)
  yield
  yield* releasing(managers, identity, [taken, changes.removed])
  yield
  const same = live && isDeepStrictEqual(withManaged(synced, metaOf(live).managedFields), live)
  if (same && repeats) return live
  return withManaged(synced, writeManagers(managers))
}

/** The part of a configuration that the endpoint takes: status by its own subresource only, and nothing else there. */
function owned({ patch, subresource, statusIsPlain }: Apply): JsonObject {
  const { status, ...rest } = patch
  if (!subresource) return statusIsPlain ? patch : rest
  const { apiVersion, kind, metadata } = patch
  return subresource === 'status' ? { apiVersion, kind, metadata, ...(status !== undefined && { status }) } : patch
}

/** An object that predates its managers belongs to `before-first-apply`, as far as the first applier knows. */
function managersOf(schema: Struct, live: JsonObject | undefined, now: string): Managers {
  const managers = readManagers(metaOf(live).managedFields) ?? new Map<string, Managed>()
  if (!live || managers.size) return managers
  const self = { manager: 'before-first-apply', operation: 'Update', apiVersion: String(live.apiVersion) } as const
  managers.set(identityOf(self), newManaged(self, compare(schema, emptyOf(schema), live).added, now))
  return managers
}

/** `live` is given where kubectl may take over what it applied from the client's side before. */
function checkConflicts(schema: Struct, managers: Managers, self: string, taken: Fields, live: JsonObject | undefined): void {
  const allowed = live ? lastAppliedFields(schema, live) : none
  const conflicts = [...managers].flatMap(([identity, managed]) => {
    const fields = identity === self ? none : difference(intersection(managed.fields, taken), allowed)
    return isEmpty(fields) ? [] : [{ who: spell(managed), paths: pathsOf(fields) }]
  })
  if (!conflicts.length) return
  const causes = conflicts.flatMap(({ who, paths }) =>
    paths.map((field): Cause => ({ reason: 'FieldManagerConflict', message: `conflict with ${who}`, field })),
  )
  const [first] = conflicts
  const text =
    causes.length === 1 && first
      ? `1 conflict: conflict with ${first.who}: ${first.paths[0]}`
      : `${causes.length} conflicts: ${conflicts.map(({ who, paths }) => [`conflicts with ${who}:`, ...paths.map((path) => `- ${path}`)].join('\n')).join('\n')}`
  throw new StatusError('Conflict', `Apply failed with ${text}`, { causes })
}

function spell({ entry }: Managed): string {
  const name = JSON.stringify(entry.manager ?? '')
  const who = entry.subresource ? `${name} with subresource ${JSON.stringify(entry.subresource)}` : name
  return entry.operation === 'Update' ? `${who} using ${entry.apiVersion ?? ''}` : who
}

function lastAppliedText(object: JsonObject): string | undefined {
  const { annotations } = metaOf(object)
  const text = isObject(annotations) ? annotations[lastApplied] : undefined
  return typeof text === 'string' ? text : undefined
}

function lastAppliedFields(schema: Struct, live: JsonObject): Fields {
  const text = lastAppliedText(live)
  if (text === undefined) return none
  try {
    const config = parseExact(text)
    if (!isObject(config)) return none
    // What somebody changed since is theirs.
    const { removed, modified } = compare(schema, decode(schema, config).object, live)
    return difference(fieldsOf(schema, config), union(removed, modified))
  } catch {
    return none // an annotation that is no configuration allows nothing
  }
}

/** kubectl keeps the annotation of client-side apply true where an object has one. */
function syncLastApplied(object: JsonObject, patch: JsonObject): JsonObject {
  if (lastAppliedText(object) === undefined) return object
  const metadata = metaOf(object)
  const annotations = { ...(metadata.annotations as JsonObject), [lastApplied]: `${JSON.stringify(patch)}\n` }
  return { ...object, metadata: { ...metadata, annotations } }
}
