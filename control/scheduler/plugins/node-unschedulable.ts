// Cordoned nodes take only pods that tolerate it.

import type { NodeInfo } from '../cluster/node-info.ts'
import type { PodInfo } from '../cluster/pod-info.ts'
import type { Plugin } from '../framework/plugin.ts'
import { tolerates, unschedulableTaint } from '../taints.ts'

const refusal = { reasons: ['node(s) were unschedulable'], unresolvable: true }

const tolerated = ({ pod }: PodInfo): boolean =>
  pod.spec.tolerations?.some((t) => tolerates(t, { key: unschedulableTaint, effect: 'NoSchedule' })) ?? false
const open = (pod: PodInfo, { node }: { node: NodeInfo }): boolean => !node.unschedulable || tolerated(pod)

export const nodeUnschedulable = (): Plugin => ({
  name: 'NodeUnschedulable',
  hints: { 'node/add': open, 'node/taints': open },
  preFilter: (pod) => (tolerated(pod) ? undefined : { filter: ({ unschedulable }) => (unschedulable ? refusal : undefined) }),
})
