// ValidatingAdmissionPolicy: expressions that are asked about a request, in every binding of their
// policy that takes it in (apiserver pkg/admission/plugin/policy/validating).

import type { JsonObject } from '#api/schema/decode.ts'
import type { Round } from '#control/cel/expressions.ts'
import type { Admission, Review } from '../admission.ts'
import type { Decide } from '../decide.ts'
import type { Find } from '../find.ts'
import { namespaceOf, selects, servedVersionFor } from '../match.ts'
import { type ServedVersion, type ServedVersions, showing } from '../served-version.ts'
import { act, type Objection } from './decision.ts'
import { type ParamDeps, paramsOf } from './params.ts'
import type { Binding, Policy } from './policy.ts'

export type PolicyDeps = {
  servedVersions: ServedVersions
  find: Find
  decide: Decide
  params: ParamDeps
  /** Requests that nobody is asked about. */
  exempt: (review: Review) => boolean
  policies: () => readonly Policy[]
}

export const validatingPolicies = (deps: PolicyDeps): Admission => ({
  name: 'ValidatingAdmissionPolicy',
  asksAll: true,
  validate(review) {
    const policies = deps.policies()
    return policies.length > 0 && !deps.exempt(review) ? judge(policies, review, deps) : undefined
  },
})

async function judge(policies: readonly Policy[], review: Review, deps: PolicyDeps): Promise<void> {
  const show = showing(review)
  const notes = new Map<string, Set<string>>()
  const objections: Objection[] = []
  for (const policy of policies) {
    const served = servedVersionFor(policy.criteria, review, deps.servedVersions)
    if (!served || !(await selects(policy.criteria, review, deps.find))) continue
    for (const binding of policy.bindings) {
      if (
        binding.criteria &&
        !(servedVersionFor(binding.criteria, review, deps.servedVersions) && (await selects(binding.criteria, review, deps.find)))
      )
        continue
      const rounds = await roundsOf(policy, binding, review, served)
      for (const round of rounds) {
        objections.push(...objectionsIn(round, policy, binding))
        for (const [key, value] of notesIn(round, policy)) notes.set(key, (notes.get(key) ?? new Set()).add(value))
      }
    }
  }
  for (const [key, values] of notes) review.annotate(key, [...values].join(', '))
  act(review, objections)

  async function roundsOf({ spec, expressions }: Policy, binding: Binding, { namespace }: Review, served: ServedVersion): Promise<Round[]> {
    try {
      const params = await paramsOf({ paramKind: spec.paramKind, paramRef: binding.spec.paramRef, namespace }, deps.params).catch(
        (error: unknown) => {
          throw new Error(`failed to configure binding: ${(error as Error).message}`, { cause: error })
        },
      )
      if (params.length === 0) return []
      const namespaceObject = namespace === undefined ? undefined : ((await namespaceOf(namespace, deps.find)) as unknown as JsonObject)
      return await deps.decide(expressions, review, { served, shown: await show(served), namespaceObject, params })
    } catch (error) {
      return [{ matches: true, error: (error as Error).message }]
    }
  }
}

function objectionsIn(
  round: Round,
  { name, spec }: Policy,
  { name: binding, spec: { validationActions: actions = [] } }: Binding,
): Objection[] {
  const about = { policy: name, binding, actions }
  const strict = spec.failurePolicy !== 'Ignore'
  if (!round.matches) return []
  if (round.error !== undefined) return strict ? [{ ...about, message: round.error }] : []
  const objections: Objection[] = []
  for (const [index, result] of round.validations.entries()) {
    if (result.valid || (result.isError && !strict)) continue
    const reason = result.isError ? undefined : spec.validations?.[index]?.reason
    objections.push({ ...about, message: result.message, reason, index })
  }
  for (const each of round.annotations) if ('error' in each && strict) objections.push({ ...about, message: each.error })
  return objections
}

function notesIn(round: Round, { name }: Policy): [key: string, value: string][] {
  if (!round.matches || round.error !== undefined) return []
  return round.annotations.flatMap((each) => ('value' in each ? [[`${name}/${each.key}`, each.value] as [string, string]] : []))
}
