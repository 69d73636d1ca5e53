// Service addresses and node ports: given out once each. What is taken is known from the services
// themselves, so nothing is stored beside them and a restart finds it again.

import { invalid } from '#api/errors.ts'
import { Faults } from '#api/kinds/faults.ts'
import { isIPv4 } from '#api/kinds/names.ts'
import type { Service } from '#api/types/core-v1.gen.ts'
import { type Admission, isKind, type Review } from './admission.ts'
import { Ipv4Range, NumberPool } from './pool.ts'

const nodePorts = { first: 30_000, last: 32_767 }

export type ServiceAddresses = {
  admission: Admission
  /** Told of every service that is there, was changed, or is gone, in order. */
  observe(service: Service, previous: Service | undefined, gone: boolean): void
}

/** `cidr`, e.g. 10.43.0.0/16. `random` gives a number in [0, 1). */
export function serviceAddresses({ cidr, random }: { cidr: string; random: () => number }): ServiceAddresses {
  const range = new Ipv4Range(cidr)
  // The lower part is left to addresses that people ask for by number.
  const lower = Math.min(Math.max(16, Math.floor(range.size / 16)), 256)
  const addresses = new NumberPool({ first: 1, last: range.size - 2, preferFrom: lower, random })
  const ports = new NumberPool({ ...nodePorts, preferFrom: nodePorts.first + 86, random })

  const numbersOf = (service: Service) => ({
    addresses: (service.spec.clusterIPs ?? []).filter((ip) => isIPv4(ip) && range.has(ip)).map((ip) => range.numberOf(ip)),
    ports: [...(service.spec.ports ?? []).map(({ nodePort }) => nodePort), service.spec.healthCheckNodePort].flatMap((port) => port || []),
  })

  /** `number`, or any; undefined where it is not to be had. Given back if the write fails. */
  function reserve(pool: NumberPool, number: number | undefined, owner: string, review: Review): number | undefined {
    const got = number ?? pool.next(owner)
    const taken = number === undefined ? 'new' : pool.take(number, owner)
    if (got === undefined || taken === undefined) return undefined
    if (taken === 'new') review.onFailure(() => pool.release(got, owner))
    return got
  }

  function allotAddress(service: Service, owner: string, review: Review, faults: Faults): void {
    const { spec } = service
    if (spec.type === 'ExternalName') {
      delete spec.clusterIP
      delete spec.clusterIPs
      delete spec.ipFamilies
      delete spec.ipFamilyPolicy
      return
    }
    spec.ipFamilies ??= ['IPv4']
    spec.ipFamilyPolicy ??= 'SingleStack'
    spec.clusterIP ||= spec.clusterIPs?.[0] || ''
    if (spec.clusterIP === 'None') {
      spec.clusterIPs = ['None']
      return
    }
    if (spec.clusterIP) {
      if (!isIPv4(spec.clusterIP)) return
      const refuse = (why: string) => faults.invalid('spec.clusterIPs', [spec.clusterIP], `failed to allocate IP ${spec.clusterIP}: ${why}`)
      if (!range.has(spec.clusterIP))
        return refuse(`the provided network does not match the current range: the range of valid IPs is ${cidr}`)
      if (reserve(addresses, range.numberOf(spec.clusterIP), owner, review) === undefined) return refuse('provided IP is already allocated')
    } else {
      const number = reserve(addresses, undefined, owner, review)
      if (number === undefined) return faults.invalid('spec.clusterIPs', [], 'failed to allocate a serviceIP: range is full')
      spec.clusterIP = range.textOf(number)
    }
    spec.clusterIPs = [spec.clusterIP]
  }

  function allotPorts({ spec }: Service, owner: string, review: Review, faults: Faults): void {
    const wanted = spec.type === 'NodePort' || (spec.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false)
    // TCP and UDP of one number are the same node port where they serve the same port (DNS and the like).
    const byPort = new Map((spec.ports ?? []).flatMap((p) => (p.nodePort ? [[p.port, p.nodePort] as const] : [])))
    for (const [i, port] of (spec.ports ?? []).entries()) {
      if (!port.nodePort && !wanted) continue
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
    if (spec.type !== 'LoadBalancer' || spec.externalTrafficPolicy !== 'Local') {
      delete spec.healthCheckNodePort
      return
    }
    const before = (review.previous as Service | undefined)?.spec
    spec.healthCheckNodePort ||= before?.healthCheckNodePort
    const got = reserve(ports, spec.healthCheckNodePort || undefined, owner, review)
    if (got !== undefined) spec.healthCheckNodePort = got
    else faults.invalid('spec.healthCheckNodePort', spec.healthCheckNodePort ?? 0, 'provided port is already allocated')
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
        allotAddress(service, owner, review, faults)
        allotPorts(service, owner, review, faults)
        allotHealthPort(service, owner, review, faults)
        if (faults.list.length > 0) throw invalid('', 'Service', review.name, faults.list)
      },
    },
    observe(service, previous, gone) {
      const owner = service.metadata.uid
      const now = gone ? { addresses: [], ports: [] } : numbersOf(service)
      const before = previous ? numbersOf(previous) : { addresses: [], ports: [] }
      for (const number of now.addresses) addresses.settle(number, owner)
      for (const number of now.ports) ports.settle(number, owner)
      for (const number of before.addresses) if (!now.addresses.includes(number)) addresses.release(number, owner)
      for (const number of before.ports) if (!now.ports.includes(number)) ports.release(number, owner)
    },
  }
}
