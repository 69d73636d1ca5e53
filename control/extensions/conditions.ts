// The status of a definition: its names, whether it is served, whether it is going. Pure.

import { timestamp } from '#api/clock.ts'
import { same } from '#api/kinds/rules/faults.ts'
import type {
  CustomResourceDefinition,
  CustomResourceDefinitionCondition,
  CustomResourceDefinitionNames,
} from '#api/types/apiextensions-v1.gen.ts'
import { acceptNames } from './names.ts'

type Condition = CustomResourceDefinitionCondition
type Status = CustomResourceDefinition['status']

/** What is left to delete of a definition that is going. */
export type Cleanup = { left: number; failure?: string }

export type Circumstances = {
  /** Names that are taken in the group. */
  others: readonly CustomResourceDefinitionNames[]
  cleanup?: Cleanup
  now: number
}

/** The status as it is to be; the very one that is there where nothing changes. */
export function planStatus(definition: CustomResourceDefinition, { others, cleanup, now }: Circumstances): Status {
  const { status } = definition
  const { names, conflict } = acceptNames(definition, others)
  const conditions = [...status.conditions]
  const set = (type: Condition['type'], isTrue: boolean, reason: string, message: string) => {
    const next = { type, status: isTrue ? ('True' as const) : ('False' as const), reason, message }
    const at = conditions.findIndex((each) => each.type === type)
    const before = conditions[at]
    const lastTransitionTime = before?.status === next.status ? before.lastTransitionTime : timestamp(now)
    const condition: Condition = { ...next, ...(lastTransitionTime && { lastTransitionTime }) }
    if (before) conditions[at] = condition
    else conditions.push(condition)
  }
  if (conflict) set('NamesAccepted', false, conflict.reason, conflict.message)
  else set('NamesAccepted', true, 'NoConflicts', 'no conflicts found')
  // Once served it stays served, whatever it asks for later.
  if (!isTrue(definition, 'Established')) {
    if (conflict) set('Established', false, 'NotAccepted', 'not all names are accepted')
    else set('Established', true, 'InitialNamesAccepted', 'the initial names have been accepted')
  }
  const approved = definition.metadata.annotations?.['api-approved.kubernetes.io']
  if (/(^|\.)(k8s|kubernetes)\.io$/.test(definition.spec.group) && approved) {
    const isUrl = !approved.startsWith('unapproved')
    if (isUrl) set('KubernetesAPIApprovalPolicyConformant', true, 'ApprovedAnnotation', `approved in ${approved}`)
    else set('KubernetesAPIApprovalPolicyConformant', false, 'UnapprovedAnnotation', `not approved: ${JSON.stringify(approved)}`)
  }
  if (cleanup) {
    if (cleanup.failure) set('Terminating', true, 'InstanceDeletionFailed', `could not list or delete instances: ${cleanup.failure}`)
    else if (cleanup.left) set('Terminating', true, 'InstanceDeletionInProgress', 'CustomResource deletion is in progress')
    else set('Terminating', false, 'InstanceDeletionCompleted', 'removed all instances')
  }
  const observedGeneration = definition.metadata.generation
  const next: Status = { ...status, acceptedNames: names, conditions, ...(observedGeneration && { observedGeneration }) }
  return same(next, status) ? status : next
}

export const isTrue = ({ status }: CustomResourceDefinition, type: Condition['type']): boolean =>
  status.conditions.some((condition) => condition.type === type && condition.status === 'True')
