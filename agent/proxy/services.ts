// Keeps the service proxy told of services and their endpoints, and has it program what changed.

import type { Clock } from '#api/clock.ts'
import type { EventRecorder } from '#api/events/recorder.ts'
import type { Informer } from '#api/informer/informer.ts'
import type { KubeObject } from '#api/kinds/kind.ts'
import type { Log } from '#api/log.ts'
import type { Node, Pod, Service } from '#api/types/core-v1.gen.ts'
import type { EndpointSlice } from '#api/types/discovery-v1.gen.ts'
import { coalesce } from '../coalesce.ts'
import type { ObjectName } from './desired.ts'
import { openHealthChecks } from './health-checks.ts'
import type { Proxy } from './proxy.ts'

export type ServicesOptions = {
  proxy: Proxy
  /** Both are synced. */
  services: Informer<Service>
  slices: Informer<EndpointSlice>
  /** Of all nodes, and of the pods of this one. */
  nodes: Informer<Node>
  pods: Informer<Pod>
  nodeName: string
  events: EventRecorder
  clock: Clock
  log: Log
  /** The name server's addresses are the node's own, on its bridge: as a service without endpoints it would be refused. */
  clusterDNS: readonly string[]
}

/** Bursts of changes become few transactions, milliseconds. */
const GATHER_MS = 10

const zoneLabel = 'topology.kubernetes.io/zone'

export function serveServices(options: ServicesOptions): { close(): Promise<void> } {
  const { proxy, services, slices, nodes, pods, nodeName, events, clock, log, clusterDNS } = options
  const health = openHealthChecks({ log })
  const rules = coalesce(
    async () => {
      const { errors, healthChecks } = await proxy.apply()
      await health.apply(healthChecks)
      for (const { object, reason } of errors) events.event(object, 'Warning', 'FailedToProgramService', reason)
    },
    { name: 'services', clock, log, gather: GATHER_MS },
  )
  const stops = [
    tell(services, (name, service) => {
      proxy.serviceChanged(name, clusterDNS.includes(service?.spec.clusterIP ?? '') ? undefined : service)
      rules.poke()
    }),
    tell(slices, (name, slice) => {
      proxy.sliceChanged(name, slice)
      rules.poke()
    }),
    tell(pods, (name, pod) => {
      if (proxy.podChanged(name, pod)) rules.poke()
    }),
    tell(nodes, ({ name }, node) => {
      if (name === nodeName && proxy.zoneChanged(node?.metadata.labels?.[zoneLabel])) rules.poke()
    }),
  ]
  rules.poke()
  return {
    async close() {
      for (const stop of stops) stop()
      await rules.close()
      await health.close()
    },
  }
}

function tell<T extends KubeObject>(informer: Informer<T>, changed: (name: ObjectName, object: T | undefined) => void): () => void {
  const nameOf = ({ metadata: { name, namespace = '' } }: T) => ({ name, namespace })
  const set = (object: T) => changed(nameOf(object), object)
  return informer.on({ add: set, update: set, delete: (object) => changed(nameOf(object), undefined) })
}
