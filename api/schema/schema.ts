// What a value of the API looks like: the one structure that decoding, defaults, patches, server-side
// apply, protobuf and OpenAPI walk. Built-in kinds are compiled from the table (compile.ts), a
// CustomResourceDefinition becomes the same nodes. Nodes are immutable and shared; struct fields are
// compiled when first asked for, since most of the table is never touched.

export type Schema = Scalar | List | Dict | Struct | Either

export type ScalarType =
  | 'string'
  | 'bool'
  | 'uint8'
  | 'int32'
  | 'int64'
  | 'float64'
  | 'bytes' // base64
  | 'quantity'
  | 'intOrString'
  | 'time' // RFC 3339, seconds
  | 'microTime'
  | 'duration' // Go's spelling, `1m30s`
  | 'object' // RawExtension: an object of some other kind, kept as it is
  | 'fieldsV1'
  | 'any' // any JSON value

export type Scalar = {
  readonly kind: 'scalar'
  readonly type: ScalarType
  /** Go's name of the type, for error texts: `int32`, `v1.Protocol`. */
  readonly go: string
  readonly enum?: readonly string[]
}

export type List = {
  readonly kind: 'list'
  readonly go: string
  readonly items: Schema
  readonly type: 'map' | 'set' | 'atomic'
  /** Of a `map` list: the fields that identify an item. */
  readonly keys: readonly string[]
  /** A named list type whose protobuf form is a message of `items`. */
  readonly wrapped?: boolean
  readonly loose?: boolean
}

/** A map from strings; `atomic` ones are replaced and owned whole. */
export type Dict = {
  readonly kind: 'dict'
  readonly go: string
  readonly values: Schema
  readonly atomic: boolean
  readonly loose?: boolean
}

export type Struct = {
  readonly kind: 'struct'
  readonly go: string
  /** Name in OpenAPI, e.g. `io.k8s.api.core.v1.PodSpec`. */
  readonly name: string
  readonly atomic: boolean
  readonly fields: ReadonlyMap<string, Field>
  /** Fields that the struct does not name are kept, not pruned. */
  readonly open?: boolean
  /** Of a custom resource: a value of another form, or null, is kept as it is, for validation to judge. */
  readonly loose?: boolean
  /** Protobuf field numbers; an embedded Go struct is a message of its own there. */
  readonly wire: ReadonlyMap<number, Field | Struct>
}

/** An object (of `struct`), or a value of another form; only the JSON schemas of CRDs have these. */
export type Either = {
  readonly kind: 'either'
  readonly go: string
  readonly struct: Struct
  /** Name of the other form's OpenAPI type. */
  readonly name: string
  readonly other: 'bool' | 'structs' | 'strings'
}

/**
 * What stands in the output where the field has no value, or Go's zero value:
 * `given`: nothing, but an explicit zero stays (pointers); `nonzero`: nothing, a zero is dropped too
 * (omitempty); `always`: the zero value (structs by value, required scalars).
 */
export type Presence = 'given' | 'nonzero' | 'always'

export type PatchStrategy = { readonly merge: boolean; readonly replace: boolean; readonly retainKeys: boolean; readonly key?: string }

export type Field = {
  readonly name: string
  readonly schema: Schema
  readonly presence: Presence
  /** Go has a pointer here: protobuf writes nothing for what is not there, and a zero for what is no pointer. */
  readonly pointer?: boolean
  /** Of OpenAPI's `required`. */
  readonly required: boolean
  readonly default?: unknown
  /** Null is a value, and kept. */
  readonly nullable?: boolean
  readonly patch?: PatchStrategy
}

/** What no schema describes: maps have parts, all else is a whole. */
export const deduced: Struct = Object.freeze({
  kind: 'struct',
  go: '',
  name: '',
  atomic: false,
  open: true,
  loose: true,
  fields: new Map(),
  wire: new Map(),
})

export type Gvk = { group: string; version: string; kind: string }
