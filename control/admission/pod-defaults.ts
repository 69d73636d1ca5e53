// What every pod gets: a priority, and patience with a node that is unwell.

import type { Pod } from '#api/types/core-v1.gen.ts'
import { type Admission, forbidden, isKind } from './admission.ts'

/** Built in; others are PriorityClass objects. */
const priorities = new Map([
  ['', 0],
  ['system-cluster-critical', 2_000_000_000],
  ['system-node-critical', 2_000_001_000],
])

export const podPriority: Admission = {
  name: 'Priority',
  mutate(review) {
    if (review.operation !== 'CREATE' || review.subresource !== '' || !isKind(review, '', 'Pod')) return
    const { spec } = review.object as Pod
    if (!spec) return
    const priority = priorities.get(spec.priorityClassName ?? '')
    if (priority === undefined) throw forbidden(review, `no PriorityClass with name ${spec.priorityClassName} was found`)
    if (spec.priority !== undefined && spec.priority !== priority) {
      throw forbidden(
        review,
        'the integer value of priority must not be provided in pod spec; priority admission controller computed ' +
          `${priority} from the given PriorityClass name`,
      )
    }
    spec.priority = priority
    spec.preemptionPolicy ??= 'PreemptLowerPriority'
  },
}

const unwell = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']
const patienceSeconds = 300

export const podTolerations: Admission = {
  name: 'DefaultTolerationSeconds',
  mutate(review) {
    if (review.operation !== 'CREATE' || review.subresource !== '' || !isKind(review, '', 'Pod')) return
    const { spec } = review.object as Pod
    if (!spec) return
    for (const key of unwell) {
      const tolerated = spec.tolerations?.some((t) => (!t.key || t.key === key) && (!t.effect || t.effect === 'NoExecute'))
      if (!tolerated) {
        spec.tolerations = [
          ...(spec.tolerations ?? []),
          { key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: patienceSeconds },
        ]
      }
    }
  },
}
