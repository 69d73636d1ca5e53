// A kind's rules applied as the server applies them, for tests.

import { schemaOf } from '../schema/compile.ts'
import { decode } from '../schema/decode.ts'
import { setDefaults } from '../schema/defaults.ts'
import type { Struct } from '../schema/schema.ts'
import { apiVersionOf, type KubeObject } from './kind.ts'
import { Faults } from './rules/faults.ts'
import { validateMeta } from './rules/meta.ts'
import type { KindSpec } from './spec.ts'

export const schemaFor = ({ kind }: KindSpec): Struct => {
  const schema = schemaOf(kind)
  if (!schema) throw new Error(`no schema of ${kind.kind}`)
  return schema
}

const textOf = (faults: Faults): string[] => faults.list.map(({ field, message }) => `${field}: ${message}`)

export function applyDefaults<T extends KubeObject>(spec: KindSpec<T>, object: T): void {
  setDefaults(schemaFor(spec), object)
  spec.defaults?.(object)
}

/** What a create of `body` would store, and what is wrong with it; `metadata` is filled in where it is missing. */
export function created<T extends KubeObject>(spec: KindSpec<T>, body: object): { object: T; wrong: string[] } {
  const { kind } = spec
  const { metadata, ...rest } = body as { metadata?: object }
  const named = { name: 'one', uid: 'u-1', ...(kind.namespaced && { namespace: 'test' }), ...metadata }
  const input = { ...rest, apiVersion: apiVersionOf(kind), kind: kind.kind, metadata: named }
  const object = decode(schemaFor(spec), input, { fieldValidation: 'Strict' }).object as unknown as T
  applyDefaults(spec, object)
  spec.prepareCreate?.(object)
  const faults = new Faults()
  validateMeta(object.metadata, { name: spec.nameRule, namespaced: kind.namespaced, anyFinalizer: spec.anyFinalizer }, faults)
  spec.validate?.(object, faults)
  spec.validateCreate?.(object, faults)
  return { object, wrong: textOf(faults) }
}

/** What is wrong with a change of `object`. `change` may change what it is given. */
export function updated<T extends KubeObject>(spec: KindSpec<T>, object: T, change: (next: T) => void, subresource = ''): string[] {
  const next = structuredClone(object)
  change(next)
  applyDefaults(spec, next)
  spec.prepareUpdate?.(next, object, subresource)
  const faults = new Faults()
  spec.validate?.(next, faults)
  spec.validateUpdate?.(next, object, faults, subresource)
  return textOf(faults)
}

/** The row that `kubectl get -o wide` prints, as `HEADER=cell`; one minute after the object was made. */
export function row<T extends KubeObject>(spec: KindSpec<T>, object: T, now = Date.parse('2024-01-01T00:01:00Z')): string {
  const made = { ...object, metadata: { ...object.metadata, creationTimestamp: '2024-01-01T00:00:00Z' } }
  return spec.columns.map((column) => `${column.wide ? '+' : ''}${column.name.toUpperCase()}=${column.cell(made, now)}`).join(' | ')
}
