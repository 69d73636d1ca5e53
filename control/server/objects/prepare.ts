// What the server makes of an object that comes in, before anybody judges it: its metadata in order, an
// update kept to what it may change, defaults; and whether that leaves anything to write.

import { StatusError } from '#api/errors.ts'
import type { KubeObject } from '#api/kinds/kind.ts'
import { same } from '#api/kinds/rules/faults.ts'
import type { KindSpec } from '#api/kinds/spec.ts'
import { setDefaults } from '#api/schema/defaults.ts'
import { clone } from '../cache/item.ts'
import type { Target } from './call.ts'
import { conflict, type Resource, staleMessage } from './resource.ts'
import type { Stored } from './stored.ts'

export function prepareNamespace(resource: Resource, object: KubeObject, namespace: string | undefined): void {
  const meta = object.metadata
  if (!resource.kind.namespaced) {
    // Many a manifest gives one to what has none.
    delete meta.namespace
    return
  }
  if (meta.namespace && namespace && meta.namespace !== namespace) {
    throw new StatusError(
      'BadRequest',
      `the namespace of the provided object does not match the namespace sent on the request: expected ${namespace}, got ${meta.namespace}`,
    )
  }
  meta.namespace = namespace ?? meta.namespace
}

/** Brings the metadata of an update in order; returns whether it is pinned to one version of the object. */
export function prepareMeta({ resource, name, namespace }: Target, object: Stored, previous: Stored): boolean {
  const meta = object.metadata
  const old = previous.metadata
  meta.name ||= name
  if (meta.name !== name) {
    throw new StatusError('BadRequest', `the name of the object (${meta.name}) does not match the name on the URL (${name})`)
  }
  prepareNamespace(resource, object, namespace)
  if (meta.uid && meta.uid !== old.uid) {
    throw conflict(resource, name, `Precondition failed: UID in precondition: ${meta.uid}, UID in object meta: ${old.uid}`)
  }
  const pinned = Boolean(meta.resourceVersion)
  if (pinned && meta.resourceVersion !== old.resourceVersion) throw conflict(resource, name, staleMessage)
  meta.uid = old.uid
  meta.resourceVersion = old.resourceVersion
  meta.creationTimestamp ||= old.creationTimestamp
  meta.deletionTimestamp = old.deletionTimestamp
  meta.deletionGracePeriodSeconds = old.deletionGracePeriodSeconds
  meta.generation = old.generation
  delete meta.selfLink
  return pinned
}

/** Keeps an update to what it may change, and fills in what it left open. */
export function confine(resource: Resource, object: Stored, previous: Stored, subresource: string): void {
  const { spec } = resource
  if (subresource === 'status') keepAllBut(object, previous, resource.view ? [] : (spec.statusMeta ?? ['labels', 'annotations']))
  // A binding tells in the status, too, that the pod has its node.
  else if (spec.status && !writesStatus(spec, subresource)) keepStatus(object, previous)
  applyDefaults(resource, object)
  spec.prepareUpdate?.(object, previous, subresource)
}

export function applyDefaults(resource: Resource, object: KubeObject): void {
  setDefaults(resource.schema, object)
  resource.spec.defaults?.(object)
}

const writesStatus = ({ subresources }: KindSpec, subresource: string): boolean =>
  subresource === 'binding' || (subresources?.find((s) => s.name === subresource)?.status ?? false)

function keepStatus(object: Stored, previous: Stored): void {
  if (previous.status === undefined) delete object.status
  else object.status = clone(previous.status)
}

/** Everything of `object` but its status, who manages it and what is named of its metadata is as it was. */
function keepAllBut(object: Stored, previous: Stored, meta: readonly ('labels' | 'annotations')[]): void {
  const { status, metadata } = object
  for (const key of Object.keys(object)) delete object[key as keyof Stored]
  Object.assign(object, clone(previous))
  object.status = status
  object.metadata.managedFields = metadata.managedFields
  for (const name of meta) {
    if (metadata[name] === undefined) delete object.metadata[name]
    else object.metadata[name] = metadata[name]
  }
}

/** A status that has no subresource is asked for like everything else. */
export const desired = ({ status }: Resource['spec'], object: Stored): unknown => ({
  ...object,
  metadata: undefined,
  ...(status && { status: undefined }),
})

export function sameButBookkeeping(a: KubeObject, b: KubeObject): boolean {
  const plain = ({ metadata, ...rest }: KubeObject) => ({
    ...rest,
    metadata: { ...metadata, managedFields: managersOf(metadata.managedFields) },
  })
  return same(plain(a), plain(b))
}
/** A manager's time alone is no reason to write. */
const managersOf = (fields: KubeObject['metadata']['managedFields']) => fields?.map((f) => ({ ...f, time: undefined }))
