// Validating webhooks: all that are about a request are asked at once, when nothing will change the
// object any more. The first No, in the order of the configurations, is the client's answer.

import type { Admission, Review } from '../admission.ts'
import { showing } from '../served-version.ts'
import { type AskDeps, ask, wanted } from './ask.ts'
import type { Hook } from './hook.ts'

export const validatingWebhooks = (deps: AskDeps & { hooks: () => readonly Hook[] }): Admission => ({
  name: 'ValidatingAdmissionWebhook',
  asksAll: true,
  validate(review) {
    const hooks = deps.hooks()
    return hooks.length > 0 && !deps.exempt(review) ? askAll(hooks, review, deps) : undefined
  },
})

async function askAll(hooks: readonly Hook[], review: Review, deps: AskDeps): Promise<void> {
  const show = showing(review)
  const results = await Promise.allSettled(
    hooks.map(async (hook) => {
      const asked = await wanted(hook, review, deps, show)
      if (asked) await ask(hook, review, { ...asked, mutating: false }, deps)
    }),
  )
  for (const result of results) if (result.status === 'rejected') throw result.reason
}
