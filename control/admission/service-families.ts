// Which families a service has, from what it asks for and what the cluster offers
// (kubernetes pkg/registry/core/service/storage/alloc.go).

import { type Family, familyOf } from '#api/cidr.ts'
import { Faults, same } from '#api/kinds/rules/faults.ts'
import { isHeadless, validateFamilies } from '#api/kinds/rules/service-families.ts'
import type { ServiceSpec } from '#api/types/core-v1.gen.ts'

const other: Record<Family, Family> = { IPv4: 'IPv6', IPv6: 'IPv4' }

/**
 * Fills in `ipFamilyPolicy` and `ipFamilies`. `offered`: the cluster's families, its own first; `previous`
 * is absent for a service that had no addresses. False: there is nothing to allot, since the kind's own
 * rules will refuse it, or since it stays as it is.
 */
export function settleFamilies(spec: ServiceSpec, previous: ServiceSpec | undefined, offered: readonly Family[], faults: Faults): boolean {
  if (!previous && spec.clusterIP && !spec.clusterIPs?.length) spec.clusterIPs = [spec.clusterIP]
  // That the cluster has become dual-stack or single-stack changes no service by itself.
  if (previous && prefersAsBefore(spec, previous)) return false
  const wrong = new Faults()
  validateFamilies(spec, wrong)
  if (wrong.list.length > 0 || releasesSecond(spec, previous)) return false
  inferFromAddresses(spec, offered, faults)
  if (faults.list.length > 0) return false
  const first = (spec.ipFamilies?.[0] as Family | undefined) ?? offered[0] ?? 'IPv4'
  const dual = () => spec.ipFamilyPolicy !== 'SingleStack'
  // Whoever keeps the endpoints of such a service may know families that the cluster does not have.
  if (isHeadless(spec) && Object.keys(spec.selector ?? {}).length === 0) {
    spec.ipFamilyPolicy ??= 'RequireDualStack'
    if ((spec.ipFamilies?.length ?? 0) < 2) spec.ipFamilies = dual() ? [first, other[first]] : [first]
    return false
  }
  for (const [i, family] of (spec.ipFamilies ?? []).entries())
    if (!offered.includes(family as Family)) faults.invalid(`spec.ipFamilies[${i}]`, family, 'not configured on this cluster')
  spec.ipFamilyPolicy ??= 'SingleStack'
  if (spec.ipFamilyPolicy === 'RequireDualStack' && offered.length < 2)
    faults.invalid('spec.ipFamilyPolicy', spec.ipFamilyPolicy, 'this cluster is not configured for dual-stack services')
  if ((spec.ipFamilies?.length ?? 0) < 2) spec.ipFamilies = dual() && offered.length > 1 ? [first, other[first]] : [first]
  return faults.list.length === 0 && !isHeadless(spec)
}

const prefersAsBefore = (spec: ServiceSpec, previous: ServiceSpec): boolean =>
  spec.ipFamilyPolicy === 'PreferDualStack' &&
  previous.ipFamilyPolicy === 'PreferDualStack' &&
  same(spec.clusterIPs, previous.clusterIPs) &&
  same(spec.ipFamilies, previous.ipFamilies)

/** Without going single-stack: refused, and not to be healed by another address in its place. */
const releasesSecond = (spec: ServiceSpec, previous: ServiceSpec | undefined): boolean =>
  previous?.clusterIPs?.length === 2 && spec.clusterIPs?.length === 1 && spec.ipFamilyPolicy !== 'SingleStack'

function inferFromAddresses(spec: ServiceSpec, offered: readonly Family[], faults: Faults): void {
  const clusterIPs = spec.clusterIPs ?? []
  const several = (['clusterIPs', 'ipFamilies'] as const).filter((field) => spec[field]?.length === 2)
  if (several.length > 0) spec.ipFamilyPolicy ??= 'RequireDualStack'
  if (spec.ipFamilyPolicy === 'SingleStack')
    for (const field of several)
      faults.invalid(
        'spec.ipFamilyPolicy',
        'SingleStack',
        `must be RequireDualStack or PreferDualStack when multiple '${field}' are specified`,
      )
  if (isHeadless(spec)) return
  for (const [i, ip] of clusterIPs.entries()) {
    if (i < (spec.ipFamilies?.length ?? 0)) continue
    const family = familyOf(ip)
    if (offered.includes(family)) spec.ipFamilies = [...(spec.ipFamilies ?? []), family]
    else faults.invalid(`spec.clusterIPs[${i}]`, clusterIPs, `${family} is not configured on this cluster`)
  }
}
