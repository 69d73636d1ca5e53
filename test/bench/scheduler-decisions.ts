// How fast the scheduler decides, in this process: its own cluster and plugins, no server.

import type { Node, Pod, PodSpec } from '#api/types/core-v1.gen.ts'
import { Cluster } from '#control/scheduler/cluster/cluster.ts'
import { PodInfo } from '#control/scheduler/cluster/pod-info.ts'
import { Placer } from '#control/scheduler/framework/profile.ts'
import { handleOf } from '#control/scheduler/objects.fake.ts'
import { defaultProfile } from '#control/scheduler/plugins/registry.ts'

export type Load = {
  name: string
  /** What the pods of an app ask for, beside CPU and memory. */
  spec: (app: string) => Partial<PodSpec>
  /** Pods of one app. */
  replicas: (zones: number) => number
}

const zone = 'topology.kubernetes.io/zone'
const nodesEachZone = 20
const chosen = (app: string) => ({ labelSelector: { matchLabels: { app } }, topologyKey: zone })

export const loads: readonly Load[] = [
  { name: 'plain', spec: () => ({}), replicas: () => 100 },
  {
    name: 'anti-affinity by zone',
    spec: (app) => ({ affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [chosen(app)] } } }),
    // As many as there is room for.
    replicas: (zones) => zones,
  },
  {
    name: 'affinity by zone',
    spec: (app) => ({ affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [chosen(app)] } } }),
    replicas: () => 100,
  },
  {
    name: 'spread over zones',
    spec: (app) => ({ topologySpreadConstraints: [{ ...chosen(app), maxSkew: 1, whenUnsatisfiable: 'DoNotSchedule' }] }),
    replicas: () => 100,
  },
]

export const nodeOf = (index: number): Node => {
  const name = `node-${index}`
  const labels = { 'kubernetes.io/hostname': name, [zone]: `zone-${Math.floor(index / nodesEachZone)}` }
  const status = { allocatable: { cpu: '32', memory: '64Gi', pods: '250' }, conditions: [{ type: 'Ready', status: 'True' }] }
  return { apiVersion: 'v1', kind: 'Node', metadata: { name, uid: name, labels }, spec: {}, status } as unknown as Node
}

export const podOf = (load: Load, index: number, zones: number): Pod => {
  const app = `app-${Math.floor(index / load.replicas(zones))}`
  const name = `${app}-${index}`
  const containers = [{ name: 'main', image: 'example.com/app:1', resources: { requests: { cpu: '100m', memory: '64Mi' } } }]
  const metadata = { name, namespace: 'default', uid: name, labels: { app, owner: app } }
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers, ...load.spec(app) }, status: {} } as unknown as Pod
}

/** `samples`: milliseconds of each decision. */
export type Decisions = { perSecond: number; samples: number[]; undecided: number }

/** Milliseconds that this thread has had a processor: others on the machine are left out. */
function processorTime(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

/** One important pod a node for each of which ten others have to go: what finding all of these takes, in milliseconds. */
export function preempt({ nodes, victims }: { nodes: number; victims: number }): { found: number; milliseconds: number } {
  const cluster = new Cluster({ labelsOf: () => ({}) })
  for (let i = 0; i < nodes; i += 1) cluster.setNode(nodeOf(i))
  const [plain] = loads as [Load]
  const each = victims / nodes
  const sized = (pod: Pod, cpu: number, priority: number): Pod => {
    const [main] = pod.spec.containers
    const containers = [{ ...main!, resources: { requests: { cpu: `${cpu}m` } } }]
    return { ...pod, spec: { ...pod.spec, priority, containers } }
  }
  for (let i = 0; i < victims; i += 1) {
    const pod = sized(podOf(plain, i, 1), 32_000 / each, 0)
    cluster.setPod({ ...pod, spec: { ...pod.spec, nodeName: `node-${i % nodes}` } })
  }
  const profile = defaultProfile(handleOf(cluster))
  const placer = new Placer({ cluster, random: Math.random })
  const gone = new Set<string>()
  const began = processorTime()
  for (let i = 0; i < nodes; i += 1) {
    const info = new PodInfo(sized(podOf(plain, victims + i, 1), 32_000, 10))
    const { postFiltered } = placer.place(info, profile) as { postFiltered?: { nominated?: string } }
    const node = cluster.node(postFiltered?.nominated ?? '')
    if (!node) continue
    for (const uid of node.pods.keys()) {
      gone.add(uid)
      cluster.removePod(uid)
    }
    cluster.assume(info, node.name)
  }
  return { found: gone.size, milliseconds: processorTime() - began }
}

/** What a piece of work takes, in milliseconds, that always is the same and takes about `length`: how the machine is at the moment. */
export function steadyWork(length: number, times: number): number[] {
  const spin = (turns: number) => {
    let sum = 0
    for (let i = 0; i < turns; i += 1) sum = (sum + i * 31) % 1_000_003
    return sum
  }
  const tried = performance.now()
  let turns = 1_000_000
  spin(turns)
  turns = Math.max(1, Math.round((turns * length) / (performance.now() - tried)))
  return Array.from({ length: times }, () => {
    const start = performance.now()
    spin(turns)
    return performance.now() - start
  })
}

/** Of pods that come after `before` others of the same kind. */
export function decide(load: Load, { nodes, pods, before = 0 }: { nodes: number; pods: number; before?: number }): Decisions {
  const cluster = new Cluster({ labelsOf: () => ({}) })
  for (let i = 0; i < nodes; i += 1) cluster.setNode(nodeOf(i))
  const profile = defaultProfile(handleOf(cluster))
  const placer = new Placer({ cluster, random: Math.random })
  const zones = Math.ceil(nodes / nodesEachZone)
  const samples: number[] = []
  let undecided = 0
  let began = processorTime()
  for (let i = 0; i < before + pods; i += 1) {
    if (i === before) began = processorTime()
    const pod = podOf(load, i, zones)
    const start = performance.now()
    const info = new PodInfo(pod)
    const { nodeName } = placer.place(info, profile)
    if (nodeName === undefined) undecided += 1
    else cluster.assume(info, nodeName)
    if (i >= before) samples.push(performance.now() - start)
    // Then the server's word comes that it is bound.
    if (nodeName !== undefined) cluster.setPod({ ...pod, spec: { ...pod.spec, nodeName } })
  }
  return { perSecond: (pods / (processorTime() - began)) * 1000, samples, undecided }
}
