// Admission that people configure while the server runs: webhooks.

import { MutatingWebhookConfiguration, ValidatingWebhookConfiguration } from '#api/kinds/index.ts'
import type { Log } from '#api/log.ts'
import type { Admission, Review } from '#control/admission/admission.ts'
import type { Find } from '#control/admission/find.ts'
import { isExempt } from '#control/admission/match.ts'
import { hooksOf } from '#control/admission/webhooks/hook.ts'
import { mutatingWebhooks } from '#control/admission/webhooks/mutating.ts'
import { validatingWebhooks } from '#control/admission/webhooks/validating.ts'
import type { CallWebhook } from '#control/extensions/webhook.ts'
import { derived } from './derived.ts'
import { looksOf } from './looks.ts'
import type { Resources } from './resource.ts'
import type { WatchCache } from './watch-cache.ts'

type Deps = { cache: WatchCache; resources: Resources; find: Find; call: CallWebhook; log: Log; starting: (review: Review) => boolean }

/** In the order in which they act. */
export function dynamicAdmission({ cache, resources, find, call, log, starting }: Deps): Admission[] {
  const exempt = (review: Review) => isExempt(review) || starting(review)
  const deps = { call, looks: looksOf(resources), find, log, exempt }
  const held = { cache, resources }
  return [
    mutatingWebhooks({ ...deps, hooks: derived(held, MutatingWebhookConfiguration, hooksOf) }),
    validatingWebhooks({ ...deps, hooks: derived(held, ValidatingWebhookConfiguration, hooksOf) }),
  ]
}
