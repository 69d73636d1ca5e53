// Service addresses and node ports: given out once each. What is taken is known from the services
// themselves, so nothing is stored beside them and a restart finds it again.

import { addressAt, type Cidr, contains, type Family, familyOf, parseAddress } from '#api/cidr.ts'
import { invalid } from '#api/errors.ts'
import { Faults } from '#api/kinds/rules/faults.ts'
import { needsHealthPort, needsNodePorts } from '#api/kinds/rules/service-type-change.ts'
import type { Service, ServiceSpec } from '#api/types/core-v1.gen.ts'
import { type Admission, isKind, type Review } from './admission.ts'
import { NumberPool } from './pool.ts'
import { settleFamilies } from './service-families.ts'

const nodePorts = { first: 30_000, last: 32_767 }

export type ServiceAddresses = {
  admission: Admission
  /** Told of every service that is there, was changed, or is gone, in order. */
  observe(service: Service, previous: Service | undefined, gone: boolean): void
}

/** Addresses of one family; they are numbered from 0, the range's own. */
type Addresses = { cidr: Cidr; pool: NumberPool }

const addressesOf = (cidr: Cidr, random: () => number): Addresses => {
  const size = Number(cidr.last - cidr.first) + 1
  // The lower part is left to addresses that people ask for by number; an IPv4 range's last is its broadcast.
  const preferFrom = Math.min(Math.max(16, Math.floor(size / 16)), 256)
  return { cidr, pool: new NumberPool({ first: 1, last: size - (cidr.family === 'IPv4' ? 2 : 1), preferFrom, random }) }
}

const numberOf = ({ first }: Cidr, address: string): number => Number((parseAddress(address)?.value ?? first) - first)

/** Where the cluster itself is reached: nobody else may take that traffic. */
export type OwnAddresses = { names: readonly string[]; server?: { address: string; port: number } }

