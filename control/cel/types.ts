// The schema of a custom resource as CEL types, and its values as values of those types. Integers are
// bigints, objects with named fields are instances of a class of their own, other objects are Maps.

import { type Environment, evaluate } from '@marcbachmann/cel-js'
import { isEmbedded, isIntOrString, itemsOf, type JsonSchema, valuesOf } from '#api/schema/crd/json-schema.ts'
import { isObject, type JsonObject } from '#api/schema/decode.ts'
import { equal } from './library/order.ts'

export type Typed = {
  /** Name of the CEL type. */
  type: string
  /** Of a value that is not null. */
  convert(value: unknown): unknown
}

const same: Typed['convert'] = (value) => value
const any: Typed = { type: 'dyn', convert: dynamic }
/** What CEL may know of the metadata. */
const metadata: JsonSchema = { type: 'object', properties: { name: { type: 'string' }, generateName: { type: 'string' } } }
const text: JsonSchema = { type: 'string' }
/** What every whole object has, whatever its schema says. */
export const implicitOf: Readonly<Record<string, JsonSchema>> = { apiVersion: text, kind: text, metadata }

const reserved = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return var void while'.split(' '),
)
const escapes: readonly [RegExp, string][] = [
  [/__/g, '__underscores__'],
  [/\./g, '__dot__'],
  [/-/g, '__dash__'],
  [/\//g, '__slash__'],
]

/** A property's name as CEL spells it; undefined where it cannot, or where every JavaScript object has one. */
export function celName(name: string): string | undefined {
  if (name in Object.prototype) return undefined
  if (reserved.has(name)) return `__${name}__`
  const escaped = escapes.reduce((all, [character, spelled]) => all.replace(character, spelled), name)
  return /^[A-Za-z_]\w*$/.test(escaped) ? escaped : undefined
}

/** Declares types in `environment`, which must not have been cloned yet. */
export class Types {
  readonly #environment: Environment
  readonly #spell: (name: string) => string | undefined
  readonly #known = new Map<JsonSchema, Typed>()

  /** `plain`: names are spelled as they are, even where CEL reserves them. */
  constructor(environment: Environment, { plain = false } = {}) {
    this.#environment = environment
    this.#spell = plain ? (name) => name : celName
  }

  /** `root`: the schema of a whole object. */
  of(schema: JsonSchema, root = false): Typed {
    const known = this.#known.get(schema)
    if (known) return known
    const made = this.#make(schema, root)
    this.#known.set(schema, made)
    return made
  }

  #make(schema: JsonSchema, root: boolean): Typed {
    if (isIntOrString(schema)) return any
    switch (schema.type) {
      case 'string':
        return textType(schema.format)
      case 'integer':
        return { type: 'int', convert: (value) => (typeof value === 'number' ? BigInt(Math.trunc(value)) : value) }
      case 'number':
        return { type: 'double', convert: (value) => (typeof value === 'bigint' ? Number(value) : value) }
      case 'boolean':
        return { type: 'bool', convert: same }
      case 'array':
        return this.#list(schema)
      case 'object':
        return this.#object(schema, root)
      default:
        return any
    }
  }

  #list(schema: JsonSchema): Typed {
    const items = itemsOf(schema)
    const inner = items ? this.of(items) : any
    return {
      type: `list<${inner.type}>`,
      convert: (value) => (Array.isArray(value) ? value.map((item) => (item === null ? null : inner.convert(item))) : value),
    }
  }

  #object(schema: JsonSchema, root: boolean): Typed {
    const values = valuesOf(schema)
    if (values) {
      const inner = this.of(values)
      const convert = (value: unknown) =>
        isObject(value) ? new Map(Object.entries(value).map(([key, each]) => [key, each === null ? null : inner.convert(each)])) : value
      return { type: `map<string, ${inner.type}>`, convert }
    }
    const properties = { ...schema.properties, ...((root || isEmbedded(schema)) && implicitOf) }
    return Object.keys(properties).length ? this.#struct(properties) : any
  }

  #struct(properties: Readonly<Record<string, JsonSchema>>): Typed {
    const fields: Record<string, string> = {}
    const converts: [name: string, spelled: string, inner: Typed][] = []
    for (const [name, property] of Object.entries(properties)) {
      const spelled = this.#spell(name)
      if (!spelled) continue
      const inner = this.of(property)
      fields[spelled] = inner.type
      converts.push([name, spelled, inner])
    }
    const type = `Object${this.#known.size}x${Object.keys(fields).length}`
    const ctor = function Fields() {} as unknown as new () => JsonObject
    this.#environment.registerType(type, { ctor, fields })
    this.#environment.registerOperator(`${type} == ${type}`, equal)
    // Of an object that may not be there.
    this.#environment.registerOperator(`${type} == null`, (value: unknown) => value === null)
    const convert = (value: unknown) => {
      if (!isObject(value)) return value
      const object = new ctor()
      for (const [name, spelled, typed] of converts) {
        const inner = Object.hasOwn(value, name) ? value[name] : undefined
        // A null is as good as nothing.
        if (inner !== undefined && inner !== null) object[spelled] = typed.convert(inner)
      }
      return object
    }
    return { type, convert }
  }
}

function textType(format: string | undefined): Typed {
  switch (format) {
    case 'date':
    case 'date-time':
      return { type: 'google.protobuf.Timestamp', convert: (value) => (typeof value === 'string' ? new Date(value) : value) }
    case 'duration':
      return { type: 'google.protobuf.Duration', convert: (text) => evaluate('duration(text)', { text }) as unknown }
    case 'byte':
      return { type: 'bytes', convert: (value) => (typeof value === 'string' ? new Uint8Array(Buffer.from(value, 'base64')) : value) }
    default:
      return { type: 'string', convert: same }
  }
}

/** A value that no schema describes. */
export function dynamic(value: unknown): unknown {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value
  if (Array.isArray(value)) return value.map(dynamic)
  return isObject(value) ? new Map(Object.entries(value).map(([key, inner]) => [key, dynamic(inner)])) : value
}
