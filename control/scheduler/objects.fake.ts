// Nodes and pods for tests of the scheduler, and a cluster of them in which pods are placed and not bound.

import { fakeClient } from '#api/client/fake.ts'
import { fakeClock } from '#api/clock.fake.ts'
import { informers } from '#api/informer/informers.ts'
import { silent } from '#api/log.ts'
import type { Node, Pod, PodSpec } from '#api/types/core-v1.gen.ts'
import { Cluster } from './cluster/cluster.ts'
import { PodInfo } from './cluster/pod-info.ts'
import type { Handle } from './framework/plugin.ts'
import { Placer, type Profile } from './framework/profile.ts'
import { PermitWaits } from './framework/waiting.ts'
import { defaultProfile } from './plugins/registry.ts'

export type NodeOptions = {
  cpu?: string
  memory?: string
  pods?: string
  labels?: Record<string, string>
  taints?: Node['spec']['taints']
  ready?: boolean
  unschedulable?: boolean
  images?: string[]
  more?: Record<string, string>
}

let count = 0
export const node = (
  name: string,
  { cpu = '2', memory = '2Gi', pods = '110', labels = {}, taints, ready = true, unschedulable, images = [], more }: NodeOptions = {},
): Node =>
  ({
    metadata: { name, uid: name, resourceVersion: '1', labels: { 'kubernetes.io/hostname': name, ...labels } },
    spec: { ...(taints && { taints }), ...(unschedulable && { unschedulable }) },
    status: {
      allocatable: { cpu, memory, pods, ...more },
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
      images: images.map((image) => ({ names: [image], sizeBytes: 1e8 })),
    },
  }) as unknown as Node

export type PodOptions = Partial<PodSpec> & {
  requests?: Record<string, string>
  labels?: Record<string, string>
  owner?: string
  namespace?: string
  ports?: PodSpec['containers'][0]['ports']
}
export const pod = ({ requests = {}, labels = {}, owner, namespace = 'default', ports, ...spec }: PodOptions = {}): Pod => {
  const name = `pod-${(count += 1)}`
  const ownerReferences = owner ? [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: owner, uid: owner, controller: true }] : []
  return {
    metadata: { name, namespace, uid: name, resourceVersion: '1', labels: owner ? { owner, ...labels } : labels, ownerReferences },
    spec: { containers: [{ name: 'c', image: 'web:1', resources: { requests }, ports }], ...spec },
    status: {},
  } as unknown as Pod
}

/** What plugins are made with; nothing is followed. Pods of an owner are chosen by their label `owner`, as if it selected so. */
export function handleOf(state: Cluster): Handle {
  const clock = fakeClock()
  const client = fakeClient({ clock })
  const selectors = {
    of: ({ metadata }: Pod) => {
      const owner = metadata.labels?.['owner']
      return owner ? { matchLabels: { owner } } : undefined
    },
    synced: Promise.resolve(),
  }
  return {
    cluster: state,
    client,
    informers: informers({ client, log: silent, clock, random: () => 0 }),
    clock,
    signal: new AbortController().signal,
    random: () => 0,
    log: silent,
    events: { event: () => {}, flush: async () => {}, close: async () => {} },
    schedulerName: 'default-scheduler',
    selectors,
    waiting: new PermitWaits(clock),
    happened: () => {},
  }
}

export function cluster(nodes: readonly Node[], placed: readonly (readonly [string, Pod])[] = [], profile?: (handle: Handle) => Profile) {
  const state = new Cluster({ labelsOf: (namespace) => ({ name: namespace }) })
  for (const each of nodes) state.setNode(each)
  for (const [nodeName, each] of placed) state.setPod({ ...each, spec: { ...each.spec, nodeName } })
  const placer = new Placer({ cluster: state, random: () => 0 })
  const made = (profile ?? defaultProfile)(handleOf(state))
  const choose = (each: Pod): string => {
    const placement = placer.place(new PodInfo(each), made)
    return placement.nodeName ?? placement.message
  }
  const run = (each: Pod): string => {
    const nodeName = choose(each)
    if (state.node(nodeName)) state.assume(new PodInfo(each), nodeName)
    return nodeName
  }
  return { state, choose, run, placer, profile: made }
}
