// Admission: what a write must pass after it was authorized and before it is stored. First every
// plugin may change the object, then, after the kind's own rules, every plugin may refuse it.
// A plugin holds no lock and may be called for many objects at once.

import { StatusError } from '#api/errors.ts'
import type { KubeObject } from '#api/kinds/kind.ts'
import type { KindSpec } from '#api/kinds/spec.ts'
import type { User } from '#control/auth/user.ts'

export type Review = {
  operation: 'CREATE' | 'UPDATE' | 'DELETE'
  spec: KindSpec
  /** '' for the object itself. */
  subresource: string
  namespace: string | undefined
  name: string
  /** What will be stored; `mutate` may change it in place. On DELETE what is there. */
  object: KubeObject
  /** What is there; only on UPDATE. */
  previous: KubeObject | undefined
  user: User
  dryRun: boolean
  /** `undo` is called if the write does not come to be, e.g. to give back what was reserved for it. */
  onFailure(undo: () => void): void
}

export type Admission = {
  name: string
  mutate?(review: Review): void | Promise<void>
  validate?(review: Review): void | Promise<void>
}

export async function mutateAll(chain: readonly Admission[], review: Review): Promise<void> {
  for (const plugin of chain) await plugin.mutate?.(review)
}

export async function validateAll(chain: readonly Admission[], review: Review): Promise<void> {
  for (const plugin of chain) await plugin.validate?.(review)
}

export const isKind = (review: Review, group: string, kind: string): boolean =>
  review.spec.kind.group === group && review.spec.kind.kind === kind

/** 403 in the form of the API server: `pods "web" is forbidden: …`. */
export function forbidden(review: Review, why: string): StatusError {
  const { group, plural } = review.spec.kind
  const what = group ? `${plural}.${group}` : plural
  return new StatusError('Forbidden', `${what} ${JSON.stringify(review.name)} is forbidden: ${why}`, {
    name: review.name,
    group,
    kind: plural,
  })
}
