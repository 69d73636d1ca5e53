import { compareQuantity, millis } from '../quantity.ts'
import type { LimitRangeItem } from '../types/core-v1.gen.ts'
import { LimitRange } from './index.ts'
import { nameColumn } from './rules/columns.ts'
import { validateContainerResource, validateResourceName } from './rules/container-resources.ts'
import { createdAtColumn } from './rules/created-at.ts'
import type { Faults } from './rules/faults.ts'
import { isDns1123Subdomain, isQualifiedName } from './rules/names.ts'
import { isOvercommitted } from './rules/resource-names.ts'
import type { KindSpec } from './spec.ts'

const types = ['Pod', 'Container', 'PersistentVolumeClaim']

export const limitRange: KindSpec<LimitRange> = {
  kind: LimitRange,
  singular: 'limitrange',
  shortNames: ['limits'],
  nameRule: isDns1123Subdomain,
  columns: [nameColumn, createdAtColumn],
  defaults({ spec }) {
    for (const limit of spec?.limits ?? []) if (limit.type === 'Container') defaultLimit(limit)
  },
  validate({ spec }, faults) {
    const seen = new Set<string>()
    for (const [i, limit] of (spec?.limits ?? []).entries()) {
      const at = `spec.limits[${i}]`
      const wrong = isQualifiedName(limit.type)
      if (wrong.length > 0) faults.each(`${at}.type`, limit.type, wrong)
      else if (!limit.type.includes('/') && !types.includes(limit.type))
        faults.invalid(`${at}.type`, limit.type, 'must be a standard limit type or fully qualified')
      if (seen.has(limit.type)) faults.duplicate(`${at}.type`, limit.type)
      seen.add(limit.type)
      validateLimit(at, limit, faults)
    }
  },
}

/** A limit that is not given is the maximum; a request that is not given the limit, or else the minimum. */
function defaultLimit(limit: LimitRangeItem): void {
  const limits = { ...limit.max, ...limit.default }
  const requests = { ...limit.min, ...limits, ...limit.defaultRequest }
  if (Object.keys(limits).length > 0) limit.default = limits
  if (Object.keys(requests).length > 0) limit.defaultRequest = requests
}

const above = (a: string | undefined, b: string | undefined): boolean => a !== undefined && b !== undefined && compareQuantity(a, b) > 0

function validateLimit(at: string, limit: LimitRangeItem, faults: Faults): void {
  if (limit.type === 'Pod') {
    for (const field of ['default', 'defaultRequest'] as const) {
      if (Object.keys(limit[field] ?? {}).length > 0) faults.forbidden(`${at}.${field}`, "may not be specified when `type` is 'Pod'")
    }
  }
  if (limit.type === 'PersistentVolumeClaim' && limit.min?.storage === undefined && limit.max?.storage === undefined)
    faults.required(`${at}.limits`, 'either minimum or maximum storage value is required, but neither was provided')
  const ofContainers = limit.type === 'Pod' || limit.type === 'Container'
  for (const field of ['max', 'min', 'default', 'defaultRequest', 'maxLimitRequestRatio'] as const) {
    for (const name of Object.keys(limit[field] ?? {}))
      (ofContainers ? validateContainerResource : validateResourceName)(`${at}.${field}[${name}]`, name, faults)
  }
  const lists = [limit.max, limit.min, limit.default, limit.defaultRequest, limit.maxLimitRequestRatio]
  for (const name of new Set(lists.flatMap((list) => Object.keys(list ?? {})))) validateResource(at, name, limit, faults)
}

function validateResource(at: string, name: string, limit: LimitRangeItem, faults: Faults): void {
  const [min, max, standard, request] = [limit.min?.[name], limit.max?.[name], limit.default?.[name], limit.defaultRequest?.[name]]
  const wrong = (field: string, value: string | undefined, less: string, more: string, than: [string | undefined, string | undefined]) =>
    faults.invalid(`${at}.${field}[${name}]`, value, `${less} value ${than[0]} is greater than ${more} value ${than[1]}`)
  if (above(min, max)) wrong('min', min, 'min', 'max', [min, max])
  if (above(min, request)) wrong('defaultRequest', request, 'min', 'default request', [min, request])
  if (above(request, max)) wrong('defaultRequest', request, 'default request', 'max', [request, max])
  if (above(request, standard)) wrong('defaultRequest', request, 'default request', 'default limit', [request, standard])
  if (above(min, standard)) wrong('default', min, 'min', 'default', [min, standard])
  if (above(standard, max)) wrong('default', max, 'default', 'max', [standard, max])
  const ratio = limit.maxLimitRequestRatio?.[name]
  if (ratio !== undefined) validateRatio(`${at}.maxLimitRequestRatio[${name}]`, ratio, min, max, faults)
  if (!isOvercommitted(name) && standard !== undefined && request !== undefined && compareQuantity(standard, request) !== 0) {
    const why = `default value ${standard} must equal to defaultRequest value ${request} in ${name}`
    faults.invalid(`${at}.defaultRequest[${name}]`, request, why)
  }
}

function validateRatio(field: string, ratio: string, min: string | undefined, max: string | undefined, faults: Faults): void {
  if (compareQuantity(ratio, '1') < 0) faults.invalid(field, ratio, `ratio ${ratio} is less than 1`)
  if (min === undefined || max === undefined || compareQuantity(min, '0') <= 0) return
  const most = millis(max) / millis(min)
  if (millis(ratio) / 1000 > most) faults.invalid(field, ratio, `ratio ${ratio} is greater than max/min = ${most.toFixed(6)}`)
}
