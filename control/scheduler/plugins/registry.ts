// Our own plugins, by kube-scheduler's names, and which of them a profile has that says nothing else, in the
// order in which they are asked: the cheap ones first.

import { assemble } from '../framework/assemble.ts'
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

type Entry = { make: (handle: Handle) => Plugin; weight?: number }

export const registry: Readonly<Record<string, Entry>> = {
  SchedulingGates: { make: schedulingGates },
  PrioritySort: { make: prioritySort },
  NodeUnschedulable: { make: nodeUnschedulable },
  NodeName: { make: nodeName },
  TaintToleration: { make: taintToleration, weight: 3 },
  NodeAffinity: { make: () => nodeAffinity(), weight: 2 },
  NodePorts: { make: nodePorts },
  NodeResourcesFit: { make: (handle) => nodeResourcesFit(handle), weight: 1 },
  PodTopologySpread: { make: (handle) => podTopologySpread(handle), weight: 2 },
  InterPodAffinity: { make: (handle) => interPodAffinity(handle), weight: 2 },
  DefaultPreemption: { make: (handle) => defaultPreemption(handle) },
  NodeResourcesBalancedAllocation: { make: () => nodeResourcesBalancedAllocation(), weight: 1 },
  ImageLocality: { make: imageLocality, weight: 1 },
  DefaultBinder: { make: defaultBinder },
}

export const defaultProfile = (handle: Handle): Profile => ({
  schedulerName: handle.schedulerName,
  percentageOfNodesToScore: 0,
  plugins: assemble(Object.values(registry).map(({ make, weight = 0 }) => ({ plugin: make(handle), weight }))),
})
