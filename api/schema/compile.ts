// Compiles the table's types into schema nodes, each on first use.

import { typeFor } from './lookup.ts'
import type { Dict, Either, Field, Gvk, List, PatchStrategy, Presence, Scalar, ScalarType, Schema, Struct } from './schema.ts'
import { type FieldFacts, factsOf, splitType } from './table.ts'

const meta = 'apimachinery/pkg/apis/meta/v1'
const extensions = /^apiextensions-apiserver\/pkg\/apis\/apiextensions\/v1(beta1)?\./

const scalarTypes: Record<string, ScalarType> = {
  string: 'string',
  bool: 'bool',
  byte: 'uint8',
  int32: 'int32',
  int64: 'int64',
  float64: 'float64',
  any: 'any',
  'time.Time': 'time',
  'time.Duration': 'int64',
  [`${meta}.Time`]: 'time',
  [`${meta}.MicroTime`]: 'microTime',
  [`${meta}.Duration`]: 'duration',
  [`${meta}.FieldsV1`]: 'fieldsV1',
  'apimachinery/pkg/runtime.RawExtension': 'object',
  'apimachinery/pkg/api/resource.Quantity': 'quantity',
  'apimachinery/pkg/util/intstr.IntOrString': 'intOrString',
}

/** The other form of JSONSchemaPropsOr…, by the end of its name. */
const eithers: Record<string, Either['other']> = { OrBool: 'bool', OrArray: 'structs', OrStringArray: 'strings' }

/** Constants that `default` refers to by their Go name. */
const constants: Record<string, string> = { AzureDataDiskCachingReadWrite: 'ReadWrite', AzureSharedBlobDisk: 'Shared' }

/** The types that structs are shared by: one node each, whatever refers to it. */
const named = new Map<string, Schema>()

/** Schema of a kind, or undefined where the table has none. Options (`DeleteOptions`, …) are in every group. */
export function schemaOf(ref: Gvk): Struct | undefined {
  const type = typeFor(ref)
  const schema = type === undefined ? undefined : compile(type)
  return schema?.kind === 'struct' ? schema : undefined
}

/** Schema of a type by its Go spelling, e.g. `api/core/v1.PodSpec`. */
export function compile(type: string): Schema {
  if (type.startsWith('*')) return compile(type.slice(1))
  if (type === '[]byte') return scalar('bytes', '[]uint8')
  if (type.startsWith('[]')) return listOf(type, {})
  if (type.startsWith('map[')) return dictOf(type, false)
  const cached = named.get(type)
  if (cached) return cached
  const schema = compileNamed(type)
  named.set(type, schema)
  return schema
}

function compileNamed(type: string): Schema {
  const known = scalarTypes[type]
  if (known) return scalar(known, goName(type))
  const facts = factsOf(type)
  if (extensions.test(type)) {
    const [pkg, name] = splitType(type)
    if (name === 'JSON') return scalar('any', goName(type))
    const other = eithers[name.replace(/^JSONSchemaProps/, '')]
    if (other) {
      const struct = compile(`${pkg}.JSONSchemaProps`) as Struct
      return { kind: 'either', go: goName(type), name: openapiName(type), struct, other } satisfies Either
    }
  }
  if (!facts) return scalar('string', goName(type)) // named strings of packages that the table leaves out: types.UID, types.NodeName
  if (facts.fields) return structOf(type)
  if (!facts.alias) return scalar('any', goName(type))
  if (facts.alias === 'string') return { kind: 'scalar', type: 'string', go: goName(type), ...(facts.isEnum && { enum: facts.enum ?? [] }) }
  const under = compile(facts.alias)
  if (under.kind === 'list') return { ...under, go: goName(type), wrapped: /\.(ExtraValue|Verbs)$/.test(type) }
  if (under.kind === 'dict') return { ...under, go: goName(type) }
  return under
}

const scalar = (type: ScalarType, go: string): Scalar => ({ kind: 'scalar', type, go })

function listOf(type: string, field: Pick<FieldFacts, 'listType' | 'listMapKeys'>): List {
  const items = compile(type.slice(2))
  return { kind: 'list', go: goName(type), items, type: field.listType ?? 'atomic', keys: field.listMapKeys ?? [] }
}

const dictOf = (type: string, atomic: boolean): Dict => ({
  kind: 'dict',
  go: goName(type),
  values: compile(type.slice(type.indexOf(']') + 1)),
  atomic,
})

