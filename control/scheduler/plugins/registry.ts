// Our own plugins, by kube-scheduler's names, in the order in which they are asked: the cheap ones first. A profile
// that says nothing else has all of them.

import { readBalanced, readInterPodAffinity, readNodeAffinity, readPreemption, readResourcesFit, readSpread } from '../config/arguments.ts'
import type { Field } from '../config/field.ts'
import { assemble, type Point } from '../framework/assemble.ts'
import type { Handle, Plugin } from '../framework/plugin.ts'
import type { Profile } from '../framework/profile.ts'
import { defaultBinder } from './default-binder.ts'
import { defaultPreemption } from './default-preemption.ts'
import { imageLocality } from './image-locality.ts'
import { interPodAffinity } from './inter-pod-affinity.ts'
import { nodeAffinity } from './node-affinity.ts'
import { nodeName } from './node-name.ts'
import { nodePorts } from './node-ports.ts'
import { nodeResourcesBalancedAllocation } from './node-resources-balanced-allocation.ts'
import { nodeResourcesFit } from './node-resources-fit.ts'
import { nodeUnschedulable } from './node-unschedulable.ts'
import { podTopologySpread } from './pod-topology-spread.ts'
import { prioritySort } from './priority-sort.ts'
import { schedulingGates } from './scheduling-gates.ts'
import { taintToleration } from './taint-toleration.ts'
import { volumeBinding } from './volume-binding.ts'
import { volumeRestrictions } from './volume-restrictions.ts'

export type Make = (handle: Handle) => Plugin

export type Entry = {
  points: readonly Point[]
  /** Of its score. */
  weight?: number
  make: Make
  /** With what pluginConfig says; absent: there is nothing to say. */
  configured?: (args: Field) => Make
}

/** A plugin that takes arguments. */
function taking<A>(points: readonly Point[], weight: number, read: (args: Field) => A, make: (handle: Handle, args?: A) => Plugin): Entry {
  const configured = (field: Field): Make => {
    const args = read(field)
    return (handle) => make(handle, args)
  }
  return { points, weight, make: (handle) => make(handle), configured }
}

export const registry: Readonly<Record<string, Entry>> = {
  SchedulingGates: { points: ['preEnqueue'], make: schedulingGates },
  PrioritySort: { points: ['queueSort'], make: prioritySort },
  NodeUnschedulable: { points: ['filter'], make: nodeUnschedulable },
  NodeName: { points: ['filter'], make: nodeName },
  TaintToleration: { points: ['filter', 'score'], weight: 3, make: taintToleration },
  NodeAffinity: taking(['filter', 'score'], 2, readNodeAffinity, (_, args) => nodeAffinity(args)),
  NodePorts: { points: ['filter'], make: nodePorts },
  NodeResourcesFit: taking(['filter', 'score'], 1, readResourcesFit, nodeResourcesFit),
  VolumeRestrictions: { points: ['filter'], make: volumeRestrictions },
  VolumeBinding: { points: ['filter', 'reserve', 'permit', 'postBind'], make: volumeBinding },
  PodTopologySpread: taking(['filter', 'score'], 2, readSpread, podTopologySpread),
  InterPodAffinity: taking(['filter', 'score'], 2, readInterPodAffinity, interPodAffinity),
  DefaultPreemption: taking(['postFilter'], 0, readPreemption, defaultPreemption),
  NodeResourcesBalancedAllocation: taking(['score'], 1, readBalanced, (_, args) => nodeResourcesBalancedAllocation(args)),
  ImageLocality: { points: ['score'], weight: 1, make: imageLocality },
  DefaultBinder: { points: ['bind'], make: defaultBinder },
}

export function defaultProfile(handle: Handle): Profile {
  const made = Object.values(registry).map(({ points, make, weight = 0 }) => ({ points, plugin: make(handle), weight }))
  const plugins = assemble((point) => made.filter(({ points }) => points.includes(point)))
  return { schedulerName: handle.schedulerName, percentageOfNodesToScore: 0, plugins }
}
