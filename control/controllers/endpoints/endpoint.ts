// A pod as an endpoint of a service: where it answers, and whether traffic may go there.

import { isIP } from 'node:net'
import { type Family, familyOf } from '#api/cidr.ts'
import { isReady, isTerminal } from '#api/pods.ts'
import { specialAddress } from '#api/special-address.ts'
import type { Node, Pod, Service, ServicePort } from '#api/types/core-v1.gen.ts'
import type { Endpoint, EndpointHints, EndpointPort } from '#api/types/discovery-v1.gen.ts'

export const isHeadless = ({ spec }: Service): boolean => spec.clusterIP === 'None'

export const selects = ({ spec }: Service, pod: Pod): boolean => {
  const wanted = Object.entries(spec.selector ?? {})
  return wanted.length > 0 && wanted.every(([key, value]) => pod.metadata.labels?.[key] === value)
}

/** Families of the service, from what it is told or else what addresses it has. */
export function familiesOf({ spec }: Service): Family[] {
  if (spec.ipFamilies?.length) return spec.ipFamilies as Family[]
  const addresses = (spec.clusterIPs ?? [spec.clusterIP ?? '']).filter((ip) => ip && ip !== 'None')
  return addresses.length ? addresses.map(familyOf) : ['IPv4']
}

export function addressOf(pod: Pod, family: Family): string | undefined {
  const addresses = pod.status?.podIPs?.map(({ ip }) => ip) ?? []
  // A node tells its pods' addresses: one that no endpoint may have is that pod's loss, not its service's.
  return [...addresses, pod.status?.podIP ?? ''].find(
    (ip) => ip && familyOf(ip) === family && isIP(ip) !== 0 && specialAddress(ip) === undefined,
  )
}

/** The ports under which this pod serves; a named target that it does not have is left out. */
export function portsOf(service: Service, pod: Pod): EndpointPort[] {
  return (service.spec.ports ?? []).flatMap((port) => {
    const number = targetPort(port, pod)
    if (number === undefined) return []
    return [
      { name: port.name ?? '', protocol: port.protocol ?? 'TCP', port: number, ...(port.appProtocol && { appProtocol: port.appProtocol }) },
    ]
  })
}

function targetPort({ targetPort: target, port, protocol = 'TCP' }: ServicePort, pod: Pod): number | undefined {
  if (target === undefined || target === '' || target === 0) return port
  if (typeof target === 'number') return target
  const sidecars = pod.spec.initContainers?.filter(({ restartPolicy }) => restartPolicy === 'Always') ?? []
  for (const { ports = [] } of [...pod.spec.containers, ...sidecars]) {
    const found = ports.find(({ name, protocol: p = 'TCP' }) => name === target && p === protocol)
    if (found) return found.containerPort
  }
  return undefined
}

export const canServe = (pod: Pod): boolean => !isTerminal(pod)

/** A pod being deleted is never ready, from the moment of its deletion on; it may still be serving. */
export function conditionsOf(service: Service, pod: Pod): { ready: boolean; serving: boolean; terminating: boolean } {
  const terminating = Boolean(pod.metadata.deletionTimestamp)
  const serving = isReady(pod)
  return { ready: service.spec.publishNotReadyAddresses === true || (serving && !terminating), serving, terminating }
}

export function hostnameOf(service: Service, pod: Pod): string | undefined {
  return pod.spec.subdomain === service.metadata.name ? pod.spec.hostname || undefined : undefined
}

export function endpointOf(service: Service, pod: Pod, address: string, node: Node | undefined): Endpoint {
  const { name, namespace, uid } = pod.metadata
  const hostname = hostnameOf(service, pod)
  const zone = node?.metadata.labels?.['topology.kubernetes.io/zone']
  const conditions = conditionsOf(service, pod)
  const hints = conditions.ready && hintsOf(service, pod, zone)
  return {
    addresses: [address],
    conditions,
    ...(hostname && { hostname }),
    targetRef: { kind: 'Pod', ...(namespace && { namespace }), name, uid },
    ...(pod.spec.nodeName && { nodeName: pod.spec.nodeName }),
    ...(zone && { zone }),
    ...(hints && { hints }),
  }
}

/** For whom an endpoint is meant, where the service prefers those nearby. */
function hintsOf({ spec }: Service, pod: Pod, zone: string | undefined): EndpointHints | undefined {
  const distribution = spec.trafficDistribution
  const forZones = zone && distribution ? { forZones: [{ name: zone }] } : undefined
  if (distribution === 'PreferClose' || distribution === 'PreferSameZone') return forZones
  if (distribution === 'PreferSameNode' && pod.spec.nodeName) return { forNodes: [{ name: pod.spec.nodeName }], ...forZones }
  return undefined
}
