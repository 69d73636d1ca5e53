// Judges a custom object by its schema, in the words of Kubernetes. What an update leaves as it was is not
// judged again (ratcheting), so that a schema may become stricter than the objects that are there.

import { Faults, same } from '../../kinds/rules/faults.ts'
import { validateAnnotations, validateLabels } from '../../kinds/rules/meta.ts'
import { isObject, type JsonObject } from '../decode.ts'
import { isFormatted } from './formats.ts'
import { isEmbedded, isIntOrString, itemsOf, type JsonSchema, propertyOf, valuesOf } from './json-schema.ts'
import type { Patterns } from './pattern.ts'

export type Judgement = {
  schema: JsonSchema
  value: unknown
  /** What was there before an update. */
  previous?: unknown
  /** Where the value is; '' for the object itself. */
  path: string
  faults: Faults
}

export function validator({ patterns }: { patterns: Patterns }): (judgement: Judgement) => void {
  const check = ({ schema, value, previous, path, faults }: Judgement): void => {
    if (previous !== undefined && same(value, previous)) return
    const actual = typeOf(value)
    if (!isOfType(schema, value, actual)) {
      const wanted = isIntOrString(schema) ? 'integer,string' : (schema.type ?? '')
      return faults.mistyped(path || '<nil>', actual, `${path} in body must be of type ${wanted}: ${JSON.stringify(actual)}`)
    }
    compose(schema, value, path, faults)
    if (typeof value === 'string') text(schema, value, path, faults)
    else if (typeof value === 'number' || typeof value === 'bigint') number(schema, value, path, faults)
    else if (Array.isArray(value)) list(schema, value, previous, path, faults)
    if (schema.enum?.length && !allowedBy(schema.enum).has(canonical(value)) && !(value === null && schema.nullable)) {
      faults.notSupported(
        path,
        value,
        schema.enum.map((allowed) => (typeof allowed === 'string' ? allowed : JSON.stringify(allowed))),
      )
    }
    if (isObject(value)) object(schema, value, previous, path, faults)
  }

  function compose(schema: JsonSchema, value: unknown, path: string, faults: Faults): void {
    const results = (schemas: readonly JsonSchema[]) =>
      schemas.map((each) => {
        const own = new Faults()
        check({ schema: each, value, path, faults: own })
        return own
      })
    const say = (why: string) => faults.invalid(path || '<nil>', '', `${JSON.stringify(path)} ${why}`)
    /** Of the schema that came nearest. */
    const nearest = (all: readonly Faults[]) => {
      const [best] = all.toSorted((a, b) => a.list.length - b.list.length)
      faults.list.push(...(best?.list ?? []))
    }
    if (schema.anyOf?.length) {
      const all = results(schema.anyOf)
      if (all.every((each) => each.list.length)) {
        say('must validate at least one schema (anyOf)')
        nearest(all)
      }
    }
    if (schema.oneOf?.length) {
      const all = results(schema.oneOf)
      const valid = all.filter((each) => !each.list.length).length
      if (valid === 0) {
        say('must validate one and only one schema (oneOf). Found none valid')
        nearest(all)
      } else if (valid > 1) say(`must validate one and only one schema (oneOf). Found ${valid} valid alternatives`)
    }
    if (schema.allOf?.length) {
      const failed = results(schema.allOf).filter((each) => each.list.length)
      for (const each of failed) faults.list.push(...each.list)
      if (failed.length) say(`must validate all the schemas (allOf)${failed.length === schema.allOf.length ? '. None validated' : ''}`)
    }
    if (schema.not && results([schema.not])[0]?.list.length === 0) say('must not validate the schema (not)')
  }

  function text(schema: JsonSchema, value: string, path: string, faults: Faults): void {
    const { minLength, maxLength, pattern, format } = schema
    const length = maxLength === undefined && minLength === undefined ? 0 : lengthOf(value)
    if (maxLength !== undefined && length > maxLength) faults.tooLong(path, maxLength)
    if (minLength !== undefined && length < minLength)
      faults.invalid(path, value, `${path} in body should be at least ${minLength} chars long`)
    if (pattern) {
      const compiled = patterns.of(pattern)
      if (typeof compiled === 'string' || !compiled.test(value)) faults.invalid(path, value, `${path} in body should match '${pattern}'`)
    }
    if (format && !isFormatted(format, value)) {
      faults.mistyped(path, value, `${path} in body must be of type ${format}: ${JSON.stringify(value)}`)
    }
  }

  function list(schema: JsonSchema, value: unknown[], previous: unknown, path: string, faults: Faults): void {
    const { minItems, maxItems, uniqueItems } = schema
    if (maxItems !== undefined && value.length > maxItems) faults.tooMany(path, value.length, maxItems)
    if (minItems !== undefined && value.length < minItems)
      faults.invalid(path, value.length, `${path} in body should have at least ${minItems} items`)
    if (uniqueItems && distinct(value).size < value.length) faults.invalid(path, '', `${path} in body shouldn't contain duplicates`)
    const items = itemsOf(schema)
    const keys = schema['x-kubernetes-list-type'] === 'map' ? (schema['x-kubernetes-list-map-keys'] ?? []) : undefined
    if (keys || schema['x-kubernetes-list-type'] === 'set') uniqueness(value, keys, path, faults)
    if (!items) return
    const before = keys && Array.isArray(previous) ? new Map(previous.map((item) => [identity(item, keys), item])) : undefined
    for (const [i, item] of value.entries()) {
      const previous = keys && before?.get(identity(item, keys))
      check({ schema: items, value: item, path: `${path}[${i}]`, faults, ...(previous !== undefined && { previous }) })
    }
  }

  function object(schema: JsonSchema, value: JsonObject, previous: unknown, path: string, faults: Faults): void {
    const { minProperties, maxProperties } = schema
    const names = Object.keys(value)
    if (maxProperties !== undefined && names.length > maxProperties) faults.tooMany(path, names.length, maxProperties)
    if (minProperties !== undefined && names.length < minProperties) {
      faults.invalid(path, names.length, `${path} in body should have at least ${minProperties} properties`)
    }
    for (const name of schema.required ?? []) if (!Object.hasOwn(value, name)) faults.required(child(path, name))
    if (isEmbedded(schema)) embedded(value, path, faults)
    const values = valuesOf(schema)
    for (const name of names) {
      const inner = propertyOf(schema, name) ?? values
      if (!inner) continue
      const before = isObject(previous) && Object.hasOwn(previous, name) ? previous[name] : undefined
      check({ schema: inner, value: value[name], path: child(path, name), faults, ...(before !== undefined && { previous: before }) })
    }
  }
  return check
}

