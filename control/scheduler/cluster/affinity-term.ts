// A term of inter-pod affinity or anti-affinity: which pods it means, and within which domain ("near" is per
// topology value: all nodes that share a label's value).

import { labelSelector, matchesLabels, type Selector } from '#api/selector/label.ts'
import type { Pod, PodAffinity, PodAffinityTerm } from '#api/types/core-v1.gen.ts'
import type { LabelSelector, LabelSelectorOperator, LabelSelectorRequirement } from '#api/types/meta-v1.gen.ts'
import { type LabelPair, pairOf } from './buckets.ts'

/** The labels of a namespace, now. */
export type Namespaces = { labelsOf(namespace: string): Readonly<Record<string, string>> }

export type Subject = { namespace: string; labels: Readonly<Record<string, string>> }

export class AffinityTerm {
  /** Equal for terms that mean the same. */
  readonly id: string
  readonly topologyKey: string
  /** A label that each pod meant has, where there is one. */
  readonly pair: LabelPair | undefined
  readonly choosesNamespaces: boolean
  readonly #labels: Selector | undefined
  readonly #namespaces: readonly string[]
  readonly #namespaceLabels: Selector | undefined

  constructor(owner: Pod, term: PodAffinityTerm) {
    const own = owner.metadata.labels ?? {}
    const selector = narrowed(term.labelSelector, own, term.matchLabelKeys, term.mismatchLabelKeys)
    this.topologyKey = term.topologyKey
    this.#labels = labelSelector(selector)
    this.#namespaceLabels = labelSelector(term.namespaceSelector)
    this.choosesNamespaces = this.#namespaceLabels !== undefined
    const given = term.namespaces?.length || this.choosesNamespaces ? (term.namespaces ?? []) : [owner.metadata.namespace ?? '']
    this.#namespaces = given.toSorted()
    this.pair = pairOf(this.#labels)
    this.id = JSON.stringify([this.topologyKey, this.#namespaces, this.#namespaceLabels, this.#labels])
  }

  matches({ namespace, labels }: Subject, namespaces: Namespaces): boolean {
    if (!matchesLabels(this.#labels, labels)) return false
    if (this.#namespaces.includes(namespace)) return true
    return this.#namespaceLabels !== undefined && matchesLabels(this.#namespaceLabels, namespaces.labelsOf(namespace))
  }
}

/** Below 0: rather not. */
export type PreferredTerm = { term: AffinityTerm; weight: number }

type Asked = PodAffinity | undefined

export const requiredTerms = (pod: Pod, asked: Asked): AffinityTerm[] =>
  (asked?.requiredDuringSchedulingIgnoredDuringExecution ?? []).map((term) => new AffinityTerm(pod, term))

export const preferredTerms = (pod: Pod, asked: Asked, sign: 1 | -1): PreferredTerm[] =>
  (asked?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(({ weight, podAffinityTerm }) => ({
    term: new AffinityTerm(pod, podAffinityTerm),
    weight: weight * sign,
  }))

/** The selector, and that the values of these labels are the pod's own, or are not. Without a selector no pod is meant. */
export function narrowed(
  selector: LabelSelector | undefined,
  own: Readonly<Record<string, string>>,
  match: readonly string[] = [],
  mismatch: readonly string[] = [],
): LabelSelector | undefined {
  if (!selector || match.length + mismatch.length === 0) return selector
  const byKeys = (keys: readonly string[], operator: LabelSelectorOperator): LabelSelectorRequirement[] =>
    keys.flatMap((key) => (own[key] === undefined ? [] : [{ key, operator, values: [own[key]] }]))
  return { ...selector, matchExpressions: [...(selector.matchExpressions ?? []), ...byKeys(match, 'In'), ...byKeys(mismatch, 'NotIn')] }
}
