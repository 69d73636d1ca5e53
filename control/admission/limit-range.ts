// LimitRange: what containers get that ask for nothing, and how much may be asked for (LimitRanger,
// kubernetes plugin/pkg/admission/limitranger).

import { formatQuantity, type Quantity } from '#api/schema/quantity.ts'
import type { Container, LimitRange, LimitRangeItem, PersistentVolumeClaim, Pod, ResourceList } from '#api/types/core-v1.gen.ts'
import { type Admission, forbidden, isKind, type Review } from './admission.ts'
import { type Amounts, amountsOf, podAmounts } from './amounts.ts'

const annotation = 'kubernetes.io/limit-ranger'

/** `ranges`: those of a namespace, a moment old at worst. */
export const limitRanges = ({ ranges }: { ranges(this: void, namespace: string): LimitRange[] }): Admission => ({
  name: 'LimitRanger',
  mutate(review) {
    if (review.operation !== 'CREATE' || review.subresource !== '' || !isKind(review, '', 'Pod')) return
    const pod = review.object as Pod
    for (const range of pod.spec ? ranges(review.namespace ?? '') : []) setDefaults(pod, range)
  },
  validate(review) {
    const items = isJudged(review) ? ranges(review.namespace ?? '').flatMap(({ spec }) => spec?.limits ?? []) : []
    const faults = items.flatMap((item) => faultsIn(review, item))
    if (faults.length > 0) throw forbidden(review, faults.length === 1 ? (faults[0] ?? '') : `[${faults.join(', ')}]`)
  },
})

/** What a pod asks for changes only by a resize. */
function isJudged(review: Review): boolean {
  const { operation, subresource } = review
  if (isKind(review, '', 'Pod')) return subresource === '' ? operation === 'CREATE' : subresource === 'resize' && operation === 'UPDATE'
  return isKind(review, '', 'PersistentVolumeClaim') && subresource === '' && (operation === 'CREATE' || operation === 'UPDATE')
}

function setDefaults(pod: Pod, range: LimitRange): void {
  const said: string[] = []
  const item = range.spec?.limits.find(({ type }) => type === 'Container')
  const set = (container: Container, what: string) => {
    const given = container.resources ?? {}
    const fill = (list: ResourceList | undefined, from: ResourceList | undefined, side: string) => {
      const missing = Object.entries(from ?? {}).filter(([name]) => list?.[name] === undefined)
      for (const [name] of missing) said.push(`${name} ${side} for ${what} ${container.name}`)
      return missing.length > 0 ? { ...list, ...Object.fromEntries(missing) } : list
    }
    const requests = fill(given.requests, item?.defaultRequest, 'request')
    const limits = fill(given.limits, item?.default, 'limit')
    container.resources = { ...given, ...(limits && { limits }), ...(requests && { requests }) }
  }
  for (const container of pod.spec.containers ?? []) set(container, 'container')
  for (const container of pod.spec.initContainers ?? []) set(container, 'init container')
  if (said.length === 0) return
  const before = pod.metadata.annotations?.[annotation]
  const text = `LimitRanger plugin set: ${said.join('; ')}`
  pod.metadata.annotations = { ...pod.metadata.annotations, [annotation]: before ? `${before}; ${text}` : text }
}

function faultsIn(review: Review, item: LimitRangeItem): string[] {
  if (isKind(review, '', 'PersistentVolumeClaim')) {
    if (item.type !== 'PersistentVolumeClaim') return []
    return claimFaults(item, amountsOf((review.object as PersistentVolumeClaim).spec?.resources?.requests))
  }
  const { spec } = review.object as Pod
  if (item.type === 'Pod') return limitFaults(item, podAmounts(spec, 'requests'), podAmounts(spec, 'limits'))
  if (item.type !== 'Container') return []
  return [...(spec.containers ?? []), ...(spec.initContainers ?? [])].flatMap(({ resources }) =>
    limitFaults(item, amountsOf(resources?.requests), amountsOf(resources?.limits)),
  )
}

const below = (a: Quantity | undefined, b: Quantity) => a !== undefined && a.nano < b.nano
const above = (a: Quantity | undefined, b: Quantity) => a !== undefined && a.nano > b.nano

function limitFaults(item: LimitRangeItem, requests: Amounts, limits: Amounts): string[] {
  const faults: string[] = []
  for (const [name, least] of amountsOf(item.min)) {
    const [request, limit] = [requests.get(name), limits.get(name)]
    const rule = `minimum ${name} usage per ${item.type} is ${formatQuantity(least)}`
    if (!request) faults.push(`${rule}.  No request is specified`)
    else if (below(request, least)) faults.push(`${rule}, but request is ${formatQuantity(request)}`)
    else if (limit && below(limit, least)) faults.push(`${rule}, but limit is ${formatQuantity(limit)}`)
  }
  for (const [name, most] of amountsOf(item.max)) {
    const [request, limit] = [requests.get(name), limits.get(name)]
    const rule = `maximum ${name} usage per ${item.type} is ${formatQuantity(most)}`
    if (!limit) faults.push(`${rule}.  No limit is specified`)
    else if (above(limit, most)) faults.push(`${rule}, but limit is ${formatQuantity(limit)}`)
    else if (request && above(request, most)) faults.push(`${rule}, but request is ${formatQuantity(request)}`)
  }
  for (const [name, ratio] of amountsOf(item.maxLimitRequestRatio)) {
    const fault = ratioFault(requests.get(name), limits.get(name), ratio)
    if (fault) faults.push(`${name} max limit to request ratio per ${item.type} is ${formatQuantity(ratio)}, but ${fault}`)
  }
  return faults
}

function ratioFault(request: Quantity | undefined, limit: Quantity | undefined, most: Quantity): string | undefined {
  if (!request?.nano) return 'no request is specified or request is 0'
  if (!limit?.nano) return 'no limit is specified or limit is 0'
  if (limit.nano * 1_000_000_000n <= most.nano * request.nano) return undefined
  return `provided ratio is ${(Number(limit.nano) / Number(request.nano)).toFixed(6)}`
}

/** A claim has no limits. */
function claimFaults(item: LimitRangeItem, requests: Amounts): string[] {
  const check = (which: 'minimum' | 'maximum', bounds: Amounts, breaks: typeof below) =>
    [...bounds].flatMap(([name, bound]) => {
      const request = requests.get(name)
      const rule = `${which} ${name} usage per ${item.type} is ${formatQuantity(bound)}`
      if (!request) return [`${rule}.  No request is specified`]
      return breaks(request, bound) ? [`${rule}, but request is ${formatQuantity(request)}`] : []
    })
  return [...check('minimum', amountsOf(item.min), below), ...check('maximum', amountsOf(item.max), above)]
}
