// Keeps the cluster's name server running on this node and told of services. A node whose port 53 is
// taken still runs pods: the server is tried again until it can have it.

import { type Clock, sleep } from '#api/clock.ts'
import type { EventRecorder } from '#api/events/recorder.ts'
import type { Informer } from '#api/informer/informer.ts'
import type { KubeObject } from '#api/kinds/kind.ts'
import type { Log } from '#api/log.ts'
import type { ConfigMap, Service } from '#api/types/core-v1.gen.ts'
import type { EndpointSlice } from '#api/types/discovery-v1.gen.ts'
import { type Dns, type DnsOptions, openDns } from './dns.ts'

export type NamesOptions = Omit<DnsOptions, 'port' | 'upstream'> & {
  nodeName: string
  clock: Clock
  log: Log
  /** Both are synced. */
  services: Informer<Service>
  slices: Informer<EndpointSlice>
  /** Of the one that `namesSettings` selects; need not be synced: without it, and until then, the host's servers are asked. */
  settings: Informer<ConfigMap>
  events: EventRecorder
}

/** What people have set about names. */
export const namesSettings = { namespace: 'kube-system', fieldSelector: 'metadata.name=coracle-dns' }

const PORT = 53
const RETRY_MS = 5_000

/** Resolves after the first attempt, whatever became of it. */
export async function serveNames(options: NamesOptions): Promise<{ close(): Promise<void> }> {
  const { clock, log, services, slices, settings, events } = options
  const closing = new AbortController()
  const stack = new AsyncDisposableStack()

  async function attempt(): Promise<boolean> {
    try {
      const dns = await openDns({ ...options, port: PORT, upstream: { file: '/etc/resolv.conf' } })
      stack.defer(() => dns.close())
      stack.defer(tell(services, (name, service) => dns.serviceChanged(name, service)))
      stack.defer(tell(slices, (name, slice) => dns.sliceChanged(name, slice)))
      stack.defer(
        tell(settings, (_, object) => {
          for (const problem of dns.configure(object?.data))
            if (object) events.event(object, 'Warning', 'InvalidNameServerSettings', `node ${options.nodeName}: ${problem}`)
        }),
      )
      dns.synced()
      return true
    } catch (err) {
      log.error({ err, addresses: options.addresses, port: PORT }, 'the name server cannot listen')
      return false
    }
  }

  async function again(): Promise<void> {
    while (!closing.signal.aborted) {
      await sleep(clock, RETRY_MS, closing.signal)
      if (closing.signal.aborted || (await attempt())) return
    }
  }

  const retrying = (await attempt()) ? Promise.resolve() : again()
  return {
    async close() {
      closing.abort()
      await retrying
      await stack.disposeAsync()
    },
  }
}

function tell<T extends KubeObject>(
  informer: Informer<T>,
  changed: (name: Parameters<Dns['serviceChanged']>[0], object: T | undefined) => void,
) {
  const nameOf = ({ metadata: { name, namespace = '' } }: T) => ({ name, namespace })
  const set = (object: T) => changed(nameOf(object), object)
  return informer.on({ add: set, update: set, delete: (object) => changed(nameOf(object), undefined) })
}
