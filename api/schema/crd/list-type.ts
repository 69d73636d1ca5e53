// Rules for x-kubernetes-list-type and x-kubernetes-map-type, which say how appliers share a list or a map.

import type { Faults } from '../../kinds/rules/faults.ts'
import { itemsOf, type JsonSchema, propertyOf } from './json-schema.ts'

const listTypes = ['atomic', 'map', 'set']
const mapTypes = ['atomic', 'granular']
const scalars = ['boolean', 'integer', 'number', 'string']

export function validateListType(schema: JsonSchema, at: string, faults: Faults): void {
  const type = schema['x-kubernetes-list-type']
  const keys = schema['x-kubernetes-list-map-keys'] ?? []
  const typeAt = `${at}.x-kubernetes-list-type`
  const keysAt = `${at}.x-kubernetes-list-map-keys`
  if (type !== undefined) {
    if (schema.type !== 'array') faults.invalid(`${at}.type`, schema.type ?? '', 'must be array if x-kubernetes-list-type is specified')
    if (!listTypes.includes(type)) faults.notSupported(typeAt, type, listTypes)
  }
  if (keys.length && type !== 'map') {
    const why = 'must be map if x-kubernetes-list-map-keys is non-empty'
    if (type) faults.invalid(typeAt, type, why)
    else faults.required(typeAt, why)
  }
  const items = itemsOf(schema)
  if (type === 'set' && items) validateSetItems(items, `${at}.items`, faults)
  if (type !== 'map') return
  if (!keys.length) faults.required(keysAt, 'must not be empty if x-kubernetes-list-type is map')
  if (!items) return
  if (items.type !== 'object')
    faults.invalid(`${at}.items.type`, items.type ?? '', "must be object if parent array's x-kubernetes-list-type is map")
  const seen = new Set<string>()
  const required = new Set(items.required)
  for (const [i, key] of keys.entries()) {
    if (seen.has(key)) faults.duplicate(`${keysAt}[${i}]`, key)
    seen.add(key)
    const property = propertyOf(items, key)
    if (!property) {
      faults.invalid(`${keysAt}[${i}]`, key, 'entries must all be names of item properties')
      continue
    }
    const propertyAt = `${at}.items.properties[${key}]`
    if (!scalars.includes(property.type ?? '')) {
      faults.invalid(`${propertyAt}.type`, property.type ?? '', "must be a scalar type if parent array's x-kubernetes-list-type is map")
    }
    if (property.nullable) {
      faults.forbidden(`${propertyAt}.nullable`, 'this property is in x-kubernetes-list-map-keys, so it cannot be nullable')
    }
    if (property.default === undefined && !required.has(key)) {
      faults.required(
        `${propertyAt}.default`,
        'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property',
      )
    }
  }
}

/** What is in a set has no parts that could be changed on their own. */
function validateSetItems(items: JsonSchema, at: string, faults: Faults): void {
  if (items.nullable) faults.forbidden(`${at}.nullable`, 'cannot be nullable when x-kubernetes-list-type is set')
  if (items.type === 'object' && items['x-kubernetes-map-type'] !== 'atomic') {
    faults.invalid(
      `${at}.x-kubernetes-map-type`,
      items['x-kubernetes-map-type'] ?? '',
      'must be atomic as item of a list with x-kubernetes-list-type=set',
    )
  }
  if (items.type === 'array' && (items['x-kubernetes-list-type'] ?? 'atomic') !== 'atomic') {
    faults.invalid(
      `${at}.x-kubernetes-list-type`,
      items['x-kubernetes-list-type'],
      'must be atomic as item of a list with x-kubernetes-list-type=set',
    )
  }
}

export function validateMapType(schema: JsonSchema, at: string, faults: Faults): void {
  const type = schema['x-kubernetes-map-type']
  if (type === undefined) return
  if (schema.type !== 'object') faults.invalid(`${at}.type`, schema.type ?? '', 'must be object if x-kubernetes-map-type is specified')
  if (!mapTypes.includes(type)) faults.notSupported(`${at}.x-kubernetes-map-type`, type, mapTypes)
}
