// Taints keep away pods that do not tolerate them; soft ones (PreferNoSchedule) only where there is better.

import type { Cluster } from '../cluster/cluster.ts'
import type { NodeInfo } from '../cluster/node-info.ts'
import type { PodInfo } from '../cluster/pod-info.ts'
import type { Plugin } from '../framework/plugin.ts'
import { tolerates, untolerated } from '../taints.ts'

const tolerated = ({ pod }: PodInfo, { node }: { node: NodeInfo }): boolean => untolerated(node.taints, pod.spec.tolerations).length === 0

export const taintToleration = ({ cluster }: { cluster: Cluster }): Plugin => ({
  name: 'TaintToleration',
  hints: { 'node/add': tolerated, 'node/taints': tolerated },
  preFilter: ({ pod }) => ({
    filter({ taints }) {
      if (taints.length === 0) return undefined
      const taint = taints.find((each) => !pod.spec.tolerations?.some((toleration) => tolerates(toleration, each)))
      return taint && { reasons: [`node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`], unresolvable: true }
    },
  }),
  preScore: ({ pod }) =>
    cluster.softTainted ? { of: ({ softTaints }) => untolerated(softTaints, pod.spec.tolerations).length, normalize: 'lowest' } : undefined,
})
