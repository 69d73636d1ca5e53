// What informers leave out of the objects that they keep: what the server alone works with.

import { Event } from '../kinds/index.ts'
import { apiVersionOf, type Kind, type KubeObject } from '../kinds/kind.ts'

export function trimOf<T extends KubeObject>(kind: Kind<T>): (object: T) => T {
  const isEvent = kind.kind === Event.kind && apiVersionOf(kind) === apiVersionOf(Event)
  return isEvent ? (object) => passing(object) as T : withoutManagers
}

/** Who manages which field: often half of what an object takes once decoded. What is written back without it keeps what is there. */
function withoutManagers<T extends KubeObject>(object: T): T {
  const { managedFields, ...metadata } = object.metadata
  return managedFields ? { ...object, metadata } : object
}

/** Of events, of which there are many, and which nobody acts on: when they were last written, besides. */
function passing(object: KubeObject): KubeObject {
  const kept = references(object)
  const times = object.metadata.managedFields?.flatMap(({ time }) => (time === undefined ? [] : [{ time }]))
  return times?.length ? { ...kept, metadata: { ...kept.metadata, managedFields: times } } : kept
}

/** Where an object is, whose it is and whether it is about to go. */
export function references({ kind, apiVersion, metadata }: KubeObject): KubeObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp, ownerReferences, finalizers, deletionTimestamp } = metadata
  const kept = {
    name,
    ...(namespace && { namespace }),
    uid,
    resourceVersion,
    creationTimestamp,
    ...(ownerReferences && { ownerReferences }),
    ...(finalizers && { finalizers }),
    ...(deletionTimestamp && { deletionTimestamp }),
  }
  return { kind, apiVersion, metadata: kept }
}
