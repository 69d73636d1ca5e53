// What the fake server makes of an object before it keeps it, and of a change before it tells of it.

import { type Clock, timestamp } from '../clock.ts'
import { freeze } from '../informer/cache.ts'
import { apiVersionOf, type Kind, type KubeObject } from '../kinds/kind.ts'
import { builtinKinds } from '../kinds/registry.ts'
import type { KindSpec } from '../kinds/spec.ts'
import type { Scale } from '../types/autoscaling-v1.gen.ts'
import type { New, WatchEvent } from './client.ts'
import type { PartSubresource } from './subresource.ts'

export type Change = { revision: number; table: string; object: KubeObject | undefined; previous: KubeObject | undefined }

export function fill<T extends KubeObject>(kind: Kind<T>, object: New<T>, clock: Clock, uid: string, name = object.metadata.name): T {
  const hasSpec = 'spec' in object
  const defaults = kind.kind === 'Pod' ? { status: { phase: 'Pending' } } : {}
  const copy: Omit<New<KubeObject>, never> = structuredClone(object) as New<KubeObject>
  return {
    apiVersion: apiVersionOf(kind),
    kind: kind.kind,
    ...defaults,
    ...copy,
    metadata: { uid, creationTimestamp: timestamp(clock.now()), ...(hasSpec && { generation: 1 }), ...copy.metadata, name },
  } as unknown as T
}

/** What an update may change: a subresource only its own part, the main resource all but the status. */
export function merge<T extends KubeObject>(current: T, next: T, subresource: string | undefined): T {
  const { uid, creationTimestamp, deletionTimestamp, deletionGracePeriodSeconds, generation } = current.metadata
  const fixed = { uid, creationTimestamp, generation, ...(deletionTimestamp && { deletionTimestamp, deletionGracePeriodSeconds }) }
  const from = current as T & { spec?: unknown; status?: unknown }
  const to = next as T & { spec?: unknown; status?: unknown }
  if (subresource === 'status' || subresource === 'approval') return { ...current, status: to.status }
  if (subresource === 'finalize') return { ...current, spec: to.spec }
  const changed = !same(from.spec, to.spec)
  const metadata = { ...next.metadata, ...fixed, ...(changed && generation && { generation: generation + 1 }) }
  return { ...next, metadata, ...('status' in from && { status: from.status }) }
}

const comparable = (value: unknown): string =>
  JSON.stringify(value, (key, inner: unknown) => (key === 'resourceVersion' || inner === undefined ? undefined : inner)) ?? ''
export const same = (a: unknown, b: unknown): boolean => comparable(a) === comparable(b)

export const hasFinalizers = (kind: Kind, { metadata, spec }: KubeObject & { spec?: { finalizers?: string[] } }): boolean =>
  Boolean(metadata.finalizers?.length) || (kind.kind === 'Namespace' && Boolean(spec?.finalizers?.length))

/** On a node, so that the node has to end it first. */
export const running = (object: KubeObject & { spec?: { nodeName?: string }; status?: { phase?: string } }): boolean =>
  object.kind === 'Pod' &&
  Boolean(object.spec?.nodeName) &&
  object.status?.phase !== 'Succeeded' &&
  object.status?.phase !== 'Failed' &&
  object.metadata.deletionGracePeriodSeconds !== 0

export function eventOf({ object, previous }: Change, matches: (object: KubeObject) => boolean): WatchEvent<KubeObject> | undefined {
  const now = object !== undefined && matches(object)
  const before = previous !== undefined && matches(previous)
  if (now) return { type: before ? 'MODIFIED' : 'ADDED', object }
  if (!before) return undefined
  const { resourceVersion } = (object ?? previous).metadata
  return { type: 'DELETED', object: freeze({ ...previous, metadata: { ...previous.metadata, resourceVersion } }) }
}

export const specOf = ({ group, kind }: Kind): KindSpec =>
  (builtinKinds.find((spec) => spec.kind.group === group && spec.kind.kind === kind) ?? {}) as KindSpec

/** What is answered of an object at one of its subresources. */
export function shownAs(kind: Kind, object: KubeObject, subresource: PartSubresource | undefined): object {
  const { scale } = specOf(kind)
  if (subresource !== 'scale' || !scale) return object
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata
  return {
    apiVersion: 'autoscaling/v1',
    kind: 'Scale',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: scale.replicas(object) ?? 0 },
    status: { replicas: scale.statusReplicas(object), selector: scale.selector(object) },
  }
}

export function scaled(kind: Kind, object: KubeObject, { metadata, spec }: Scale): KubeObject {
  const copy = structuredClone(object)
  specOf(kind).scale?.setReplicas(copy, spec.replicas ?? 0)
  return { ...copy, metadata: { ...copy.metadata, resourceVersion: metadata.resourceVersion ?? '' } }
}
