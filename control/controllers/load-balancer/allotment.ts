// Who gets which address of the configured ranges. A service keeps what it has for as long as it may; of
// those that want the same, the older has it.

import { type Family, familyOf } from '#api/cidr.ts'
import type { Service } from '#api/types/core-v1.gen.ts'
import { familiesOf } from '../endpoints/endpoint.ts'
import { canonical } from '../template.ts'
import { addressesOf, canonicalAddress, contains, type Range } from './ranges.ts'

/** Asks for addresses, one of each family, apart by commas. Those of MetalLB are understood too. */
const addressAnnotations = ['coracle/load-balancer-ips', 'metallb.io/loadBalancerIPs', 'metallb.universe.tf/loadBalancerIPs']
/** Services with the same value may have the same address, if they do not get in each other's way. */
const shareAnnotations = ['coracle/share-address', 'metallb.io/allow-shared-ip', 'metallb.universe.tf/allow-shared-ip']

/** Without a problem, `addresses` are in the order of the service's families; with one, there are none. */
export type Allotment = { addresses: string[]; problem?: string }

/** `services` in the order of their age; `barred` are addresses in the ranges that somebody has already. */
export function allot(services: readonly Service[], ranges: readonly Range[], barred: ReadonlySet<string>): Map<Service, Allotment> {
  const holders = new Map<string, Service[]>()
  const held = new Map<Service, Map<Family, string>>(services.map((service) => [service, new Map()]))
  const obstacle = (service: Service, address: string): string | undefined => {
    if (barred.has(address)) return 'is the address of a node'
    const other = holders.get(address)?.find((holder) => !mayShare(service, holder))
    return other && `belongs to service ${other.metadata.namespace}/${other.metadata.name}`
  }
  const claim = (service: Service, family: Family, address: string) => {
    holders.set(address, [...(holders.get(address) ?? []), service])
    held.get(service)?.set(family, address)
  }
  const release = (service: Service) => {
    for (const [address, all] of holders)
      holders.set(
        address,
        all.filter((holder) => holder !== service),
      )
    held.get(service)?.clear()
  }

  for (const service of services) {
    const asked = askedFor(service)
    for (const { ip = '' } of service.status?.loadBalancer?.ingress ?? []) {
      const [address, family] = [canonicalAddress(ip), familyOf(ip)]
      if (address === undefined || !familiesOf(service).includes(family) || held.get(service)?.has(family)) continue
      const wanted = asked.find((other) => familyOf(other) === family)
      if ((wanted === undefined || wanted === address) && contains(ranges, address) && obstacle(service, address) === undefined)
        claim(service, family, address)
    }
  }

  const find = (service: Service, family: Family, asked: readonly string[]): { address: string } | { problem: string } => {
    const wanted = asked.find((address) => familyOf(address) === family)
    if (wanted !== undefined) {
      if (!contains(ranges, wanted)) return { problem: `${wanted} was asked for and is in no range` }
      const problem = obstacle(service, wanted)
      return problem === undefined ? { address: wanted } : { problem: `${wanted} was asked for and ${problem}` }
    }
    if (!ranges.some((range) => range.family === family)) return { problem: `no range has ${family} addresses` }
    // Only where others are that share with it: a service on its own is given the first that is free.
    if (shareKey(service) !== undefined)
      for (const [address, all] of holders)
        if (all.length > 0 && familyOf(address) === family && obstacle(service, address) === undefined) return { address }
    for (const address of addressesOf(ranges, family)) if (!holders.get(address)?.length && !barred.has(address)) return { address }
    return { problem: `no ${family} address is left in the ranges` }
  }

  return new Map(
    services.map((service) => {
      const asked = askedFor(service)
      const unreadable = askedText(service).find((text) => canonicalAddress(text) === undefined)
      let problem = unreadable === undefined ? undefined : `${unreadable} was asked for and is no address`
      const families = familiesOf(service)
      const mayLack = service.spec.ipFamilyPolicy === 'PreferDualStack' && ranges.some((range) => families.includes(range.family))
      for (const family of families) {
        if (problem !== undefined || held.get(service)?.has(family)) continue
        if (mayLack && !ranges.some((range) => range.family === family)) continue
        const found = find(service, family, asked)
        if ('address' in found) claim(service, family, found.address)
        else problem = found.problem
      }
      if (problem !== undefined) release(service)
      const addresses = families.flatMap((family) => held.get(service)?.get(family) ?? [])
      return [service, problem === undefined ? { addresses } : { addresses, problem }]
    }),
  )
}

const annotation = ({ metadata }: Service, names: readonly string[]): string | undefined =>
  names.map((name) => metadata.annotations?.[name]?.trim()).find((value) => value !== undefined && value !== '')

const shareKey = (service: Service): string | undefined => annotation(service, shareAnnotations)

const askedText = (service: Service): string[] =>
  (service.spec.loadBalancerIP || annotation(service, addressAnnotations) || '').split(',').flatMap((text) => text.trim() || [])

const askedFor = (service: Service): string[] => askedText(service).flatMap((text) => canonicalAddress(text) ?? [])

/** The same key, no port of both, and the same nodes to announce the address: all, or those with the same pods. */
const mayShare = (one: Service, other: Service): boolean => {
  const key = shareKey(one)
  if (key === undefined || key !== shareKey(other)) return false
  const ports = ({ spec }: Service) => (spec.ports ?? []).map(({ protocol = 'TCP', port }) => `${protocol} ${port}`)
  if (ports(one).some((port) => ports(other).includes(port))) return false
  const local = ({ spec }: Service) => spec.externalTrafficPolicy === 'Local'
  const pods = ({ spec }: Service) => canonical(spec.selector)
  return local(one) === local(other) && (!local(one) || pods(one) === pods(other))
}
