// Keeps the service proxy told of services and their endpoints, and has it program what changed.

import type { Clock } from '#api/clock.ts'
import type { EventRecorder } from '#api/events/recorder.ts'
import type { Informer } from '#api/informer/informer.ts'
import type { KubeObject } from '#api/kinds/kind.ts'
import type { Log } from '#api/log.ts'
import type { Service } from '#api/types/core-v1.gen.ts'
import type { EndpointSlice } from '#api/types/discovery-v1.gen.ts'
import { coalesce } from './coalesce.ts'
import type { ObjectName } from './proxy/desired.ts'
import type { Proxy } from './proxy/proxy.ts'

export type ServicesOptions = {
  proxy: Proxy
  /** Both are synced. */
  services: Informer<Service>
  slices: Informer<EndpointSlice>
  events: EventRecorder
  clock: Clock
  log: Log
  /** The name server's address is the node's own, on its bridge: as a service without endpoints it would be refused. */
  clusterDNS: string
}

/** Bursts of changes become few transactions, milliseconds. */
const GATHER_MS = 10

export function serveServices({ proxy, services, slices, events, clock, log, clusterDNS }: ServicesOptions): { close(): Promise<void> } {
  const rules = coalesce(
    async () => {
      const { errors } = await proxy.apply()
      for (const { service, reason } of errors) events.event(service, 'Warning', 'FailedToProgramService', reason)
    },
    { name: 'services', clock, log, gather: GATHER_MS },
  )
  const poke = () => rules.poke()
  const stops = [
    tell(services, poke, (name, service) => proxy.serviceChanged(name, service?.spec.clusterIP === clusterDNS ? undefined : service)),
    tell(slices, poke, (name, slice) => proxy.sliceChanged(name, slice)),
  ]
  rules.poke()
  return {
    async close() {
      for (const stop of stops) stop()
      await rules.close()
    },
  }
}

function tell<T extends KubeObject>(
  informer: Informer<T>,
  poke: () => void,
  changed: (name: ObjectName, object: T | undefined) => void,
): () => void {
  const about = ({ metadata: { name, namespace = '' } }: T, object: T | undefined) => {
    changed({ name, namespace }, object)
    poke()
  }
  const set = (object: T) => about(object, object)
  return informer.on({ add: set, update: set, delete: (object) => about(object, undefined) })
}