/** `cidrs`: one of each family that the cluster has, its own first. `random` gives a number in [0, 1). */
export function serviceAddresses({
  cidrs,
  random,
  own,
}: {
  cidrs: readonly Cidr[]
  random: () => number
  own: () => OwnAddresses
}): ServiceAddresses {
  const offered = cidrs.map(({ family }) => family)
  const byFamily = new Map(cidrs.map((cidr) => [cidr.family, addressesOf(cidr, random)]))
  const ports = new NumberPool({ ...nodePorts, preferFrom: nodePorts.first + 86, random })

  /** Every number that a service has, with its pool. */
  const numbersOf = ({ spec }: Service): { pool: NumberPool; number: number }[] => [
    ...(spec.clusterIPs ?? []).flatMap((ip) => {
      const own = byFamily.get(familyOf(ip))
      return own && contains(own.cidr, ip) ? { pool: own.pool, number: numberOf(own.cidr, ip) } : []
    }),
    ...[...(spec.ports ?? []).map(({ nodePort }) => nodePort), spec.healthCheckNodePort].flatMap((port) =>
      port ? { pool: ports, number: port } : [],
    ),
  ]

  /** `number`, or any; undefined where it is not to be had. Given back if the write fails. */
  function reserve(pool: NumberPool, number: number | undefined, owner: string, review: Review): number | undefined {
    const got = number ?? pool.next(owner)
    const taken = number === undefined ? 'new' : pool.take(number, owner)
    if (got === undefined || taken === undefined) return undefined
    if (taken === 'new') review.onFailure(() => pool.release(got, owner))
    return got
  }

  function allotAddresses({ spec }: Service, owner: string, review: Review, faults: Faults): void {
    const before = (review.previous as Service | undefined)?.spec
    if (spec.type === 'ExternalName') return
    const previous = before?.type === 'ExternalName' ? undefined : before
    if (!settleFamilies(spec, previous, offered, faults)) return
    const clusterIPs: string[] = []
    for (const [i, family] of (spec.ipFamilies ?? []).entries()) {
      const address = allot(byFamily.get(family as Family) as Addresses, i, spec, owner, review, faults)
      if (address === undefined) return
      clusterIPs.push(address)
    }
    spec.clusterIPs = clusterIPs
    spec.clusterIP = clusterIPs[0] ?? ''
  }

  function allot(own: Addresses, index: number, spec: ServiceSpec, owner: string, review: Review, faults: Faults): string | undefined {
    const wanted = spec.clusterIPs?.[index]
    const refuse = (why: string) => faults.invalid('spec.clusterIPs', spec.clusterIPs ?? [], why)
    const { cidr, pool } = own
    if (wanted === undefined) {
      const number = reserve(pool, undefined, owner, review)
      if (number !== undefined) return addressAt(cidr, number)
      refuse('failed to allocate a serviceIP: range is full')
    } else if (!contains(cidr, wanted)) {
      refuse(
        `failed to allocate IP ${wanted}: the provided IP (${wanted}) is not in the valid range. The range of valid IPs is ${cidr.text}`,
      )
    } else if (reserve(pool, numberOf(cidr, wanted), owner, review) === undefined) {
      refuse(`failed to allocate IP ${wanted}: provided IP is already allocated`)
    } else return wanted
    return undefined
  }

  function allotPorts({ spec }: Service, owner: string, review: Review, faults: Faults): void {
    const wanted = spec.type === 'NodePort' || (spec.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false)
    // TCP and UDP of one number are the same node port where they serve the same port (DNS and the like).
    const byPort = new Map((spec.ports ?? []).flatMap((p) => (p.nodePort ? [[p.port, p.nodePort] as const] : [])))
    for (const [i, port] of (spec.ports ?? []).entries()) {
      // What may not be there at all is refused as such, by the kind's own rules.
      if (port.nodePort ? !needsNodePorts(spec) : !wanted) continue
      if (port.nodePort && (port.nodePort < nodePorts.first || port.nodePort > nodePorts.last)) {
        faults.invalid(
          `spec.ports[${i}].nodePort`,
          port.nodePort,
          `provided port is not in the valid range. The range of valid ports is ${nodePorts.first}-${nodePorts.last}`,
        )
        continue
      }
      const got = reserve(ports, port.nodePort ?? byPort.get(port.port), owner, review)
      if (got === undefined) {
        faults.invalid(
          `spec.ports[${i}].nodePort`,
          port.nodePort ?? 0,
          port.nodePort ? 'provided port is already allocated' : 'failed to allocate a nodePort: range is full',
        )
        continue
      }
      port.nodePort = got
      byPort.set(port.port, got)
    }
  }

  /** Where load balancers ask a node whether it has endpoints: only where that matters. */
  function allotHealthPort({ spec }: Service, owner: string, review: Review, faults: Faults): void {
    if (!needsHealthPort(spec)) return
    const got = reserve(ports, spec.healthCheckNodePort || undefined, owner, review)
    if (got !== undefined) spec.healthCheckNodePort = got
    else faults.invalid('spec.healthCheckNodePort', spec.healthCheckNodePort ?? 0, 'provided port is already allocated')
  }

  /** Whoever has these as addresses of theirs takes what others send to services, names or the server. */
  function checkExternal({ spec }: Service, before: readonly string[], faults: Faults): void {
    const { names, server } = own()
    for (const [i, ip] of (spec.externalIPs ?? []).entries()) {
      const field = `spec.externalIPs[${i}]`
      // What was there before is no reason to refuse another change.
      if (before.includes(ip)) continue
      if (cidrs.some((cidr) => contains(cidr, ip))) faults.invalid(field, ip, 'may not be in the range of cluster IPs')
      else if (names.includes(ip)) faults.invalid(field, ip, 'may not be the address of the cluster DNS')
      else if (ip === server?.address && spec.ports?.some(({ port }) => port === server.port))
        faults.invalid(field, ip, `may not be the address of the API server together with its port ${server.port}`)
    }
  }

  return {
    admission: {
      name: 'ServiceAddresses',
      mutate(review) {
        if (review.operation === 'DELETE' || review.subresource !== '' || !isKind(review, '', 'Service')) return
        const service = review.object as Service
        if (!service.spec) return
        const owner = service.metadata.uid
        const faults = new Faults()
        checkExternal(service, (review.previous as Service | undefined)?.spec.externalIPs ?? [], faults)
        allotAddresses(service, owner, review, faults)
        allotPorts(service, owner, review, faults)
        allotHealthPort(service, owner, review, faults)
        if (faults.list.length > 0) throw invalid('', 'Service', review.name, faults.list)
      },
    },
    observe(service, previous, gone) {
      const owner = service.metadata.uid
      const now = gone ? [] : numbersOf(service)
      const before = previous ? numbersOf(previous) : []
      for (const { pool, number } of now) pool.settle(number, owner)
      const kept = Map.groupBy(now, ({ pool }) => pool)
      const numbers = new Map([...kept].map(([pool, held]) => [pool, new Set(held.map(({ number }) => number))]))
      for (const { pool, number } of before) if (!numbers.get(pool)?.has(number)) pool.release(number, owner)
    },
  }
}
