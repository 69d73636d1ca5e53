// Rules for conditions of the common form (apimachinery meta/v1 validation).

import type { Condition } from '../../types/meta-v1.gen.ts'
import { type Faults, repeats } from './faults.ts'
import { isQualifiedName } from './names.ts'

const longest = { reason: 1024, message: 32 * 1024 }
const reasonForm = '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?'

export function validateStatusConditions(at: string, conditions: readonly Condition[] | undefined, faults: Faults): void {
  const first = new Map<string, number>()
  for (const [i, condition] of (conditions ?? []).entries()) {
    const { type, status, observedGeneration, lastTransitionTime, reason, message } = condition
    const here = `${at}[${i}]`
    if (first.has(type)) faults.duplicate(`${here}.type`, type)
    first.set(type, i)
    if (!type) faults.required(`${here}.type`)
    else faults.each(`${here}.type`, type, isQualifiedName(type))
    faults.oneOf(`${here}.status`, status, ['False', 'True', 'Unknown'])
    faults.notNegative(`${here}.observedGeneration`, observedGeneration)
    if (!lastTransitionTime) faults.required(`${here}.lastTransitionTime`)
    if (!reason) faults.required(`${here}.reason`)
    else if (!new RegExp(`^${reasonForm}$`).test(reason)) {
      const example = `a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_'`
      faults.invalid(
        `${here}.reason`,
        reason,
        `${example} (e.g. 'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is '${reasonForm}')`,
      )
    }
    if (reason.length > longest.reason) faults.tooLong(`${here}.reason`, longest.reason)
    if (message.length > longest.message) faults.tooLong(`${here}.message`, longest.message)
  }
}

/** Of conditions that are older than the common form: each type once. */
export function validateConditionTypes(at: string, conditions: readonly { type?: string }[] | undefined, faults: Faults): void {
  const repeated = repeats()
  for (const [i, { type = '' }] of (conditions ?? []).entries()) {
    if (repeated(type)) faults.duplicate(`${at}[${i}].type`, type)
    if (!type) faults.required(`${at}[${i}].type`)
  }
}