function structOf(type: string): Struct {
  const facts = factsOf(type)
  let fields: ReadonlyMap<string, Field> | undefined
  let wire: ReadonlyMap<number, Field | Struct> | undefined
  return {
    kind: 'struct',
    go: goName(type),
    name: openapiName(type),
    atomic: facts?.structType === 'atomic',
    get fields() {
      fields ??= fieldsOf(facts?.fields ?? [])
      return fields
    },
    get wire() {
      wire ??= wireOf(facts?.fields ?? [], this.fields)
      return wire
    },
  }
}

function fieldsOf(facts: FieldFacts[]): Map<string, Field> {
  const fields = new Map<string, Field>()
  for (const fact of facts) {
    if (!fact.inline) fields.set(fact.name, fieldOf(fact))
    else for (const [name, field] of fieldsOf(factsOf(bare(fact.type))?.fields ?? [])) fields.set(name, field)
  }
  return fields
}

function wireOf(facts: FieldFacts[], fields: ReadonlyMap<string, Field>): Map<number, Field | Struct> {
  const wire = new Map<number, Field | Struct>()
  for (const fact of facts) {
    if (fact.proto === undefined) continue
    const entry = fact.inline ? compile(bare(fact.type)) : fields.get(fact.name)
    if (entry && (!('kind' in entry) || entry.kind === 'struct')) wire.set(fact.proto, entry)
  }
  return wire
}

const bare = (type: string) => type.replace(/^\*/, '')

function fieldOf(fact: FieldFacts): Field {
  let schema: Schema | undefined
  let known: Presence | undefined
  const pointer = fact.type.startsWith('*')
  const patch = patchOf(fact)
  return {
    name: fact.name,
    get schema() {
      schema ??= fieldSchema(fact)
      return schema
    },
    get presence() {
      known ??= pointer || fact.omitZero ? 'given' : presence(this.schema, fact.omitEmpty ?? false)
      return known
    },
    pointer,
    required: fact.required ?? (!fact.omitEmpty && !fact.optional),
    ...(fact.default !== undefined && { default: defaultOf(fact.default) }),
    ...(patch && { patch }),
  }
}

function fieldSchema(fact: FieldFacts): Schema {
  const type = bare(fact.type)
  const schema = type.startsWith('[]') && type !== '[]byte' ? listOf(type, fact) : compile(type)
  if (fact.mapType === 'atomic' && schema.kind === 'dict') return { ...schema, atomic: true }
  if (fact.listType && schema.kind === 'list') return { ...schema, type: fact.listType, keys: fact.listMapKeys ?? [] }
  return schema
}

function presence(schema: Schema, omitEmpty: boolean): Presence {
  if (schema.kind === 'struct') return 'always'
  if (schema.kind === 'either') return 'given'
  if (schema.kind === 'scalar') {
    switch (schema.type) {
      case 'quantity':
        return 'always'
      case 'time':
      case 'microTime':
      case 'object':
      case 'fieldsV1':
      case 'any':
        return 'given'
      case 'intOrString':
        return omitEmpty ? 'given' : 'always'
    }
  }
  return omitEmpty ? 'nonzero' : 'always'
}

function patchOf(fact: FieldFacts): PatchStrategy | undefined {
  if (!fact.patchStrategy) return undefined
  const words = fact.patchStrategy.split(',')
  return {
    merge: words.includes('merge'),
    replace: words.includes('replace'),
    retainKeys: words.includes('retainKeys'),
    ...(fact.patchMergeKey && { key: fact.patchMergeKey }),
  }
}

function defaultOf(text: string): unknown {
  const ref = /^ref\((.*)\)$/.exec(text)
  return ref ? constants[ref[1] ?? ''] : (JSON.parse(text) as unknown)
}

/** `[]api/core/v1.Container` → `[]v1.Container`. */
const goName = (type: string): string =>
  type
    .replace(/^\*/, '')
    .replace(/[\w./-]*\//g, '')
    .replace(/(^|\])byte$/, '$1uint8')
    .replace(/\bany\b/, 'interface {}')

/** `api/core/v1.Pod` → `io.k8s.api.core.v1.Pod`. */
const openapiName = (type: string): string => `io.k8s.${type.replaceAll('/', '.')}`
