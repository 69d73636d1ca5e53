// What the server must know about a kind and the schema table cannot say. A kind is one file that
// exports one KindSpec; registry.ts lists them. Everything here is pure: no store, no clock but the one given.

import type { Kind, KubeObject } from './kind.ts'
import type { Faults } from './rules/faults.ts'
import type { Rule } from './rules/names.ts'

/** A printer column; `kubectl get -o wide` adds those with `wide`. */
export type Column<T extends KubeObject = KubeObject> = {
  name: string
  /** JSON type of the cell; `string` unless told. */
  type?: 'integer' | 'number' | 'boolean' | 'date'
  /** `name` marks the column that identifies the row. */
  format?: string
  description?: string
  wide?: true
  /** `now` in milliseconds. Null: there is no value. */
  cell(object: T, now: number): string | number | bigint | boolean | null
}

export type GroupVersionKind = { group: string; version: string; kind: string }

/** A subresource that takes or answers another kind than its parent, or none at all (`log`, `exec`). */
export type Subresource = {
  name: string
  kind: GroupVersionKind
  verbs: string[]
  /** An update through it may change the status, too; prepareUpdate limits it to what it is for. */
  status?: true
}

/** Where `spec.replicas`, `status.replicas` and the selector are, for the scale subresource. */
export type Scale<T extends KubeObject = KubeObject> = {
  /** Undefined: the object does not say. */
  replicas(object: T): number | undefined
  setReplicas(object: T, replicas: number): void
  statusReplicas(object: T): number
  /** In text form, as `status.selector` of autoscaling/v1 Scale. */
  selector(object: T): string
}

/** How a version that is not the one kept becomes that one, and comes back: without loss. Neither way changes what it is given. */
export type Conversion<T extends KubeObject = KubeObject> = {
  stored: Kind
  /** `object` may be a part only, as in server-side apply. */
  toStored(object: T): KubeObject
  fromStored(stored: KubeObject): T
}

export const allVerbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'] as const
export type Verb = (typeof allVerbs)[number]

/** Spelled as a method, so that specs of different kinds fit one list. */
type FieldReader<T> = { read(object: T): string }['read']

export type KindSpec<T extends KubeObject = KubeObject> = {
  kind: Kind<T>
  singular: string
  /** The kind with `List` behind it unless told. */
  listKind?: string
  shortNames?: readonly string[]
  categories?: readonly string[]
  /**
   * For one more version of objects that are kept in another. The stored version's rules hold; `validate`
   * and `fields` add to them, and `fields` read the stored object.
   */
  converts?: Conversion<T>
  /** What clients are warned of who use this version. */
  warning?: string
  /** All of them unless told. */
  verbs?: readonly Verb[]
  /** Has a status subresource: `status` is written only through it, everything else never through it. */
  status?: boolean
  /** What else a write to the status may change: labels and annotations unless told. Of custom resources: nothing. */
  statusMeta?: readonly ('labels' | 'annotations')[]
  scale?: Scale<T>
  subresources?: readonly Subresource[]
  /** `metadata.generation` starts at 1 and counts changes outside metadata and status. */
  generation?: boolean
  /** The namespace whose objects are kept in memory only, and are gone after a restart (heartbeats). */
  ephemeralIn?: string
  columns: readonly Column<T>[]
  nameRule: Rule
  /** Finalizers need no domain: custom resources, and what defines them. */
  anyFinalizer?: true
  /** Fields that a field selector may name, besides metadata.name and metadata.namespace. */
  fields?: Readonly<Record<string, FieldReader<T>>>
  /** Fills in what the client left open, in place; must not change an object it has been applied to. */
  defaults?(object: T): void
  /** Sets what only the server may say about a new object, in place. */
  prepareCreate?(object: T): void
  /** Restores what an update may not change silently, in place. `subresource` is '' for the object itself. */
  prepareUpdate?(next: T, previous: T, subresource: string): void
  validate?(object: T, faults: Faults): void
  /** What a new object may not say, though an update may leave it so; `validate` runs as well. */
  validateCreate?(object: T, faults: Faults): void
  /** What an update may not do; `validate` runs as well. */
  validateUpdate?(next: T, previous: T, faults: Faults, subresource: string): void
  /**
   * What its author should know though it is kept, in Kubernetes' words: of a new object, and of one that an
   * update changes. Each is told once.
   */
  warnings?(object: T, previous: T | undefined): Iterable<string>
  /** What takes its time to judge; asked only where the other rules found nothing. */
  examine?(next: T, previous: T | undefined, faults: Faults): Promise<void>
  /** Marks an object whose deletion is asked for, in place, e.g. with a finalizer; may find it marked already. */
  prepareDelete?(object: T): void
  /** Seconds that a deletion leaves the object to its owner; 0 or absent: delete at once. `asked` is the client's wish. */
  gracePeriod?(object: T, asked: number | undefined): number
}

/** `deployments.apps`, `pods`: as Kubernetes names a resource in messages. */
export const resourceName = (kind: Kind): string => (kind.group ? `${kind.plural}.${kind.group}` : kind.plural)

/** Whether a kind has it, by its name in the path. */
export const hasSubresource = (spec: KindSpec, name: string): boolean =>
  name === 'status'
    ? spec.status === true
    : name === 'scale'
      ? spec.scale !== undefined
      : (spec.subresources ?? []).some((s) => s.name === name)
