// The older form of the same knowledge: an Endpoints object named like its service.

import type { EndpointAddress, EndpointSubset, Pod, Service } from '#api/types/core-v1.gen.ts'
import { canonical } from '../template.ts'
import { addressOf, canServe, conditionsOf, familiesOf, hostnameOf, portsOf } from './endpoint.ts'

/** Addresses that one object may hold; beyond them the ready ones come first. */
const most = 1000

export const overCapacity = 'endpoints.kubernetes.io/over-capacity'

/** Pods on their way out are in neither list, unless the service publishes what is not ready. */
export function planSubsets(service: Service, pods: readonly Pod[]): { subsets: EndpointSubset[]; truncated: boolean } {
  const [family = 'IPv4'] = familiesOf(service)
  const found = pods
    .filter(canServe)
    .map((pod) => ({ pod, address: addressOf(pod, family), ...conditionsOf(service, pod) }))
    .filter(({ address, terminating }) => address && (!terminating || service.spec.publishNotReadyAddresses))
    .sort((a, b) => Number(b.ready) - Number(a.ready) || (a.address! < b.address! ? -1 : 1))
  const groups = new Map<string, Required<Pick<EndpointSubset, 'addresses' | 'notReadyAddresses' | 'ports'>>>()
  for (const { pod, address, ready } of found.slice(0, most)) {
    const ports = portsOf(service, pod).map(({ name, port, protocol, appProtocol }) => ({
      ...(name && { name }),
      port: port!,
      protocol: protocol!,
      ...(appProtocol && { appProtocol }),
    }))
    const id = canonical(ports)
    const group = groups.get(id) ?? { addresses: [], notReadyAddresses: [], ports }
    groups.set(id, group)
    ;(ready ? group.addresses : group.notReadyAddresses).push(addressFor(service, pod, address!))
  }
  const subsets = [...groups.values()].map(({ addresses, notReadyAddresses, ports }) => ({
    ...(addresses.length && { addresses }),
    ...(notReadyAddresses.length && { notReadyAddresses }),
    ...(ports.length && { ports }),
  }))
  return { subsets, truncated: found.length > most }
}

function addressFor(service: Service, pod: Pod, ip: string): EndpointAddress {
  const { name, namespace, uid } = pod.metadata
  const hostname = hostnameOf(service, pod)
  return {
    ip,
    ...(hostname && { hostname }),
    ...(pod.spec.nodeName && { nodeName: pod.spec.nodeName }),
    targetRef: { kind: 'Pod', ...(namespace && { namespace }), name, uid },
  }
}
