// Services and endpoint slices for tests.

import type { Service, ServiceSpec } from '#api/types/core-v1.gen.ts'
import type { Endpoint, EndpointSlice } from '#api/types/discovery-v1.gen.ts'
import type { ObjectName } from './desired.ts'
import { serviceNameLabel } from './frontends.ts'
import type { Proxy } from './proxy.ts'

/** A TCP service on port 80 unless the spec says otherwise. */
export const service = (name: string, clusterIP: string, spec: Partial<ServiceSpec> = {}, created = '2026-01-01T00:00:00Z'): Service =>
  ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'default', creationTimestamp: created },
    spec: { type: 'ClusterIP', clusterIP, clusterIPs: [clusterIP], ports: [{ port: 80 }], ...spec },
    status: { loadBalancer: {} },
  }) as Service

/** An endpoint's address, or all of it. */
type EndpointLike = string | (Partial<Endpoint> & { addresses: string[] })

/** The endpoints of a service, ready and on node `elsewhere` unless they say otherwise; `ports` by name. */
export const slice = (
  name: string,
  endpoints: readonly EndpointLike[],
  ports: EndpointSlice['ports'] = [{ name: '', protocol: 'TCP', port: 8080 }],
): EndpointSlice =>
  ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `${name}-1`, namespace: 'default', labels: { [serviceNameLabel]: name } },
    addressType: endpoints.some((endpoint) => (typeof endpoint === 'string' ? endpoint : (endpoint.addresses[0] ?? '')).includes(':'))
      ? 'IPv6'
      : 'IPv4',
    endpoints: endpoints.map((endpoint) => ({
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: 'elsewhere',
      ...(typeof endpoint === 'string' ? { addresses: [endpoint] } : endpoint),
    })),
    ports,
  }) as unknown as EndpointSlice

export const networks = { ip: { cluster: '10.42.0.0/16', pods: '10.42.1.0/24', services: '10.43.0.0/16' } }
export const bothNetworks = { ...networks, ip6: { cluster: 'fd00:42::/56', pods: 'fd00:42:0:1::/64', services: 'fd00:43::/112' } }

type Told = Pick<Proxy, 'serviceChanged' | 'sliceChanged'>

/** Tells whole lists: what is not in the last one is gone. Slices of the same name are told apart. */
export const tellWhole = (to: Told): ((services: readonly Service[], slices: readonly EndpointSlice[]) => void) => {
  const services = changes<Service>((name, object) => to.serviceChanged(name, object))
  const slices = changes<EndpointSlice>((name, object) => to.sliceChanged(name, object))
  return (nextServices, nextSlices) => {
    services(nextServices)
    slices(nextSlices)
  }
}

type Named = { metadata: { namespace?: string; name: string } }

const changes = <T extends Named>(changed: (name: ObjectName, object: T | undefined) => void) => {
  let told = new Map<string, T>()
  const nameOf = (id: string): ObjectName => ({ namespace: id.split('/')[0] ?? '', name: id.split('/')[1] ?? '' })
  return (objects: readonly T[]) => {
    const next = new Map<string, T>()
    for (const object of objects) {
      let id = `${object.metadata.namespace}/${object.metadata.name}`
      while (next.has(id)) id += "'"
      next.set(id, object)
    }
    for (const id of told.keys()) if (!next.has(id)) changed(nameOf(id), undefined)
    for (const [id, object] of next) if (told.get(id) !== object) changed(nameOf(id), object)
    told = next
  }
}

/** A proxy that is given everything at every call. */
export const wholeProxy = (proxy: Proxy) => {
  const tell = tellWhole(proxy)
  return {
    async apply(services: readonly Service[], slices: readonly EndpointSlice[]) {
      tell(services, slices)
      return proxy.apply()
    },
    remove: () => proxy.remove(),
  }
}
