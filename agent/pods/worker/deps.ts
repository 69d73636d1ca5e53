import type { Namespaces } from 'nft-js'
import type { Client } from '#api/client/client.ts'
import type { Clock } from '#api/clock.ts'
import type { EventRecorder } from '#api/events/recorder.ts'
import type { Log } from '#api/log.ts'
import type { Service } from '#api/types/core-v1.gen.ts'
import type { Images } from '../../images/images.ts'
import type { PodNetwork } from '../../network/pod-network.ts'
import type { Cgroups } from '../../runtime/cgroups.ts'
import type { Runtime } from '../../runtime/runtime.ts'
import type { Objects } from '../../volumes/objects.ts'
import type { Volumes } from '../../volumes/volumes.ts'
import type { DnsSettings } from '../sandbox/files.ts'
import type { Isolation } from '../sandbox/isolation.ts'

/** The node that the pods run on, as they need to know it. */
export type Host = {
  name: string
  /** Those of now: they may change. */
  readonly ips: readonly string[]
  memoryBytes: number
  allocatable: Record<string, string>
  /** Of the kernel's present boot (random/boot_id). */
  bootID: string
}

/** What pods are made with. Folders are absolute and the agent's own. */
export type PodDeps = {
  client: Client
  runtime: Runtime
  images: Pick<Images, 'find' | 'pull' | 'hold'>
  network: Pick<PodNetwork, 'setup' | 'teardown' | 'list'>
  namespaces: Namespaces
  cgroups: Pick<Cgroups, 'create' | 'limit' | 'remove'>
  volumes: Volumes
  objects: Objects
  events: EventRecorder
  clock: Clock
  random: () => number
  /** A container id: unique on the node, `[a-z0-9]+`. */
  newID: () => string
  log: Log
  host: Host
  dns: DnsSettings
  isolation: Isolation
  /** Every service of the cluster, as environment variables show them. */
  services: () => Service[]
  podsDir: string
  logsDir: string
}
