// Taints of nodes and the tolerations of pods that answer them.

import type { Taint, Toleration } from '../../types/core-v1.gen.ts'
import type { Faults } from './faults.ts'
import { isLabelValue, isQualifiedName } from './names.ts'

const effects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute']

export function validateTaints(field: string, taints: Taint[] | undefined, faults: Faults): void {
  const seen = new Set<string>()
  for (const [i, taint] of (taints ?? []).entries()) {
    const at = `${field}[${i}]`
    faults.each(`${at}.key`, taint.key ?? '', isQualifiedName(taint.key ?? ''))
    faults.each(`${at}.value`, taint.value ?? '', isLabelValue(taint.value ?? ''))
    if (!taint.effect) faults.required(`${at}.effect`)
    else faults.oneOf(`${at}.effect`, taint.effect, effects)
    const key = `${taint.key}:${taint.effect}`
    if (seen.has(key)) faults.duplicate(at, taint)
    seen.add(key)
  }
}

export function validateTolerations(field: string, tolerations: Toleration[] | undefined, faults: Faults): void {
  for (const [i, t] of (tolerations ?? []).entries()) {
    const at = `${field}[${i}]`
    if (t.key) faults.each(`${at}.key`, t.key, isQualifiedName(t.key))
    else if (t.operator !== 'Exists')
      faults.invalid(
        `${at}.operator`,
        t.operator ?? '',
        'operator must be Exists when `key` is empty, which means "match all values and all keys"',
      )
    if (t.tolerationSeconds !== undefined && t.effect !== 'NoExecute')
      faults.invalid(`${at}.effect`, t.effect ?? '', "effect must be 'NoExecute' when `tolerationSeconds` is set")
    if (t.operator === 'Exists') {
      if (t.value) faults.invalid(`${at}.operator`, t.value, "value must be empty when `operator` is 'Exists'")
    } else if (t.operator && t.operator !== 'Equal') faults.notSupported(`${at}.operator`, t.operator, ['Equal', 'Exists'])
    else faults.each(`${at}.operator`, t.value ?? '', isLabelValue(t.value ?? ''))
    if (t.effect) faults.oneOf(`${at}.effect`, t.effect, effects)
  }
}
