// Admission that people configure while the server runs: webhooks and policies.

import type { Client } from '#api/client/client.ts'
import {
  MutatingWebhookConfiguration,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  ValidatingWebhookConfiguration,
} from '#api/kinds/index.ts'
import type { Log } from '#api/log.ts'
import type { Admission, Review } from '#control/admission/admission.ts'
import { decider } from '#control/admission/decide.ts'
import { expressionRules } from '#control/admission/expression-rules.ts'
import type { Find } from '#control/admission/find.ts'
import { inertPolicy } from '#control/admission/inert-policy.ts'
import { isExempt } from '#control/admission/match.ts'
import { policiesOf } from '#control/admission/policies/policy.ts'
import { validatingPolicies } from '#control/admission/policies/validating.ts'
import { hooksOf } from '#control/admission/webhooks/hook.ts'
import { mutatingWebhooks } from '#control/admission/webhooks/mutating.ts'
import { validatingWebhooks } from '#control/admission/webhooks/validating.ts'
import type { Authorizer } from '#control/auth/authorizer.ts'
import type { Evaluator } from '#control/cel/evaluator.ts'
import type { CallWebhook } from '#control/extensions/webhook.ts'
import type { WatchCache } from '../cache/watch-cache.ts'
import type { Resources } from '../objects/resource.ts'
import { servedVersionsOf } from '../objects/served-version.ts'
import { derived } from './derived.ts'

type Deps = {
  cache: WatchCache
  resources: Resources
  client: Client
  find: Find
  call: CallWebhook
  evaluator: Evaluator
  authorizers: readonly Authorizer[]
  /** Whether this is a request of the server itself on its way up. */
  starting: (review: Review) => boolean
  log: Log
}

/** In the order in which they act. */
export function dynamicAdmission({ cache, resources, client, find, call, evaluator, authorizers, starting, log }: Deps): Admission[] {
  const exempt = (review: Review) => isExempt(review) || starting(review)
  const deps = { call, servedVersions: servedVersionsOf(resources), find, decide: decider({ evaluator, authorizers }), log, exempt }
  const held = { cache, resources }
  const kindOf = (apiVersion: string, kind: string) => resources.named(apiVersion, kind)?.kind
  const policies = derived(held, [ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding], policiesOf)
  return [
    expressionRules({ evaluator }),
    inertPolicy,
    mutatingWebhooks({ ...deps, hooks: derived(held, [MutatingWebhookConfiguration], hooksOf) }),
    validatingPolicies({ ...deps, params: { client, kindOf }, policies }),
    validatingWebhooks({ ...deps, hooks: derived(held, [ValidatingWebhookConfiguration], hooksOf) }),
  ]
}
