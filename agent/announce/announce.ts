// Draws packets for the addresses of LoadBalancer services to one of the nodes, by ARP and neighbour
// discovery: the service proxy of each node translates what comes. Nothing is opened, and no lease
// followed, before there is such a service.

import type { Client } from '#api/client/client.ts'
import type { Clock, Timer } from '#api/clock.ts'
import { isStatus } from '#api/errors.ts'
import type { EventRecorder } from '#api/events/recorder.ts'
import type { Informer } from '#api/informer/informer.ts'
import type { Informers } from '#api/informer/informers.ts'
import { Lease } from '#api/kinds/index.ts'
import { keyOf } from '#api/kinds/kind.ts'
import type { Log } from '#api/log.ts'
import type { Node, Service } from '#api/types/core-v1.gen.ts'
import type { EndpointSlice } from '#api/types/discovery-v1.gen.ts'
import { coalesce } from '../coalesce.ts'
import type { NodeAddresses } from '../node/addresses.ts'
import { announcements, Elections, leaseName } from './elections.ts'
import { openPlaces, type Places } from './places.ts'
import { openResponder, type Responder } from './responder.ts'
import { factsOf, isAnnounced, type Wanted, wanted } from './wanted.ts'

export type AnnounceOptions = {
  client: Client
  watched: Informers
  /** All are synced. */
  services: Informer<Service>
  slices: Informer<EndpointSlice>
  nodes: Informer<Node>
  nodeName: string
  /** Of this node. */
  addresses: Pick<NodeAddresses, 'current'>
  /** Names the links of ours, on which nobody outside is. */
  skip: (link: string) => boolean
  events: EventRecorder
  clock: Clock
  log: Log
}

const serviceLabel = 'kubernetes.io/service-name'
/** Bursts of changes are looked at once, milliseconds. */
const GATHER_MS = 50
/** How often a rival is told that an address is ours, and a lease looked at that nobody needs, at most. */
const DEFENCE_MS = 1_000
const STRAY_MS = 10_000

export function announceAddresses(options: AnnounceOptions): { close(): Promise<void> } {
  const { services, slices, nodes, nodeName, clock, log } = options
  const balanced = new Map<string, Service>()
  let state = new Map<string, Wanted>()
  let stage: Stage | undefined

  const work = async () => {
    state = wanted({
      nodeName,
      nodes: [...nodes.list()],
      services: balanced.values(),
      slicesOf: ({ metadata: { namespace, name } }) =>
        slices.list().filter(({ metadata }) => metadata.namespace === namespace && metadata.labels?.[serviceLabel] === name),
    })
    if (state.size > 0) stage ??= await openStage(options, (address) => state.get(address)?.services ?? [])
    stage?.stand(state)
  }
  const look = coalesce(work, { name: 'addresses of load balancers', clock, log, gather: GATHER_MS })

  const serviceChanged = (service: Service, gone: boolean) => {
    const key = keyOf(service.metadata)
    const before = balanced.delete(key)
    if (!gone && isAnnounced(service)) balanced.set(key, service)
    if (before || balanced.has(key)) look.poke()
  }
  const sliceChanged = ({ metadata: { namespace = '', labels } }: EndpointSlice) => {
    const service = balanced.get(keyOf({ namespace, name: labels?.[serviceLabel] ?? '' }))
    if (service?.spec.externalTrafficPolicy === 'Local') look.poke()
  }
  const poke = () => balanced.size > 0 && look.poke()
  const stops = [
    services.on({
      add: (service) => serviceChanged(service, false),
      update: (service) => serviceChanged(service, false),
      delete: (service) => serviceChanged(service, true),
    }),
    slices.on({ add: sliceChanged, update: sliceChanged, delete: sliceChanged }),
    nodes.on({ add: poke, update: (node, old) => void (factsOf(node) !== factsOf(old) && poke()), delete: poke }),
  ]
  return {
    async close() {
      for (const stop of stops) stop()
      await look.close()
      await stage?.close()
    },
  }
}

type Stage = { stand(state: ReadonlyMap<string, Wanted>): void; close(): Promise<void> }

/** What is needed once there is something to announce. */
async function openStage(options: AnnounceOptions, servicesOf: (address: string) => readonly Service[]): Promise<Stage> {
  const { client, watched, nodeName, events, clock, log } = options
  const places: Places = await openPlaces(options)
  const defended = new Map<string, number>()
  /** By address, of those that were found taken: by whom. */
  const inUse = new Map<string, string>()
  const responder: Responder = openResponder({
    clock,
    log,
    onRival(address, mac) {
      const now = clock.monotonic()
      if (now - (defended.get(address) ?? Number.NEGATIVE_INFINITY) < DEFENCE_MS) return
      defended.set(address, now)
      const ours = elections.rival(address)
      log.warn({ address, mac }, ours ? 'somebody else announces an address of this node' : 'another node announces an address now')
      if (ours) responder.announce(address)
    },
  })
  const elections = new Elections({
    client,
    nodeName,
    clock,
    log,
    async reachable(address, fresh) {
      const link = await places.find(address)
      if (!link || !fresh) return link !== undefined
      // Only the first time: who had it before may still answer, and is to be taken over from.
      const mac = await responder.probe(address, link)
      if (mac === undefined) return true
      if (inUse.get(address) !== mac)
        for (const service of servicesOf(address))
          events.event(service, 'Warning', 'AddressInUse', `${address} is not announced: a host of the network has it, ${mac}`)
      inUse.set(address, mac)
      return false
    },
    async onHeld(address, first) {
      const link = await places.find(address)
      if (!link) return false
      await responder.start(address, link)
      if (!first) return true
      log.info({ address, link }, 'announcing an address')
      for (const service of servicesOf(address))
        events.event(service, 'Normal', 'NodeAssigned', `announcing ${address} from node ${nodeName}`)
      return true
    },
    onLost(address) {
      log.info({ address }, 'no longer announcing an address')
      responder.stop(address)
    },
  })
  const leases = watched.of(Lease, announcements)
  const silence = leases.on({
    add: (lease) => elections.leaseSeen(lease, false),
    update: (lease) => elections.leaseSeen(lease, false),
    delete: (lease) => elections.leaseSeen(lease, true),
  })
  let needed = new Set<string>()
  let sweeping: Timer | undefined

  /** Leases of addresses that no service has: who held one may have gone without a word. */
  const sweep = () => {
    sweeping = undefined
    for (const { metadata } of leases.list().toArray()) {
      if (needed.has(metadata.name)) continue
      client.delete(Lease, metadata, { preconditions: { resourceVersion: metadata.resourceVersion } }).catch((err: unknown) => {
        if (!isStatus(err, 'NotFound', 'Conflict')) log.debug({ err }, 'a lease that nobody needs could not be deleted')
      })
    }
  }

  return {
    stand(state) {
      needed = new Set([...state.keys()].map(leaseName))
      elections.stand(new Map([...state].map(([address, { rank }]) => [address, rank])))
      sweeping ??= clock.after(STRAY_MS, sweep)
    },
    async close() {
      sweeping?.cancel()
      silence()
      await elections.close()
      responder.close()
      places.close()
    },
  }
}
