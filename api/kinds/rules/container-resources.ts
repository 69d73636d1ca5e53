// Rules for what containers, and pods as a whole, ask for and are limited to.

import { compareQuantity, isQuantity } from '../../quantity.ts'
import { addQuantities, formatQuantity, parseQuantity, type Quantity } from '../../schema/quantity.ts'
import type { PodSpec, ResourceRequirements } from '../../types/core-v1.gen.ts'
import type { Faults } from './faults.ts'
import { isDns1123Label, isQualifiedName } from './names.ts'
import { isHugePages, isOvercommitted, isStandard, isWhole, wrongExtendedName } from './resource-names.ts'

/** `claims`: the names of the pod's resource claims; undefined where there can be none. */
export function validateResources(
  at: string,
  resources: ResourceRequirements | undefined,
  claims: ReadonlySet<string> | undefined,
  faults: Faults,
): void {
  if (!resources) return
  validateAmounts(at, resources, validateContainerResource, faults)
  if (resources.claims) validateClaims(`${at}.claims`, resources.claims, claims ?? new Set(), faults)
}

/** Of the pod itself: as much as its containers together at least, and no container may have more. */
export function validatePodResources(at: string, spec: PodSpec, faults: Faults): void {
  const { resources } = spec
  if (!resources) return
  if (resources.claims) faults.forbidden(`${at}.claims`, 'claims cannot be set for Resources at pod-level')
  validateAmounts(at, resources, validatePodResource, faults)
  validateTogether(at, spec, resources, faults)
  for (const [i, container] of (spec.containers ?? []).entries()) {
    for (const [name, limit] of Object.entries(container.resources?.limits ?? {})) {
      const most = resources.limits?.[name]
      if (most !== undefined && compareQuantity(limit, most) > 0)
        faults.invalid(`${at}.containers[${i}][${name}].limits`, limit, `must be less than or equal to pod limits of ${most}`)
    }
  }
}

/** What all ask for fits into what the pod asks for; so do limits of huge pages, which are never lent out. */
function validateTogether(at: string, spec: PodSpec, resources: ResourceRequirements, faults: Faults): void {
  for (const list of ['requests', 'limits'] as const) {
    for (const [name, amount] of Object.entries(resources[list] ?? {})) {
      if (list === 'limits' && !isHugePages(name)) continue
      const sum = together(spec, list, name)
      if (sum.nano <= parseQuantity(amount).nano) continue
      const why = `must be greater than or equal to aggregate container ${list} of ${formatQuantity(sum)}`
      faults.invalid(`${at}.${list}[${name}]`, amount, why)
    }
  }
}

/** Of all that run at once: init containers do one after the other, beside the sidecars that began before them. */
function together({ containers, initContainers = [] }: PodSpec, list: 'requests' | 'limits', name: string): Quantity {
  const of = ({ resources }: { resources?: ResourceRequirements }) => parseQuantity(resources?.[list]?.[name] ?? '0')
  let sum = (containers ?? []).map(of).reduce(addQuantities, parseQuantity('0'))
  let sidecars = parseQuantity('0')
  let most = sidecars
  for (const container of initContainers) {
    const beside = addQuantities(sidecars, of(container))
    if (container.restartPolicy === 'Always') {
      sidecars = beside
      sum = addQuantities(sum, of(container))
    }
    if (beside.nano > most.nano) most = beside
  }
  return most.nano > sum.nano ? most : sum
}

type NameRule = (field: string, name: string, faults: Faults) => void

function validateAmounts(at: string, resources: ResourceRequirements, rule: NameRule, faults: Faults): void {
  const { limits = {}, requests = {} } = resources
  for (const [name, amount] of Object.entries(limits)) validateAmount(`${at}.limits[${name}]`, name, amount, rule, faults)
  for (const [name, amount] of Object.entries(requests)) {
    validateAmount(`${at}.requests[${name}]`, name, amount, rule, faults)
    const limit = Object.hasOwn(limits, name) ? limits[name] : undefined
    if (limit === undefined) {
      if (!isOvercommitted(name)) faults.required(`${at}.limits`, 'Limit must be set for non overcommitable resources')
    } else if (limit !== amount) {
      const order = compareQuantity(amount, limit)
      if (order !== 0 && !isOvercommitted(name)) faults.invalid(`${at}.requests`, amount, `must be equal to ${name} limit of ${limit}`)
      else if (order > 0) faults.invalid(`${at}.requests`, amount, `must be less than or equal to ${name} limit of ${limit}`)
    }
  }
  const names = [...Object.keys(limits), ...Object.keys(requests)]
  if (names.some(isHugePages) && !names.some((name) => name === 'cpu' || name === 'memory'))
    faults.forbidden(at, 'HugePages require cpu or memory')
}