const child = (path: string, name: string): string => (path ? `${path}.${name}` : name)

function number(schema: JsonSchema, value: number | bigint, path: string, faults: Faults): void {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf, format } = schema
  const should = (what: string) => faults.invalid(path, value, `${path} in body should be ${what}`)
  if (maximum !== undefined && (exclusiveMaximum ? value >= maximum : value > maximum)) {
    should(`less than ${exclusiveMaximum ? '' : 'or equal to '}${maximum}`)
  }
  if (minimum !== undefined && (exclusiveMinimum ? value <= minimum : value < minimum)) {
    should(`greater than ${exclusiveMinimum ? '' : 'or equal to '}${minimum}`)
  }
  if (multipleOf !== undefined && !isMultiple(value, multipleOf)) should(`a multiple of ${multipleOf}`)
  if (format === 'int32' && (value > 0x7fff_ffff || value < -0x8000_0000)) {
    faults.invalid(path, value, `Checked value must be of type ${schema.type} with format int32 in ${path}`)
  }
}

/** What an enumeration allows, as canonical text: it is asked of every item of a list. */
const enumerations = new WeakMap<readonly unknown[], ReadonlySet<string>>()

function allowedBy(values: readonly unknown[]): ReadonlySet<string> {
  const known = enumerations.get(values) ?? new Set(values.map(canonical))
  enumerations.set(values, known)
  return known
}

const isMultiple = (value: number | bigint, of: number): boolean =>
  typeof value === 'bigint' && Number.isInteger(of) ? value % BigInt(of) === 0n : Number.isInteger(Number(value) / of)

/** JSON Schema counts characters. */
function lengthOf(text: string): number {
  let length = 0
  for (const _ of text) length += 1
  return length
}

function typeOf(value: unknown): string {
  if (value === null || value === undefined) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'bigint') return 'integer'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number'
  return typeof value
}

function isOfType(schema: JsonSchema, value: unknown, actual: string): boolean {
  if (value === null) return schema.nullable === true || (!schema.type && !isIntOrString(schema))
  if (isIntOrString(schema)) return actual === 'integer' || actual === 'string'
  return !schema.type || schema.type === actual || (schema.type === 'number' && actual === 'integer')
}

/** What tells an item of a list of type map from the others. */
const identity = (item: unknown, keys: readonly string[]): string =>
  isObject(item) ? JSON.stringify(keys.map((key) => (Object.hasOwn(item, key) ? item[key] : undefined))) : JSON.stringify(item)

function uniqueness(value: unknown[], keys: readonly string[] | undefined, path: string, faults: Faults): void {
  const seen = new Set<string>()
  for (const [i, item] of value.entries()) {
    const id = keys ? identity(item, keys) : canonical(item)
    if (seen.has(id)) {
      const named = keys && isObject(item) ? Object.fromEntries(keys.filter((k) => Object.hasOwn(item, k)).map((k) => [k, item[k]])) : item
      faults.duplicate(`${path}[${i}]`, named)
    }
    seen.add(id)
  }
}

const distinct = (items: unknown[]): Set<string> => new Set(items.map(canonical))

/** The same text for the same value, whatever the order of its keys. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`
  if (!isObject(value)) return JSON.stringify(value)
  const keys = Object.keys(value).sort()
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join()}}`
}

/** An object inside another says what it is, and its metadata are metadata. */
function embedded(value: JsonObject, path: string, faults: Faults): void {
  for (const name of ['apiVersion', 'kind']) {
    if (value[name] === undefined || value[name] === '') faults.required(child(path, name), 'must not be empty')
  }
  const { metadata } = value
  if (!isObject(metadata)) return
  const { labels, annotations } = metadata
  if (isObject(labels)) validateLabels(`${path}.metadata.labels`, labels as Record<string, string>, faults)
  if (isObject(annotations)) validateAnnotations(`${path}.metadata.annotations`, annotations as Record<string, string>, faults)
}
