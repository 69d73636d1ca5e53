// What makes a schema structural: every field it speaks of has one type, told once, outside of allOf and
// the like; so that objects can be pruned, defaulted and merged. The rules and their words are Kubernetes'
// (apiextensions-apiserver pkg/apiserver/schema, pkg/apis/apiextensions/validation).

import type { Steps } from '../../breather.ts'
import { type Faults, same } from '../../kinds/rules/faults.ts'
import { isEmbedded, isIntOrString, itemsOf, type JsonSchema, keepsUnknown, propertyOf, structureOf, valuesOf } from './json-schema.ts'
import { validateListType, validateMapType } from './list-type.ts'
import type { Patterns } from './pattern.ts'

type Level = 'root' | 'item' | 'field'

const types = ['array', 'boolean', 'integer', 'number', 'object', 'string']
/** The union that an int-or-string may spell out. */
const intOrString = [{ type: 'integer' }, { type: 'string' }]
const missingType: Record<Level, string> = {
  root: 'must not be empty at the root',
  item: 'must not be empty for specified array items',
  field: 'must not be empty for specified object fields',
}
/** Deeper than any schema that people write. */
const maxDepth = 200

/** `path` is that of the schema, e.g. `spec.versions[0].schema.openAPIV3Schema`. */
export function* validateStructure(schema: JsonSchema, path: string, deps: { patterns: Patterns; faults: Faults }): Steps<void> {
  const { patterns, faults } = deps
  yield* visit(schema, 'root', path, 0)

  function* visit(schema: JsonSchema, level: Level, at: string, depth: number): Steps<void> {
    if (depth > maxDepth) {
      faults.invalid(at, '', `must not be nested deeper than ${maxDepth} levels`)
      return
    }
    validateSupport(schema, at, faults)
    validateType(schema, level, at)
    validateListType(schema, at, faults)
    validateMapType(schema, at, faults)
    validateMetadata(schema, level, at)
    yield* validateLogic(schema, schema, at, depth)
    for (const [step, inner] of structureOf(schema)) yield* visit(inner, step === '.items' ? 'item' : 'field', at + step, depth + 1)
  }

  function validateType(schema: JsonSchema, level: Level, at: string): void {
    const { type } = schema
    const properties = Object.keys(schema.properties ?? {})
    const additional = schema.additionalProperties
    if (isEmbedded(schema) && type !== 'object') {
      const why = 'must be object if x-kubernetes-embedded-resource is true'
      if (type) faults.invalid(`${at}.type`, type, why)
      else faults.required(`${at}.type`, why)
    } else if (!type && !isIntOrString(schema) && !keepsUnknown(schema)) faults.required(`${at}.type`, missingType[level])
    if (type === 'null') faults.forbidden(`${at}.type`, 'type cannot be set to null, use nullable as an alternative')
    else if (type && !types.includes(type)) faults.notSupported(`${at}.type`, type, types)
    if (level === 'root' && type && type !== 'object') faults.invalid(`${at}.type`, type, 'must be object at the root')
    if (level === 'root' && schema.nullable) faults.forbidden(`${at}.nullable`, 'nullable cannot be true at the root')
    if (type === 'array' && !schema.items) faults.required(`${at}.items`, 'must be specified')
    if (additional !== undefined && level === 'root') faults.forbidden(`${at}.additionalProperties`, 'must not be used at the root')
    if (additional === false) faults.forbidden(`${at}.additionalProperties`, 'additionalProperties cannot be set to false')
    else if (additional !== undefined && properties.length && additional !== true) {
      faults.forbidden(`${at}.additionalProperties`, 'additionalProperties and properties are mutual exclusive')
    }
    if (isEmbedded(schema) && additional !== undefined) {
      faults.forbidden(`${at}.additionalProperties`, 'must not be used if x-kubernetes-embedded-resource is set')
    }
    if (isEmbedded(schema) && !keepsUnknown(schema) && !properties.length) {
      faults.required(
        `${at}.properties`,
        'must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields',
      )
    }
    if (isIntOrString(schema)) {
      const why = 'must be false if x-kubernetes-int-or-string is true'
      if (keepsUnknown(schema)) faults.invalid(`${at}.x-kubernetes-preserve-unknown-fields`, true, why)
      if (isEmbedded(schema)) faults.invalid(`${at}.x-kubernetes-embedded-resource`, true, why)
    }
    if (schema['x-kubernetes-preserve-unknown-fields'] === false) {
      faults.invalid(`${at}.x-kubernetes-preserve-unknown-fields`, false, 'must be true or undefined')
    }
  }

  /** What every object has is not the schema's to say, but for the form of its name. */
  function validateMetadata(schema: JsonSchema, level: Level, at: string): void {
    if (level !== 'root' && !isEmbedded(schema)) return
    for (const name of ['apiVersion', 'kind']) {
      const property = propertyOf(schema, name)
      if (property && property.type !== 'string') faults.invalid(`${at}.properties[${name}].type`, property.type ?? '', 'must be string')
    }
    const metadata = propertyOf(schema, 'metadata')
    if (!metadata) return
    if (metadata.type !== 'object') faults.invalid(`${at}.properties[metadata].type`, metadata.type ?? '', 'must be object')
    if (level !== 'root') return
    const { type: _, description: _described, properties = {}, ...rest } = metadata
    if (Object.keys(rest).length || Object.keys(properties).some((name) => name !== 'name' && name !== 'generateName')) {
      faults.forbidden(
        `${at}.properties[metadata]`,
        'must not specify anything other than name and generateName, but metadata is implicitly specified',
      )
    }
  }

  /** Value validations of `schema`, a schema in the structure or one under its allOf and the like; `structure` gives the types. */
  function* validateLogic(schema: JsonSchema, structure: JsonSchema, at: string, depth: number): Steps<void> {
    if (depth > maxDepth) return
    yield
    const { pattern, anyOf = [], allOf = [], oneOf = [] } = schema
    if (pattern) {
      const compiled = patterns.of(pattern)
      if (typeof compiled === 'string')
        faults.invalid(`${at}.pattern`, pattern, `must be a valid regular expression, but isn't: ${compiled}`)
    }
    const loose = isIntOrString(structure)
    if (!(loose && same(anyOf, intOrString)))
      for (const [i, inner] of anyOf.entries()) yield* nested(inner, structure, `${at}.anyOf[${i}]`, depth + 1)
    for (const [i, inner] of allOf.entries()) {
      if (!(loose && i === 0 && same(inner.anyOf, intOrString))) yield* nested(inner, structure, `${at}.allOf[${i}]`, depth + 1)
    }
    for (const [i, inner] of oneOf.entries()) yield* nested(inner, structure, `${at}.oneOf[${i}]`, depth + 1)
    if (schema.not) yield* nested(schema.not, structure, `${at}.not`, depth + 1)
  }

  function* nested(schema: JsonSchema, structure: JsonSchema, at: string, depth: number): Steps<void> {
    validateSupport(schema, at, faults)
    for (const [field, why] of nestedFields) {
      const value = schema[field]
      if (value !== undefined && value !== '' && value !== false && !(Array.isArray(value) && !value.length)) {
        faults.forbidden(`${at}.${field}`, `must be ${why} to be structural`)
      }
    }
    yield* validateLogic(schema, structure, at, depth)
    const items = itemsOf(schema)
    if (items) {
      const known = itemsOf(structure)
      if (known) yield* nested(items, known, `${at}.items`, depth + 1)
      else faults.required(`${path}${inStructure(at)}.items`, `because it is defined in ${at}.items`)
    }
    for (const [name, property] of Object.entries(schema.properties ?? {})) {
      const inner = `${at}.properties[${name}]`
      if (name === 'metadata') faults.forbidden(inner, 'must not be specified in a nested context')
      const known = propertyOf(structure, name) ?? valuesOf(structure)
      if (known) yield* nested(property, known, inner, depth + 1)
      else if (!isImplicit(structure, name))
        faults.required(`${path}${inStructure(at)}.properties[${name}]`, `because it is defined in ${inner}`)
    }
  }

  function isImplicit(structure: JsonSchema, name: string): boolean {
    return (structure === schema || isEmbedded(structure)) && ['apiVersion', 'kind', 'metadata'].includes(name)
  }

  /** Where in the structure a place under allOf and the like is, from the root on. */
  function inStructure(at: string): string {
    return at.slice(path.length).replace(/\.(allOf|anyOf|oneOf)\[\d+\]|\.not(?=\.|$)/g, '')
  }
}

