// Rules for metadata, the same for every kind (apimachinery api/validation).

import type { ObjectMeta } from '../../types/meta-v1.gen.ts'
import { type Faults, same } from './faults.ts'
import { isDns1123Label, isLabelValue, isQualifiedName, type Rule, withoutEnd } from './names.ts'

const annotationBytes = 256 * 1024

/** `anyFinalizer`: finalizers need no domain. */
type MetaRule = { name: Rule; namespaced: boolean; anyFinalizer?: boolean | undefined }

/** Finalizers without a domain that mean something. */
const standardFinalizers = ['kubernetes', 'orphan', 'foregroundDeletion']

export function validateMeta(meta: ObjectMeta, rule: MetaRule, faults: Faults): void {
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
  if (meta.finalizers) validateFinalizers('metadata.finalizers', meta.finalizers, rule.anyFinalizer ?? false, faults)
}

export function validateFinalizers(at: string, finalizers: readonly string[], any: boolean, faults: Faults): void {
  for (const [i, finalizer] of finalizers.entries()) {
    if (faults.isFull) return
    const field = `${at}[${i}]`
    const wrong = isQualifiedName(finalizer)
    if (wrong.length > 0) faults.each(field, finalizer, wrong)
    else if (!any && !finalizer.includes('/') && !standardFinalizers.includes(finalizer))
      faults.invalid(field, finalizer, 'name is neither a standard finalizer name nor is it fully qualified')
  }
  if (finalizers.includes('orphan') && finalizers.includes('foregroundDeletion'))
    faults.invalid(at, finalizers, 'finalizer orphan and foregroundDeletion cannot be both set')
}

export function validateLabels(field: string, labels: Record<string, string> | undefined, faults: Faults): void {
  for (const [key, value] of Object.entries(labels ?? {})) {
    if (faults.isFull) return
    faults.each(field, key, isQualifiedName(key))
    faults.each(field, value, isLabelValue(value))
  }
}

export function validateAnnotations(field: string, annotations: Record<string, string> | undefined, faults: Faults): void {
  let bytes = 0
  for (const [key, value] of Object.entries(annotations ?? {})) {
    if (faults.isFull) return
    faults.each(field, key, isQualifiedName(key.toLowerCase()))
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value)
  }
  if (bytes > annotationBytes) faults.tooLong(field, annotationBytes)
}

function validateOwners(meta: ObjectMeta, faults: Faults): void {
  let controller: string | undefined
  for (const [i, owner] of (meta.ownerReferences ?? []).entries()) {
    if (faults.isFull) return
    const field = `metadata.ownerReferences[${i}]`
    if (!owner.apiVersion) faults.invalid(`${field}.apiVersion`, owner.apiVersion ?? '', 'version must not be empty')
    if (!owner.kind) faults.invalid(`${field}.kind`, owner.kind ?? '', 'must not be empty')
    if (!owner.name) faults.invalid(`${field}.name`, owner.name ?? '', 'must not be empty')
    if (!owner.uid) faults.invalid(`${field}.uid`, owner.uid ?? '', 'must not be empty')
    if (owner.apiVersion === 'v1' && owner.kind === 'Event')
      faults.invalid(field, owner, '/v1, Kind=Event is disallowed from being an owner')
    if (!owner.controller) continue
    const name = `${owner.kind}/${owner.name}`
    if (controller === undefined) controller = name
    else {
      const why = `Only one reference can have Controller set to true. Found "true" in references for ${controller} and ${name}`
      faults.invalid('metadata.ownerReferences', meta.ownerReferences, why)
    }
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
