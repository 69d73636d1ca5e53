// The webhooks of all configurations, in the order in which they are called.

import type {
  MutatingWebhook,
  MutatingWebhookConfiguration,
  ValidatingWebhook,
  ValidatingWebhookConfiguration,
} from '#api/types/admissionregistration-v1.gen.ts'
import { type Criteria, criteriaOf } from '../match.ts'

export type Hook = { webhook: ValidatingWebhook & Pick<MutatingWebhook, 'reinvocationPolicy'>; criteria: Criteria }

/** By the name of the configuration, and within one as they are listed. */
export const hooksOf = (configurations: Iterable<MutatingWebhookConfiguration | ValidatingWebhookConfiguration>): Hook[] =>
  [...configurations]
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
    .flatMap(({ webhooks = [] }) =>
      webhooks.map((webhook) => ({ webhook, criteria: criteriaOf({ ...webhook, rules: webhook.rules ?? [] }) })),
    )
