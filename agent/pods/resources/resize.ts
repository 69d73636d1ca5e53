// In-place resize: a container's cpu and memory as its pod asks for them, as this node has allotted them,
// and as its process has them. They differ for a while, or for long where the node has no room.
// https://kubernetes.io/docs/tasks/configure-pod-container/resize-container-resources/

import { millis, units } from '#api/quantity.ts'
import type { Container, Pod, ResourceRequirements } from '#api/types/core-v1.gen.ts'
import type { Resources } from '../../runtime/runtime.ts'
import { type ContainerRecord, isMain, isSidecarSlot } from '../containers/record.ts'
import { differing, isLagging, mustRestart, resizable } from './allotment.ts'
import { podResources, resourcesOf } from './qos.ts'

export type Amounts = Record<(typeof resizable)[number], number>

/** Containers that run beside each other for as long as the pod does. */
export const lasts = (record: ContainerRecord): boolean => isMain(record) || isSidecarSlot(record)

/** Those for which the pod asks for something else than it was allotted. */
export const unallotted = (records: readonly ContainerRecord[]): ContainerRecord[] =>
  records.filter((record) => lasts(record) && differing(record.container.resources, record.allotted).length > 0)

export const allottedContainer = ({ container, allotted }: ContainerRecord): ContainerRecord['container'] => ({
  ...container,
  resources: allotted,
})

/** The pod with what its containers are allotted instead of what it asks for. */
export function allottedPod(pod: Pod, records: readonly ContainerRecord[]): Pod {
  const allotted = (list: Container[] | undefined) =>
    list?.map((container) => ({
      ...container,
      resources: records.find((record) => record.container.name === container.name)?.allotted ?? container.resources,
    }))
  const { spec } = pod
  return { ...pod, spec: { ...spec, initContainers: allotted(spec.initContainers), containers: allotted(spec.containers) ?? [] } }
}

const amountOf = { cpu: millis, memory: units }

/** Thousandths of cores, and bytes, that the containers of a pod ask for together. */
export function requestsOf(containers: readonly { resources?: ResourceRequirements }[]): Amounts {
  const sum = (name: keyof Amounts) => containers.reduce((total, { resources }) => total + amountOf[name](resources?.requests?.[name]), 0)
  return { cpu: sum('cpu'), memory: sum('memory') }
}

export type Room = { allocatable: Record<string, string> /** By the node's other pods. */; taken: Amounts }
export type Obstacle = { reason: 'Infeasible' | 'Deferred'; message: string }

/** Why the node cannot give what is asked for: never, or not now. */
export function obstacle(records: readonly ContainerRecord[], { allocatable, taken }: Room): Obstacle | undefined {
  const asked = requestsOf(records.filter(lasts).map(({ container }) => container))
  const had = requestsOf(records.filter(lasts).map(({ allotted }) => ({ resources: allotted })))
  const growing = resizable.filter((name) => asked[name] > had[name])
  for (const name of growing) {
    const [requested, capacity] = [asked[name], amountOf[name](allocatable[name])]
    if (requested <= capacity) continue
    return { reason: 'Infeasible', message: `Node didn't have enough capacity: ${name}, requested: ${requested}, capacity: ${capacity}` }
  }
  for (const name of growing) {
    const [requested, used, capacity] = [asked[name], taken[name], amountOf[name](allocatable[name])]
    if (requested + used <= capacity) continue
    const message = `Node didn't have enough resource: ${name}, requested: ${requested}, used: ${used}, capacity: ${capacity}`
    return { reason: 'Deferred', message }
  }
  return undefined
}

export type Limits = { pod: (resources: Resources) => Promise<void>; container: (id: string, resources: Resources) => Promise<void> }

/**
 * Brings cgroups to what was allotted. The pod's own is wide while those below it change: the kernel
 * refuses a child more CPU time than its parent has.
 */
export async function actuate(pod: Pod, records: readonly ContainerRecord[], limits: Limits): Promise<void> {
  const processes = records.filter((record) => isLagging(record) && !mustRestart(record))
  await limits.pod({ cpuShares: podResources(allottedPod(pod, records)).cpuShares })
  for (const record of processes) {
    const { current, allotted } = record
    await limits.container(current!.id, resourcesOf({ ...record.container, resources: allotted }))
    if (record.current?.id === current!.id) record.current = { ...record.current, resources: allotted }
  }
  await limits.pod(podResources(allottedPod(pod, records)))
}
