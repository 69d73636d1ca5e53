// Which objects a list or watch is about: label and field selectors against a kind.

import { StatusError } from '#api/errors.ts'
import type { KubeObject } from '#api/kinds/kind.ts'
import type { KindSpec } from '#api/kinds/spec.ts'
import { type FieldSelector, matchesFields, parseFields } from '#api/selector/field.ts'
import { matchesLabels, parseLabels } from '#api/selector/label.ts'
import type { Item } from './item.ts'
import type { Wanted } from './watcher.ts'

export type Selection = {
  /** Nothing is selected out: objects need not be decoded. */
  readonly all: boolean
  /** The only name that can match, where a field selector says so. */
  readonly name: string | undefined
  /** A value of a field that whatever matches has, where a field selector says so. */
  readonly wanted: Wanted | undefined
  matches(item: Item): boolean
}

/** Of one query, each of which is asked of every object; many values of one term cost no more than one. */
const mostTerms = 256

/** Throws BadRequest for what cannot be parsed and for fields that the kind does not offer. */
export function selectionOf(spec: KindSpec, labelSelector: string | undefined, fieldSelector: string | undefined): Selection {
  const labels = labelSelector ? parseLabels(labelSelector) : []
  const fields = fieldSelector ? parseFields(fieldSelector, (field) => isOffered(spec, field)) : []
  if (labels.length > mostTerms || fields.length > mostTerms)
    throw new StatusError('BadRequest', `invalid selector: it has more than ${mostTerms} terms`)
  return {
    all: labels.length === 0 && fields.length === 0,
    name: exactName(fields),
    wanted: wantedOf(spec, fields),
    matches({ object }) {
      return matchesLabels(labels, object.metadata.labels) && matchesFields(fields, (field) => valueOf(spec, object, field))
    },
  }
}

const isOffered = (spec: KindSpec, field: string): boolean =>
  field === 'metadata.name' || (field === 'metadata.namespace' && spec.kind.namespaced) || Object.hasOwn(spec.fields ?? {}, field)

function valueOf(spec: KindSpec, object: KubeObject, field: string): string {
  if (field === 'metadata.name') return object.metadata.name
  if (field === 'metadata.namespace') return object.metadata.namespace ?? ''
  return spec.fields?.[field]?.(object) ?? ''
}

const exactName = (fields: FieldSelector): string | undefined => fields.find((f) => f.field === 'metadata.name' && f.equal)?.value

const nameOf = ({ metadata }: KubeObject): string => metadata.name

/** The name first: hardly anything else says as much. */
function wantedOf(spec: KindSpec, fields: FieldSelector): Wanted | undefined {
  const name = exactName(fields)
  if (name !== undefined) return { read: nameOf, value: name }
  for (const { field, equal, value } of fields) {
    const read = Object.hasOwn(spec.fields ?? {}, field) ? spec.fields?.[field] : undefined
    if (equal && read) return { read, value }
  }
  return undefined
}
