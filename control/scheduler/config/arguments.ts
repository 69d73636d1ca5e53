// What plugins are told by pluginConfig, in the words of kubescheduler.config.k8s.io/v1.

import type { NodeAffinity, TopologySpreadConstraint } from '#api/types/core-v1.gen.ts'
import type { DefaultPreemptionArgs } from '../plugins/default-preemption.ts'
import type { InterPodAffinityArgs } from '../plugins/inter-pod-affinity.ts'
import type { NodeAffinityArgs } from '../plugins/node-affinity.ts'
import type { NodeResourcesBalancedAllocationArgs } from '../plugins/node-resources-balanced-allocation.ts'
import type { NodeResourcesFitArgs, ResourceWeight, ScoringStrategy } from '../plugins/node-resources-fit.ts'
import type { PodTopologySpreadArgs } from '../plugins/pod-topology-spread.ts'
import { anyWhole, type Field } from './field.ts'

/** The members that are given, without those that are not. */
function given<T extends object>(members: T): T {
  for (const name of Object.keys(members) as (keyof T)[]) if (members[name] === undefined) delete members[name]
  return members
}

export function readPreemption(args: Field): DefaultPreemptionArgs {
  args.members(['minCandidateNodesPercentage', 'minCandidateNodesAbsolute'])
  return given({
    minCandidateNodesPercentage: args.at('minCandidateNodesPercentage').whole(0, 100),
    minCandidateNodesAbsolute: args.at('minCandidateNodesAbsolute').whole(0, anyWhole),
  })
}

export function readInterPodAffinity(args: Field): InterPodAffinityArgs {
  args.members(['hardPodAffinityWeight', 'ignorePreferredTermsOfExistingPods'])
  return given({
    hardPodAffinityWeight: args.at('hardPodAffinityWeight').whole(0, 100),
    ignorePreferredTermsOfExistingPods: args.at('ignorePreferredTermsOfExistingPods').flag(),
  })
}

export function readNodeAffinity(args: Field): NodeAffinityArgs {
  const added = args.members(['addedAffinity']).at('addedAffinity')
  if (added.isAbsent) return {}
  added.members(['requiredDuringSchedulingIgnoredDuringExecution', 'preferredDuringSchedulingIgnoredDuringExecution'])
  const required = added.at('requiredDuringSchedulingIgnoredDuringExecution')
  if (!required.isAbsent) {
    const terms = required.members(['nodeSelectorTerms']).at('nodeSelectorTerms')
    if (terms.isAbsent) required.faults.required(terms.path, 'must have at least one node selector term')
    for (const term of terms.items()) readTerm(term)
  }
  for (const preference of added.at('preferredDuringSchedulingIgnoredDuringExecution').items()) {
    preference.members(['weight', 'preference']).at('weight').whole(1, 100)
    readTerm(preference.at('preference'))
  }
  return { addedAffinity: added.value as NodeAffinity }
}

function readTerm(term: Field): void {
  term.members(['matchExpressions', 'matchFields'])
  for (const list of ['matchExpressions', 'matchFields'])
    for (const requirement of term.at(list).items()) {
      requirement.members(['key', 'operator', 'values']).at('key').needed()
      requirement.at('operator').needed()
      requirement.at('operator').oneOf(list === 'matchFields' ? ['In', 'NotIn'] : ['In', 'NotIn', 'Exists', 'DoesNotExist', 'Gt', 'Lt'])
      for (const value of requirement.at('values').items()) value.text()
    }
}

export function readResourcesFit(args: Field): NodeResourcesFitArgs {
  args.members(['ignoredResources', 'ignoredResourceGroups', 'scoringStrategy'])
  const groups = args.at('ignoredResourceGroups').items()
  for (const group of groups)
    if (String(group.value).includes('/')) group.faults.invalid(group.path, group.value, "resource group name can't contain '/'")
  return {
    ignoredResources: args
      .at('ignoredResources')
      .items()
      .map((name) => name.needed()),
    ignoredResourceGroups: groups.map((name) => name.needed()),
    scoringStrategy: readStrategy(args.at('scoringStrategy')),
  }
}

function readStrategy(strategy: Field): ScoringStrategy {
  strategy.members(['type', 'resources', 'requestedToCapacityRatio'])
  const type = strategy.at('type').oneOf(['LeastAllocated', 'MostAllocated', 'RequestedToCapacityRatio'])
  const shape = strategy.at('requestedToCapacityRatio').members(['shape']).at('shape')
  const points = shape.items().map((point) => ({
    utilization: point.members(['utilization', 'score']).at('utilization').whole(0, 100) ?? 0,
    score: point.at('score').whole(0, 10) ?? 0,
  }))
  if (type === 'RequestedToCapacityRatio' && points.length === 0) shape.faults.required(shape.path, 'at least one point must be specified')
  for (const [i, { utilization }] of points.entries())
    if (i > 0 && utilization <= points[i - 1]!.utilization)
      shape.faults.invalid(`${shape.path}[${i}].utilization`, utilization, 'utilization values must be sorted in increasing order')
  return given({
    type,
    resources: readResources(strategy.at('resources'), 100),
    ...(points.length && { requestedToCapacityRatio: { shape: points } }),
  })
}

export function readBalanced(args: Field): NodeResourcesBalancedAllocationArgs {
  return { resources: readResources(args.members(['resources']).at('resources'), 1) }
}

function readResources(list: Field, mostWeight: number): ResourceWeight[] {
  return list.items().map((resource) => ({
    name: resource.members(['name', 'weight']).at('name').needed(),
    weight: resource.at('weight').whole(1, mostWeight) ?? 1,
  }))
}

export function readSpread(args: Field): PodTopologySpreadArgs {
  args.members(['defaultConstraints', 'defaultingType'])
  const defaultingType = args.at('defaultingType').oneOf(['System', 'List'])
  const list = args.at('defaultConstraints')
  const known = [
    'maxSkew',
    'topologyKey',
    'whenUnsatisfiable',
    'minDomains',
    'nodeAffinityPolicy',
    'nodeTaintsPolicy',
    'labelSelector',
    'matchLabelKeys',
  ]
  const constraints = list.items()
  for (const constraint of constraints) {
    constraint.members(known).at('topologyKey').needed()
    if (constraint.at('maxSkew').isAbsent) constraint.faults.required(constraint.at('maxSkew').path)
    constraint.at('maxSkew').whole(1, anyWhole)
    constraint.at('minDomains').whole(1, anyWhole)
    constraint.at('whenUnsatisfiable').needed()
    constraint.at('whenUnsatisfiable').oneOf(['DoNotSchedule', 'ScheduleAnyway'])
    for (const policy of ['nodeAffinityPolicy', 'nodeTaintsPolicy']) constraint.at(policy).oneOf(['Honor', 'Ignore'])
    for (const name of ['labelSelector', 'matchLabelKeys'])
      if (!constraint.at(name).isAbsent)
        constraint.faults.forbidden(constraint.at(name).path, 'constraint must not define a selector, it is deduced for each pod')
  }
  if (constraints.length && defaultingType !== 'List')
    list.faults.invalid(
      args.at('defaultingType').path,
      defaultingType ?? 'System',
      'when .defaultConstraints are not empty, it must be "List"',
    )
  return given({ defaultingType, defaultConstraints: constraints.map(({ value }) => value as TopologySpreadConstraint) })
}
