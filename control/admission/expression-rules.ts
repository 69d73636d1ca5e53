// Refuses webhook configurations and policies whose expressions make no sense.

import { invalid } from '#api/errors.ts'
import type { KubeObject } from '#api/kinds/kind.ts'
import { Faults, same } from '#api/kinds/rules/faults.ts'
import type { ValidatingAdmissionPolicy, ValidatingWebhookConfiguration } from '#api/types/admissionregistration-v1.gen.ts'
import type { Evaluator } from '#control/cel/evaluator.ts'
import type { Expressions } from '#control/cel/expressions.ts'
import type { Admission } from './admission.ts'
import { registration } from './match.ts'
import { expressionsOf } from './policies/policy.ts'

export const expressionRules = ({ evaluator }: { evaluator: Pick<Evaluator, 'checkExpressions'> }): Admission => ({
  name: 'AdmissionExpressions',
  async validate(review) {
    const { spec, operation, subresource, object, previous } = review
    const { group, kind } = spec.kind
    if (group !== registration || operation === 'DELETE' || subresource !== '') return
    const before = new Map(previous && expressionsIn(kind, previous))
    const faults = new Faults()
    for (const [at, expressions] of expressionsIn(kind, object)) {
      if (same(before.get(at), expressions)) continue
      for (const { field, expression, compiles, message } of await evaluator.checkExpressions(expressions))
        faults.invalid(`${at}.${field}`, expression, compiles ? message : `compilation failed: ${message}`)
    }
    if (faults.list.length > 0) throw invalid(group, kind, object.metadata.name, faults.list)
  },
})

/** By where they stand. */
function expressionsIn(kind: string, object: KubeObject): [at: string, Expressions][] {
  if (kind === 'ValidatingAdmissionPolicy') return [['spec', expressionsOf((object as ValidatingAdmissionPolicy).spec)]]
  const { webhooks = [] } = object as ValidatingWebhookConfiguration
  return webhooks.flatMap(({ matchConditions }, i) =>
    matchConditions?.length ? [[`webhooks[${i}]`, { matchConditions }] as [string, Expressions]] : [],
  )
}
