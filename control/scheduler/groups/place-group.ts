// Places the pods of a group in one turn: as many as are wanted at the least, or none, so that no part of a group
// holds room that another group waits for.

import type { Cluster } from '../cluster/cluster.ts'
import type { PodInfo } from '../cluster/pod-info.ts'
import type { Plugin } from '../framework/plugin.ts'
import type { Placement } from '../framework/profile.ts'
import type { PodGroup } from './pod-groups.ts'

export type Homes = {
  /** Counted on their nodes. */
  placed: { pod: PodInfo; nodeName: string }[]
  /** Those that fitted nowhere, or must not go without the others. */
  refused: { pod: PodInfo; message: string; by: readonly Plugin[] }[]
}

/** Stands for the group itself among those that refuse: only another pod of it helps. */
const podGroup: Plugin = { name: 'PodGroup' }

/** `missing`: how many have to be placed now. */
export function placeGroup(
  group: PodGroup,
  pods: readonly PodInfo[],
  missing: number,
  cluster: Cluster,
  place: (pod: PodInfo) => Placement,
): Homes {
  if (pods.length < missing) {
    const message = `pod group ${JSON.stringify(group.name)} waits for ${missing - pods.length} more of its pods, at least ${group.least} are wanted`
    return { placed: [], refused: pods.map((pod) => ({ pod, message, by: [podGroup] })) }
  }
  const homes: Homes = { placed: [], refused: [] }
  for (const pod of pods) {
    const { nodeName, ...rest } = place(pod)
    if (nodeName !== undefined) {
      cluster.assume(pod, nodeName)
      homes.placed.push({ pod, nodeName })
    } else homes.refused.push({ pod, message: rest.message ?? '', by: ('by' in rest && rest.by) || [] })
  }
  if (homes.placed.length >= missing) return homes
  for (const { pod } of homes.placed) cluster.forget(pod.uid)
  const [first] = homes.refused
  const message = `${first?.message ?? ''} pod group ${JSON.stringify(group.name)}: ${homes.placed.length} of its pods fit together, at least ${missing} have to`
  const by = [...new Set(homes.refused.flatMap((each) => each.by))]
  return { placed: [], refused: pods.map((pod) => ({ pod, message, by })) }
}
