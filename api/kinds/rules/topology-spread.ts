// Rules for how pods spread over zones and nodes.

import type { TopologySpreadConstraint } from '../../types/core-v1.gen.ts'
import type { Faults } from './faults.ts'
import { isQualifiedName } from './names.ts'
import { validateLabelSelector } from './workload.ts'

const actions = ['DoNotSchedule', 'ScheduleAnyway']
const policies = ['Honor', 'Ignore']

export function validateTopologySpread(at: string, constraints: readonly TopologySpreadConstraint[] | undefined, faults: Faults): void {
  if (!constraints) return
  const last = new Map(constraints.map((constraint, i) => [pairOf(constraint), i]))
  for (const [i, constraint] of constraints.entries()) {
    const here = `${at}[${i}]`
    const { maxSkew, topologyKey, whenUnsatisfiable, minDomains, nodeAffinityPolicy, nodeTaintsPolicy, labelSelector } = constraint
    if (!(maxSkew > 0)) faults.invalid(`${here}.maxSkew`, maxSkew, 'must be greater than zero')
    if (!topologyKey) faults.required(`${here}.topologyKey`, 'can not be empty')
    faults.oneOf(`${here}.whenUnsatisfiable`, whenUnsatisfiable, actions)
    const pair = pairOf(constraint)
    if (last.get(pair) !== i) faults.duplicate(`${here}.{topologyKey, whenUnsatisfiable}`, pair)
    if (minDomains !== undefined) {
      if (minDomains <= 0) faults.invalid(`${here}.minDomains`, minDomains, 'must be greater than zero')
      if (whenUnsatisfiable !== 'DoNotSchedule') {
        const why = `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${whenUnsatisfiable}`
        faults.invalid(`${here}.minDomains`, minDomains, why)
      }
    }
    if (nodeAffinityPolicy !== undefined) faults.oneOf(`${here}.nodeAffinityPolicy`, nodeAffinityPolicy, policies)
    if (nodeTaintsPolicy !== undefined) faults.oneOf(`${here}.nodeTaintsPolicy`, nodeTaintsPolicy, policies)
    validateLabelKeys(`${here}.matchLabelKeys`, constraint, faults)
    if (labelSelector) validateLabelSelector(`${here}.labelSelector`, labelSelector, faults)
  }
}

const pairOf = ({ topologyKey, whenUnsatisfiable }: TopologySpreadConstraint) => `{${topologyKey}, ${whenUnsatisfiable}}`

function validateLabelKeys(at: string, { matchLabelKeys, labelSelector }: TopologySpreadConstraint, faults: Faults): void {
  if (!matchLabelKeys?.length) return
  if (!labelSelector) faults.forbidden(at, 'must not be specified when labelSelector is not set')
  const asked = new Set([
    ...Object.keys(labelSelector?.matchLabels ?? {}),
    ...(labelSelector?.matchExpressions ?? []).map((expression) => expression.key),
  ])
  for (const [i, key] of matchLabelKeys.entries()) {
    faults.each(`${at}[${i}]`, key, isQualifiedName(key))
    if (asked.has(key)) faults.invalid(`${at}[${i}]`, key, 'exists in both matchLabelKeys and labelSelector')
  }
}