/** What may stand only in the structure itself. */
const nestedFields = [
  ['type', 'empty'],
  ['additionalProperties', 'undefined'],
  ['default', 'undefined'],
  ['title', 'empty'],
  ['description', 'empty'],
  ['nullable', 'false'],
  ['externalDocs', 'undefined'],
  ['x-kubernetes-preserve-unknown-fields', 'false'],
  ['x-kubernetes-embedded-resource', 'false'],
  ['x-kubernetes-int-or-string', 'false'],
  ['x-kubernetes-list-map-keys', 'empty'],
  ['x-kubernetes-list-type', 'undefined'],
  ['x-kubernetes-map-type', 'undefined'],
  ['x-kubernetes-validations', 'empty'],
] as const

const unsupported = ['$ref', 'definitions', 'dependencies', 'id', 'patternProperties', 'additionalItems', '$schema'] as const

function validateSupport(schema: JsonSchema, at: string, faults: Faults): void {
  for (const field of unsupported) if (schema[field] !== undefined) faults.forbidden(`${at}.${field}`, `${field} is not supported`)
  if (Array.isArray(schema.items)) faults.forbidden(`${at}.items`, 'items must be a schema object and not an array')
  if (schema.uniqueItems) {
    faults.forbidden(`${at}.uniqueItems`, 'uniqueItems cannot be set to true since the runtime complexity becomes quadratic')
  }
}
