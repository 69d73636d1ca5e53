// A service's addresses and their families: what may be asked for and what may change
// (kubernetes pkg/apis/core/validation, pkg/registry/core/service).

import { familyOf } from '../../cidr.ts'
import type { ServiceSpec } from '../../types/core-v1.gen.ts'
import { type Faults, repeats, same } from './faults.ts'
import { isIP } from './names.ts'

const families = ['IPv4', 'IPv6']
const policies = ['PreferDualStack', 'RequireDualStack', 'SingleStack']

export const isHeadless = ({ clusterIP }: ServiceSpec): boolean => clusterIP === 'None'
const listed = <T>(values: readonly T[] | undefined): readonly T[] => values ?? []

/** What an update does not mention stays; who knows `clusterIP` alone means `clusterIPs` too; going single-stack drops the second of each. */
export function keepFamilies(next: ServiceSpec, previous: ServiceSpec): void {
  // One changed or cleared by somebody who left the other as it was.
  if (next.clusterIP !== previous.clusterIP && same(listed(next.clusterIPs), listed(previous.clusterIPs)))
    next.clusterIPs = next.clusterIP ? [next.clusterIP] : []
  next.clusterIP ||= previous.clusterIP ?? ''
  if (!next.clusterIPs?.length && next.clusterIP === previous.clusterIP) next.clusterIPs = [...listed(previous.clusterIPs)]
  next.ipFamilyPolicy ??= previous.ipFamilyPolicy
  if (!next.ipFamilies?.length) next.ipFamilies = [...listed(previous.ipFamilies)]
  if (next.ipFamilyPolicy !== 'SingleStack' || previous.ipFamilyPolicy === 'SingleStack') return
  next.clusterIPs = next.clusterIPs?.slice(0, 1)
  next.ipFamilies = next.ipFamilies.slice(0, 1)
}

/** What can be told without knowing the cluster. */
export function validateFamilies(spec: ServiceSpec, faults: Faults): void {
  const { type, clusterIP = '', ipFamilyPolicy } = spec
  const [clusterIPs, ipFamilies] = [listed(spec.clusterIPs), listed(spec.ipFamilies)]
  if (type === 'ExternalName') {
    if (clusterIP || clusterIPs.length > 0) faults.forbidden('spec.clusterIPs', 'may not be set for ExternalName services')
    if (ipFamilies.length > 0) faults.forbidden('spec.ipFamilies', 'may not be set for ExternalName services')
    if (ipFamilyPolicy) faults.forbidden('spec.ipFamilyPolicy', 'may not be set for ExternalName services')
    return
  }
  if (clusterIPs.length > 0) {
    if (!clusterIP) faults.invalid('spec.clusterIPs', clusterIPs, 'must be empty when `clusterIP` is not specified')
    else if (clusterIPs[0] !== clusterIP) faults.invalid('spec.clusterIPs', clusterIPs, 'first value must match `clusterIP`')
  }
  const repeated = repeats()
  for (const [i, family] of ipFamilies.entries()) {
    faults.oneOf(`spec.ipFamilies[${i}]`, family, families)
    if (repeated(family)) faults.duplicate(`spec.ipFamilies[${i}]`, family)
  }
  if (ipFamilyPolicy !== undefined) faults.oneOf('spec.ipFamilyPolicy', ipFamilyPolicy, policies)
  validateAddresses(clusterIPs, isHeadless(spec) ? [] : ipFamilies, faults)
}

function validateAddresses(clusterIPs: readonly string[], ipFamilies: readonly string[], faults: Faults): void {
  const before = faults.list.length
  for (const [i, ip] of clusterIPs.entries()) {
    if (i > 0 || ip !== 'None') faults.each(`spec.clusterIPs[${i}]`, ip, isIP(ip))
    else if (clusterIPs.length > 1) faults.invalid('spec.clusterIPs', clusterIPs, "'None' must be the first and only value")
  }
  if (clusterIPs.length > 2) faults.invalid('spec.clusterIPs', clusterIPs, 'may only hold up to 2 values')
  if (faults.list.length > before || clusterIPs[0] === 'None') return
  const found = clusterIPs.map(familyOf)
  if (found.length > 1 && found[0] === found[1])
    return faults.invalid('spec.clusterIPs', clusterIPs, 'may specify no more than one IP for each IP family')
  for (const [i, family] of found.entries()) {
    const told = ipFamilies[i]
    if (told !== undefined && told !== family)
      faults.invalid(`spec.clusterIPs[${i}]`, clusterIPs[i], `expected an ${told} value as indicated by \`ipFamilies[${i}]\``)
  }
}

/** The first address and family stay; the second comes with a dual-stack policy and goes with `SingleStack`. Neither is an ExternalName. */
export function validateFamiliesUpdate(next: ServiceSpec, previous: ServiceSpec, faults: Faults): void {
  if (isHeadless(next) && isHeadless(previous)) return
  const single = next.ipFamilyPolicy === 'SingleStack'
  for (const [field, now, before, what] of [
    ['clusterIPs', listed(next.clusterIPs), listed(previous.clusterIPs), 'clusterIP'],
    ['ipFamilies', listed(next.ipFamilies), listed(previous.ipFamilies), 'ipFamily'],
  ] as const) {
    if (before.length > 0 && now.length === 0) faults.invalid(`spec.${field}[0]`, now, `primary ${what} can not be unset`)
    for (const [i, value] of before.entries())
      if (now[i] !== undefined && now[i] !== value) faults.invalid(`spec.${field}[${i}]`, now, 'may not change once set')
    if (before.length === 2 && now.length === 1 && !single)
      faults.invalid(
        'spec.ipFamilyPolicy',
        next.ipFamilyPolicy ?? null,
        `must be set to 'SingleStack' when releasing the secondary ${what}`,
      )
  }
}
