// What everything with replicas of a pod template has in common.

import type { LabelSelector } from '../../types/meta-v1.gen.ts'
import type { KubeObject } from '../kind.ts'
import type { Scale } from '../spec.ts'
import { selectorText } from './columns.ts'
import type { Faults } from './faults.ts'
import { isLabelValue, isQualifiedName } from './names.ts'

export function validateLabelSelector(field: string, selector: LabelSelector, faults: Faults): void {
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) {
    faults.each(`${field}.matchLabels`, key, isQualifiedName(key))
    faults.each(`${field}.matchLabels`, value, isLabelValue(value))
  }
  for (const [i, expression] of (selector.matchExpressions ?? []).entries()) {
    const at = `${field}.matchExpressions[${i}]`
    faults.each(`${at}.key`, expression.key, isQualifiedName(expression.key))
    const count = expression.values?.length ?? 0
    if (expression.operator === 'In' || expression.operator === 'NotIn') {
      if (count === 0) faults.required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'")
    } else if (expression.operator === 'Exists' || expression.operator === 'DoesNotExist') {
      if (count > 0) faults.forbidden(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    } else faults.invalid(`${at}.operator`, expression.operator, 'not a valid selector operator')
    for (const [j, value] of (expression.values ?? []).entries()) faults.each(`${at}.values[${j}]`, value, isLabelValue(value))
  }
}

type Replicated = KubeObject & { spec: { replicas?: number; selector?: LabelSelector }; status?: { replicas?: number } }

export const replicas: Scale<Replicated> = {
  replicas: (object) => object.spec.replicas ?? 0,
  setReplicas(object, count) {
    object.spec.replicas = count
  },
  statusReplicas: (object) => object.status?.replicas ?? 0,
  selector: (object) => selectorText(object.spec.selector),
}

/** `25%` or `1` as what may be missing or extra during an update. */
export function validateIntOrPercent(field: string, value: number | string | undefined, faults: Faults): void {
  if (typeof value === 'string') {
    if (!/^[0-9]+%$/.test(value))
      faults.invalid(
        field,
        value,
        "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
      )
  } else faults.notNegative(field, value)
}

/** Of pods that may be missing: no more than there are. */
export function validateAtMostAll(field: string, value: number | string | undefined, faults: Faults): void {
  if (typeof value === 'string' && Number.parseInt(value, 10) > 100) faults.invalid(field, value, 'must not be greater than 100%')
}

export const isZero = (value: number | string | undefined): boolean => value === undefined || Number.parseInt(String(value), 10) === 0
