// Rules for metadata, the same for every kind (apimachinery api/validation).

import type { ObjectMeta } from '../types/meta-v1.gen.ts'
import { type Faults, same } from './faults.ts'
import { isDns1123Label, isLabelValue, isQualifiedName, type Rule, withoutEnd } from './names.ts'

const annotationBytes = 256 * 1024

export function validateMeta(meta: ObjectMeta, rule: { name: Rule; namespaced: boolean }, faults: Faults): void {
  if (meta.generateName) faults.each('metadata.generateName', meta.generateName, rule.name(withoutEnd(meta.generateName, '-') || 'x'))
  if (!meta.name) faults.required('metadata.name', 'name or generateName is required')
  else faults.each('metadata.name', meta.name, rule.name(meta.name))
  if (rule.namespaced) {
    if (!meta.namespace) faults.required('metadata.namespace')
    else faults.each('metadata.namespace', meta.namespace, isDns1123Label(meta.namespace))
  } else if (meta.namespace) faults.forbidden('metadata.namespace', 'not allowed on this type')
  faults.notNegative('metadata.generation', meta.generation)
  validateLabels('metadata.labels', meta.labels, faults)
  validateAnnotations('metadata.annotations', meta.annotations, faults)
  validateOwners(meta, faults)
  for (const [i, finalizer] of (meta.finalizers ?? []).entries()) {
    faults.each(`metadata.finalizers[${i}]`, finalizer, isQualifiedName(finalizer))
  }
}

export function validateLabels(field: string, labels: Record<string, string> | undefined, faults: Faults): void {
  for (const [key, value] of Object.entries(labels ?? {})) {
    faults.each(field, key, isQualifiedName(key))
    faults.each(field, value, isLabelValue(value))
  }
}

export function validateAnnotations(field: string, annotations: Record<string, string> | undefined, faults: Faults): void {
  let bytes = 0
  for (const [key, value] of Object.entries(annotations ?? {})) {
    faults.each(field, key, isQualifiedName(key.toLowerCase()))
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value)
  }
  if (bytes > annotationBytes) faults.tooLong(field, annotationBytes)
}

function validateOwners(meta: ObjectMeta, faults: Faults): void {
  let controllers = 0
  for (const [i, owner] of (meta.ownerReferences ?? []).entries()) {
    const field = `metadata.ownerReferences[${i}]`
    if (!owner.apiVersion) faults.invalid(`${field}.apiVersion`, owner.apiVersion ?? '', 'version must not be empty')
    if (!owner.kind) faults.invalid(`${field}.kind`, owner.kind ?? '', 'must not be empty')
    if (!owner.name) faults.invalid(`${field}.name`, owner.name ?? '', 'must not be empty')
    if (!owner.uid) faults.invalid(`${field}.uid`, owner.uid ?? '', 'must not be empty')
    if (owner.controller) controllers += 1
  }
  if (controllers > 1) {
    faults.invalid('metadata.ownerReferences', meta.ownerReferences, 'Only one reference can have Controller set to true')
  }
}

export function validateMetaUpdate(next: ObjectMeta, previous: ObjectMeta, faults: Faults): void {
  for (const field of ['name', 'namespace', 'uid', 'creationTimestamp', 'deletionTimestamp', 'deletionGracePeriodSeconds'] as const) {
    if (next[field] !== previous[field]) faults.invalid(`metadata.${field}`, next[field] ?? null, 'field is immutable')
  }
  if (previous.deletionTimestamp) {
    const before = new Set(previous.finalizers)
    const added = (next.finalizers ?? []).filter((f) => !before.has(f))
    if (added.length > 0) {
      faults.forbidden(
        'metadata.finalizers',
        `no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.map((f) => JSON.stringify(f)).join(', ')}}`,
      )
    }
  }
}

/** Immutable once the object says so (`immutable: true` of ConfigMap and Secret). */
export function validateFrozen<T extends { immutable?: boolean; data?: unknown; binaryData?: unknown }>(
  next: T,
  previous: T,
  faults: Faults,
): void {
  if (!previous.immutable) return
  if (!next.immutable) faults.forbidden('immutable', 'field is immutable when `immutable` is set')
  if (!same(next.data, previous.data)) faults.forbidden('data', 'field is immutable when `immutable` is set')
  if (!same(next.binaryData, previous.binaryData)) faults.forbidden('binaryData', 'field is immutable when `immutable` is set')
}
