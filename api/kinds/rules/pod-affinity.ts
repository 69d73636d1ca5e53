// Rules for what draws pods to nodes and to each other, and what keeps them apart.

import type { Affinity, NodeAffinity, PodAffinity, PodAffinityTerm } from '../../types/core-v1.gen.ts'
import type { LabelSelector } from '../../types/meta-v1.gen.ts'
import type { Faults } from './faults.ts'
import { isDns1123Label, isQualifiedName } from './names.ts'
import { validateNodeSelector, validateNodeSelectorTerm } from './node-selector.ts'
import { validateLabelSelector } from './workload.ts'

const required = 'requiredDuringSchedulingIgnoredDuringExecution'
const preferred = 'preferredDuringSchedulingIgnoredDuringExecution'

/** `labels` are those of the pod, where it is one and no template. */
type Labels = Record<string, string> | undefined

export function validateAffinity(at: string, affinity: Affinity | undefined, labels: Labels, faults: Faults): void {
  if (!affinity) return
  if (affinity.nodeAffinity) validateNodeAffinity(`${at}.nodeAffinity`, affinity.nodeAffinity, faults)
  if (affinity.podAffinity) validatePodAffinity(`${at}.podAffinity`, affinity.podAffinity, labels, faults)
  if (affinity.podAntiAffinity) validatePodAffinity(`${at}.podAntiAffinity`, affinity.podAntiAffinity, labels, faults)
}

function validateNodeAffinity(at: string, affinity: NodeAffinity, faults: Faults): void {
  if (affinity[required]) validateNodeSelector(`${at}.${required}`, affinity[required], faults)
  for (const [i, { weight, preference }] of (affinity[preferred] ?? []).entries()) {
    validateWeight(`${at}.${preferred}[${i}]`, weight, faults)
    validateNodeSelectorTerm(`${at}.${preferred}[${i}].preference`, preference ?? {}, false, faults)
  }
}

function validatePodAffinity(at: string, affinity: PodAffinity, labels: Labels, faults: Faults): void {
  for (const [i, term] of (affinity[required] ?? []).entries()) validateTerm(`${at}.${required}[${i}]`, term, labels, faults)
  for (const [i, { weight, podAffinityTerm }] of (affinity[preferred] ?? []).entries()) {
    validateWeight(`${at}.${preferred}[${i}]`, weight, faults)
    validateTerm(`${at}.${preferred}[${i}].podAffinityTerm`, podAffinityTerm, labels, faults)
  }
}

function validateWeight(at: string, weight: number, faults: Faults): void {
  if (!(weight >= 1 && weight <= 100)) faults.invalid(`${at}.weight`, weight, 'must be in the range 1-100')
}

function validateTerm(at: string, term: PodAffinityTerm, labels: Labels, faults: Faults): void {
  if (term.labelSelector) validateLabelSelector(`${at}.labelSelector`, term.labelSelector, faults)
  if (term.namespaceSelector) validateLabelSelector(`${at}.namespaceSelector`, term.namespaceSelector, faults)
  for (const name of term.namespaces ?? []) faults.each(`${at}.namespace`, name, isDns1123Label(name))
  validateLabelKeys(at, term, labels, faults)
  if (!term.topologyKey) faults.required(`${at}.topologyKey`, 'can not be empty')
  faults.each(`${at}.topologyKey`, term.topologyKey, isQualifiedName(term.topologyKey))
}

function validateLabelKeys(at: string, term: PodAffinityTerm, labels: Labels, faults: Faults): void {
  const { matchLabelKeys: matched = [], mismatchLabelKeys: mismatched = [], labelSelector } = term
  for (const [field, keys] of Object.entries({ matchLabelKeys: matched, mismatchLabelKeys: mismatched })) {
    if (keys.length === 0) continue
    if (!labelSelector) faults.forbidden(`${at}.${field}`, 'must not be specified when labelSelector is not set')
    else for (const [i, key] of keys.entries()) faults.each(`${at}.${field}[${i}]`, key, isQualifiedName(key))
  }
  if (matched.length === 0) return
  const asked = askedFor(labelSelector)
  for (const [i, key] of matched.entries()) {
    // A label that the pod has is asked for by its key here, and once more by the selector.
    const times = (asked.get(key) ?? 0) + (labels?.[key] === undefined ? 0 : 1)
    if (times > 1) faults.invalid(`${at}[${i}]`, key, 'exists in both matchLabelKeys and labelSelector')
  }
  const other = new Set(mismatched)
  for (const [i, key] of matched.entries())
    if (other.has(key)) faults.invalid(`${at}.matchLabelKeys[${i}]`, key, 'exists in both matchLabelKeys and mismatchLabelKeys')
}

/** How often a selector speaks of each key. */
function askedFor(selector: LabelSelector | undefined): Map<string, number> {
  const times = new Map(Object.keys(selector?.matchLabels ?? {}).map((key) => [key, 1]))
  for (const { key } of selector?.matchExpressions ?? []) times.set(key, (times.get(key) ?? 0) + 1)
  return times
}
