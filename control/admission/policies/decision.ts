// What comes of a policy's words: a refusal, a warning, a note for the audit log.

import { codes, type Reason, type Status, StatusError } from '#api/errors.ts'
import type { ValidationAction } from '#api/types/admissionregistration-v1.gen.ts'
import { forbidden, type Review } from '../admission.ts'

/** `index`: of the validation; absent where the policy could not be asked. */
export type Objection = {
  policy: string
  binding: string
  message: string
  reason?: string | undefined
  index?: number
  actions: readonly ValidationAction[]
}

/** Warns and notes as the bindings want it; then throws the first objection that denies. */
export function act(review: Review, objections: readonly Objection[]): void {
  for (const { policy, binding, message, actions } of objections) {
    if (actions.includes('Warn'))
      review.warn(`Validation failed for ValidatingAdmissionPolicy '${policy}' with binding '${binding}': ${message}`)
  }
  const noted = objections.filter(({ actions }) => actions.includes('Audit'))
  if (noted.length > 0) review.annotate('validation.policy.admission.k8s.io/validation_failure', JSON.stringify(noted.map(note)))
  const denial = objections.find(({ actions }) => actions.includes('Deny'))
  if (denial) throw refusal(review, denial)
}

const note = ({ policy, binding, message, index = 0, actions }: Objection) => ({
  message,
  policy,
  binding,
  expressionIndex: index,
  validationActions: actions,
})

function refusal(review: Review, { policy, binding, message, reason = 'Invalid' }: Objection): StatusError {
  const why = `ValidatingAdmissionPolicy '${policy}' with binding '${binding}' denied request: ${message}`
  const base = forbidden(review, why)
  const cause = { message: why } as NonNullable<NonNullable<Status['details']>['causes']>[number]
  return new StatusError(Object.hasOwn(codes, reason) ? (reason as Reason) : 'Invalid', base.message, { ...base.details, causes: [cause] })
}
