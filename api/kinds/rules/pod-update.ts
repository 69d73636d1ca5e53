// What an update of a pod may change: images, deadlines, more tolerations, fewer gates; and while there are
// gates, which nodes it may go to, as long as that only narrows.

import type { Affinity, NodeSelectorTerm, PodSpec, Pod as PodType, Toleration } from '../../types/core-v1.gen.ts'
import { type Faults, same } from './faults.ts'
import { mirrorKey, validateAnnotationsUpdate } from './pod-annotations.ts'

const changeable = [
  '`spec.containers[*].image`',
  '`spec.initContainers[*].image`',
  '`spec.activeDeadlineSeconds`',
  '`spec.tolerations` (only additions to existing tolerations)',
  '`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
].join(',')

export function validatePodUpdate(next: PodType, previous: PodType, faults: Faults): void {
  validateAnnotationsUpdate(next.metadata.annotations, previous.metadata.annotations, faults)
  const [spec, before] = [next.spec, previous.spec]
  for (const list of ['containers', 'initContainers'] as const) {
    if ((spec[list]?.length ?? 0) !== (before[list]?.length ?? 0))
      return faults.forbidden(`spec.${list}`, 'pod updates may not add or remove containers')
  }
  const [deadline, earlier] = [spec.activeDeadlineSeconds, before.activeDeadlineSeconds]
  if (deadline === undefined && earlier !== undefined)
    faults.invalid('spec.activeDeadlineSeconds', null, 'must not update from a positive integer to nil value')
  else if (deadline !== undefined && earlier !== undefined && deadline > earlier)
    faults.invalid('spec.activeDeadlineSeconds', deadline, 'must be less than or equal to previous value')
  if (!keepsAll(spec.tolerations, before.tolerations))
    faults.forbidden('spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds')
  validateGates(spec, before, faults)
  const gated = (before.schedulingGates?.length ?? 0) > 0
  if (gated) validateNarrower(spec, before, faults)
  if (!same(fixedPart(spec, gated), fixedPart(before, gated)))
    faults.forbidden('spec', `pod updates may not change fields other than ${changeable}`)
}

function keepsAll(now: readonly Toleration[] | undefined, before: readonly Toleration[] | undefined): boolean {
  if (!before?.length) return true
  const text = ({ key, operator, value, effect }: Toleration) => JSON.stringify([key, operator, value, effect])
  const there = new Set(now?.map(text))
  return before.every((toleration) => there.has(text(toleration)))
}

function validateGates({ schedulingGates: now = [] }: PodSpec, { schedulingGates: before = [] }: PodSpec, faults: Faults): void {
  const old = new Set(before.map(({ name }) => name))
  for (const [i, { name }] of now.entries()) {
    if (!old.has(name))
      faults.forbidden(`spec.schedulingGates[${i}].name`, `only deletion is allowed, but found new scheduling gate '${name}'`)
  }
}

function validateNarrower(next: PodSpec, before: PodSpec, faults: Faults): void {
  const selector = next.nodeSelector ?? {}
  if (Object.entries(before.nodeSelector ?? {}).some(([key, value]) => selector[key] !== value)) {
    const why = 'only additions to spec.nodeSelector are allowed (no mutations or deletions)'
    faults.invalid('spec.nodeSelector', selector, why)
  }
  const old = termsOf(before.affinity)
  if (old.length === 0) return
  const terms = termsOf(next.affinity)
  const at = 'spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms'
  if (old.length !== terms.length)
    return faults.invalid(at, terms, 'no additions/deletions to non-empty NodeSelectorTerms list are allowed')
  for (const [i, term] of terms.entries()) {
    if (!onlyAdds(term, old[i] ?? {})) faults.invalid(`${at}[${i}]`, term, 'only additions are allowed (no mutations or deletions)')
  }
}

const termsOf = (affinity: Affinity | undefined): NodeSelectorTerm[] =>
  affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? []

function onlyAdds(next: NodeSelectorTerm, before: NodeSelectorTerm): boolean {
  const lists = ['matchExpressions', 'matchFields'] as const
  // A term without requirements matches no node: with some it would match more.
  if (lists.every((list) => !before[list]?.length)) return lists.every((list) => !next[list]?.length)
  return lists.every((list) => same((next[list] ?? []).slice(0, before[list]?.length ?? 0), before[list] ?? []))
}

/** All of a pod that an update may not change. */
function fixedPart(spec: PodSpec, gated: boolean): unknown {
  const withoutImage = <T extends { image?: string }>(containers: T[] | undefined) => containers?.map((c) => ({ ...c, image: undefined }))
  const { podAffinity, podAntiAffinity } = spec.affinity ?? {}
  const free = {
    nodeSelector: undefined,
    affinity: podAffinity || podAntiAffinity ? { podAffinity, podAntiAffinity } : undefined,
  }
  return {
    ...spec,
    containers: withoutImage(spec.containers),
    initContainers: withoutImage(spec.initContainers),
    activeDeadlineSeconds: undefined,
    tolerations: undefined,
    schedulingGates: undefined,
    terminationGracePeriodSeconds: (spec.terminationGracePeriodSeconds ?? 0) < 0 ? 1 : spec.terminationGracePeriodSeconds,
    ...(gated && free),
  }
}

/** Ephemeral containers are added, and never changed or taken away. */
export function validateEphemeralUpdate(next: PodType, previous: PodType, faults: Faults): void {
  if (previous.metadata.annotations?.[mirrorKey] !== undefined)
    return faults.forbidden('[]', 'static pods do not support ephemeral containers')
  const now = new Map(next.spec.ephemeralContainers?.map((container) => [container.name, container]))
  for (const before of previous.spec.ephemeralContainers ?? []) {
    const after = now.get(before.name)
    const name = JSON.stringify(before.name)
    if (!after) faults.forbidden('spec.ephemeralContainers', `existing ephemeral containers ${name} may not be removed`)
    else if (!same(after, before)) faults.forbidden('spec.ephemeralContainers', `existing ephemeral containers ${name} may not be changed`)
  }
}
