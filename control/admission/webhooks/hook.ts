// The webhooks of all configurations, in the order in which they are called.

import type {
  MutatingWebhook,
  MutatingWebhookConfiguration,
  ValidatingWebhook,
  ValidatingWebhookConfiguration,
} from '#api/types/admissionregistration-v1.gen.ts'
import type { Expressions } from '#control/cel/expressions.ts'
import { type Criteria, criteriaOf } from '../match.ts'

export type Hook = {
  webhook: ValidatingWebhook & Pick<MutatingWebhook, 'reinvocationPolicy'>
  criteria: Criteria
  conditions: Expressions | undefined
}

/** By the name of the configuration, and within one as they are listed. */
export const hooksOf = (configurations: Iterable<MutatingWebhookConfiguration | ValidatingWebhookConfiguration>): Hook[] =>
  [...configurations].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1)).flatMap(({ webhooks = [] }) => webhooks.map(hookOf))

const hookOf = (webhook: Hook['webhook']): Hook => ({
  webhook,
  criteria: criteriaOf({ ...webhook, rules: webhook.rules ?? [] }),
  conditions: webhook.matchConditions?.length ? { matchConditions: webhook.matchConditions } : undefined,
})