function validateAmount(field: string, name: string, amount: string, rule: NameRule, faults: Faults): void {
  rule(field, name, faults)
  validateQuantity(field, name, amount, faults)
  if (isHugePages(name) && !isPages(name, amount)) faults.invalid(field, amount, `${amount} is not positive integer multiple of ${name}`)
}

/** Not negative, and whole where the resource is counted. */
export function validateQuantity(field: string, name: string, amount: string, faults: Faults): void {
  if (amount.startsWith('-') && compareQuantity(amount, '0') < 0) faults.invalid(field, amount, 'must be greater than or equal to 0')
  if (isWhole(name) && parseQuantity(amount).nano % 1_000_000_000n !== 0n) faults.invalid(field, amount, 'must be an integer')
}

function isPages(name: string, amount: string): boolean {
  const page = name.slice('hugepages-'.length)
  if (!isQuantity(page)) return false
  const [size, { nano }] = [parseQuantity(page).nano, parseQuantity(amount)]
  return size > 0n && nano > 0n && nano % size === 0n
}

/** A name that may stand in any list of amounts. */
export function validateResourceName(field: string, name: string, faults: Faults): void {
  const wrong = isQualifiedName(name)
  if (wrong.length > 0) faults.each(field, name, wrong)
  else if (!name.includes('/') && !isStandard(name)) faults.invalid(field, name, 'must be a standard resource type or fully qualified')
}

const ofContainers = new Set(['cpu', 'memory', 'ephemeral-storage'])

export function validateContainerResource(field: string, name: string, faults: Faults): void {
  if (ofContainers.has(name)) return
  validateResourceName(field, name, faults)
  if (!name.includes('/')) {
    if (!isHugePages(name)) faults.invalid(field, name, 'must be a standard resource for containers')
  } else if (wrongExtendedName(name)) faults.invalid(field, name, "doesn't follow extended resource name standard")
}

function validatePodResource(field: string, name: string, faults: Faults): void {
  if (name === 'cpu' || name === 'memory' || isHugePages(name)) return
  const before = faults.list.length
  validateResourceName(field, name, faults)
  if (faults.list.length === before) faults.notSupported(field, name, ['cpu', 'hugepages-', 'memory'])
}

function validateClaims(at: string, claims: NonNullable<ResourceRequirements['claims']>, there: ReadonlySet<string>, faults: Faults): void {
  const seen = new Set<string>()
  const inPart = new Set<string>()
  for (const [i, { name, request }] of claims.entries()) {
    const field = `${at}[${i}]`
    if (!name) {
      faults.required(field)
      continue
    }
    const key = request ? `${name}/${request}` : name
    if (request) faults.each(`${field}.request`, request, isDns1123Label(request))
    // A claim as a whole, and a part of it, are the same devices twice.
    if (seen.has(name)) faults.duplicate(field, name)
    else if (seen.has(key)) faults.duplicate(field, key)
    else if (!request && inPart.has(name)) faults.duplicate(field, name)
    seen.add(key)
    if (request) inPart.add(name)
    if (!there.has(name)) {
      const names = there.size === 0 ? ' which is empty' : `: ${[...there].sort().join(', ')}`
      faults.notFound(field, name, `must be one of the names in pod.spec.resourceClaims${names}`)
    }
  }
}

/** Most amounts are whole by their look alone. */
export const isWholeAmount = (amount: string): boolean =>
  /^\d+([KMGTPE]i|[kMGTPE])?$/.test(amount) || parseQuantity(amount).nano % 1_000_000_000n === 0n
