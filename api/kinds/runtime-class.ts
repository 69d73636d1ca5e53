import { compareQuantity } from '../quantity.ts'
import { RuntimeClass } from './index.ts'
import { ageColumn, nameColumn } from './rules/columns.ts'
import { repeats } from './rules/faults.ts'
import { validateLabels } from './rules/meta.ts'
import { isDns1123Label, isDns1123Subdomain, isQualifiedName } from './rules/names.ts'
import { labelDeprecation } from './rules/node-labels.ts'
import { validateTolerations } from './rules/taints.ts'
import type { KindSpec } from './spec.ts'

export const runtimeClass: KindSpec<RuntimeClass> = {
  kind: RuntimeClass,
  singular: 'runtimeclass',
  nameRule: isDns1123Subdomain,
  columns: [nameColumn, { name: 'Handler', cell: (c) => c.handler }, ageColumn],
  *warnings({ scheduling }) {
    for (const key of Object.keys(scheduling?.nodeSelector ?? {})) {
      const why = labelDeprecation(key)
      if (why) yield `scheduling.nodeSelector: ${why}`
    }
  },
  validate({ handler, overhead, scheduling }, faults) {
    faults.each('handler', handler, isDns1123Label(handler))
    for (const [name, amount] of Object.entries(overhead?.podFixed ?? {})) {
      faults.each('overhead.podFixed', name, isQualifiedName(name))
      if (compareQuantity(amount, '0') < 0) faults.invalid(`overhead.podFixed[${name}]`, amount, 'must be greater than or equal to 0')
    }
    if (!scheduling) return
    validateLabels('scheduling.nodeSelector', scheduling.nodeSelector, faults)
    const { tolerations = [] } = scheduling
    validateTolerations('scheduling.tolerations', tolerations, faults)
    const repeated = repeats()
    for (const [i, toleration] of tolerations.entries()) {
      if (repeated(JSON.stringify(toleration))) faults.duplicate(`scheduling.tolerations[${i}]`, toleration)
    }
  },
  validateUpdate(next, previous, faults) {
    faults.immutable('handler', next.handler, previous.handler)
  },
}
