import { PriorityClass } from './index.ts'
import { ageColumn, nameColumn } from './rules/columns.ts'
import { isDns1123Subdomain } from './rules/names.ts'
import type { KindSpec } from './spec.ts'

/** Above it is room for the system's own. */
const highest = 1_000_000_000

/** Those that every cluster has. */
export const systemPriorities = [
  {
    name: 'system-cluster-critical',
    value: 2_000_000_000,
    description: 'Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.',
  },
  {
    name: 'system-node-critical',
    value: 2_000_001_000,
    description: 'Used for system critical pods that must not be moved from their current node.',
  },
] as const

const systemPriority = (name: string) => systemPriorities.find((p) => p.name === name)

export const priorityClass: KindSpec<PriorityClass> = {
  kind: PriorityClass,
  singular: 'priorityclass',
  shortNames: ['pc'],
  generation: true,
  nameRule: isDns1123Subdomain,
  columns: [
    nameColumn,
    { name: 'Value', type: 'integer', cell: (c) => c.value },
    { name: 'Global-Default', type: 'boolean', cell: (c) => c.globalDefault ?? false },
    ageColumn,
    { name: 'PreemptionPolicy', wide: true, cell: (c) => c.preemptionPolicy ?? '' },
  ],
  defaults(c) {
    c.preemptionPolicy ??= 'PreemptLowerPriority'
  },
  validate(c, faults) {
    const { name } = c.metadata
    const known = systemPriority(name)
    if (name.startsWith('system-')) {
      const wrong = !known
        ? `the name "${name}" does not match any known system priority class`
        : known.value !== c.value
          ? `value of ${name} PriorityClass must be ${known.value}`
          : c.globalDefault
            ? `globalDefault of ${name} PriorityClass must be false`
            : undefined
      if (wrong)
        faults.forbidden('metadata.name', `priority class names with 'system-' prefix are reserved for system use only. error: ${wrong}`)
    } else if (c.value > highest) faults.forbidden('value', `maximum allowed value of a user defined priority is ${highest}`)
    faults.oneOf('preemptionPolicy', c.preemptionPolicy, ['Never', 'PreemptLowerPriority'])
  },
  validateUpdate(next, previous, faults) {
    if (next.value !== previous.value) faults.forbidden('value', 'may not be changed in an update.')
    faults.immutable('preemptionPolicy', next.preemptionPolicy, previous.preemptionPolicy)
  },
}
