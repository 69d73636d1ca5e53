// What every pod gets: a priority, and patience with a node that is unwell.

import { PriorityClass } from '#api/kinds/index.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { type Admission, forbidden, isKind } from './admission.ts'
import type { Find } from './find.ts'

type PriorityDeps = {
  find: Find
  /** A moment old at worst. */
  classes(this: void): Iterable<PriorityClass>
}

/** From the class that a pod names, or the one that is meant where none is named. */
export const podPriority = ({ find, classes }: PriorityDeps): Admission => ({
  name: 'Priority',
  async mutate(review) {
    if (review.operation !== 'CREATE' || review.subresource !== '' || !isKind(review, '', 'Pod')) return
    const { spec } = review.object as Pod
    if (!spec) return
    const name = spec.priorityClassName
    const found = name ? await find(PriorityClass, { name }) : standard(classes())
    if (name && !found) throw forbidden(review, `no PriorityClass with name ${name} was found`)
    const priority = found?.value ?? 0
    if (spec.priority !== undefined && spec.priority !== priority) {
      throw forbidden(
        review,
        'the integer value of priority must not be provided in pod spec; priority admission controller computed ' +
          `${priority} from the given PriorityClass name`,
      )
    }
    if (found) spec.priorityClassName = found.metadata.name
    spec.priority = priority
    spec.preemptionPolicy ??= found?.preemptionPolicy ?? 'PreemptLowerPriority'
  },
  validate(review) {
    if (review.operation === 'DELETE' || !isKind(review, 'scheduling.k8s.io', 'PriorityClass')) return
    const { globalDefault, metadata } = review.object as PriorityClass
    const other = globalDefault ? [...classes()].find((c) => c.globalDefault && c.metadata.name !== metadata.name) : undefined
    if (other) throw forbidden(review, `PriorityClass ${other.metadata.name} is already marked as default. Only one default can exist`)
  },
})

/** The lowest of those that claim to be it: two may have been written at the same moment. */
function standard(classes: Iterable<PriorityClass>): PriorityClass | undefined {
  let lowest: PriorityClass | undefined
  for (const each of classes) if (each.globalDefault && each.value < (lowest?.value ?? Number.POSITIVE_INFINITY)) lowest = each
  return lowest
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
