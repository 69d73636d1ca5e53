// Pods made from a template, and the hash that names the template.

import type { New } from '#api/client/client.ts'
import type { Kind, KubeObject } from '#api/kinds/kind.ts'
import type { Pod, PodTemplateSpec } from '#api/types/core-v1.gen.ts'
import { controllerRef } from './ownership.ts'

/** Letters and digits that form no words (apimachinery util/rand). */
const alphabet = 'bcdfghjklmnpqrstvwxz2456789'

/** The same template and collision count give the same text, whatever the order of keys. 32-bit FNV-1a. */
export function templateHash(template: PodTemplateSpec, collisions = 0): string {
  let hash = 0x811c9dc5
  for (const byte of Buffer.from(`${canonical(template)}#${collisions}`)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  return String(hash).replace(/\d/g, (digit) => alphabet[digit.charCodeAt(0) % alphabet.length]!)
}

/** JSON with sorted keys, without what is undefined, null or an empty map or list: what the server may add or drop. */
export function canonical(value: unknown): string {
  return JSON.stringify(sorted(value)) ?? ''
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => sorted(item))
  if (typeof value !== 'object' || value === null) return value
  const map: Record<string, unknown> = {}
  for (const key of Object.keys(value).sort()) {
    const inner = sorted((value as Record<string, unknown>)[key])
    if (!isEmpty(inner)) map[key] = inner
  }
  return map
}

const isEmpty = (value: unknown): boolean =>
  value === undefined || value === null || (typeof value === 'object' && Object.keys(value).length === 0)

/** A pod of `owner`; without `name`, one is generated after the owner's. */
export function podFrom(template: PodTemplateSpec, owner: KubeObject, ownerKind: Kind, name?: string): New<Pod> {
  const { labels, annotations, finalizers } = template.metadata ?? {}
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...(name ? { name } : { generateName: `${owner.metadata.name}-` }),
      ...(owner.metadata.namespace && { namespace: owner.metadata.namespace }),
      ...(labels && { labels: { ...labels } }),
      ...(annotations && { annotations: { ...annotations } }),
      ...(finalizers && { finalizers: [...finalizers] }),
      ownerReferences: [controllerRef(ownerKind, owner)],
    },
    spec: template.spec,
  }
}
