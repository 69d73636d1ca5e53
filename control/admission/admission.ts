// Admission: what a write must pass after it was authorized and before it is stored. First every
// plugin may change the object, then, after the kind's own rules, every plugin may refuse it.
// A plugin holds no lock and may be called for many objects at once.

import { type Cause, StatusError } from '#api/errors.ts'
import type { Kind, KubeObject } from '#api/kinds/kind.ts'
import type { GroupVersionKind, KindSpec } from '#api/kinds/spec.ts'
import type { JsonObject } from '#api/schema/decode.ts'
import type { User } from '#control/auth/user.ts'

export type Operation = 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT'

/** How a request sees its object where that is of another kind: Scale, Binding, PodExecOptions. */
export type Form = {
  kind: GroupVersionKind
  /** A copy. */
  show(object: KubeObject): JsonObject
  /** Brings what was changed into `object`; absent where nothing can be. */
  take?(shown: JsonObject, object: KubeObject): void
}

export type Review = {
  operation: Operation
  /** As the request names it: in its own version, where `object` may be kept in another. */
  kind: Kind
  spec: KindSpec
  /** '' for the object itself. */
  subresource: string
  namespace: string | undefined
  name: string
  /** What will be stored; `mutate` may change it in place. On DELETE what is there. */
  object: KubeObject
  /** What is there; only on UPDATE. */
  previous: KubeObject | undefined
  form?: Form | undefined
  user: User
  dryRun: boolean
  /** CreateOptions and the like, as the request has them. */
  options: JsonObject
  /** Webhooks and policies were asked about this request already, in another form. */
  settled?: boolean
  /** For the client, as a Warning header. */
  warn(text: string): void
  /** For the audit log. */
  annotate(key: string, value: string): void
  /** `undo` is called if the write does not come to be, e.g. to give back what was reserved for it. */
  onFailure(undo: () => void): void
  /** Said by a plugin that changed what others before it have looked at: the chain runs once more. */
  changed?: boolean
  /** Now it does. */
  again?: boolean
}

export type Admission = {
  name: string
  /** Has a say in requests that store nothing of their own, too: connections, and what is posted to a subresource. */
  asksAll?: true
  mutate?(review: Review): void | Promise<void>
  validate?(review: Review): void | Promise<void>
}

export async function mutateAll(chain: readonly Admission[], review: Review): Promise<void> {
  for (const plugin of chain) await plugin.mutate?.(review)
  if (!review.changed) return
  review.again = true
  for (const plugin of chain) await plugin.mutate?.(review)
}

export async function validateAll(chain: readonly Admission[], review: Review): Promise<void> {
  for (const plugin of chain) await plugin.validate?.(review)
}

/** For a request that stores nothing of its own. */
export async function admitRequest(chain: readonly Admission[], review: Review): Promise<void> {
  const asked = chain.filter((plugin) => plugin.asksAll)
  await mutateAll(asked, review)
  await validateAll(asked, review)
}

export const isKind = (review: Review, group: string, kind: string): boolean =>
  review.spec.kind.group === group && review.spec.kind.kind === kind

/** 403 in the form of the API server: `pods "web" is forbidden: …`. */
export function forbidden(review: Review, why: string, causes?: Cause[]): StatusError {
  const { group, plural } = review.spec.kind
  const what = group ? `${plural}.${group}` : plural
  return new StatusError('Forbidden', `${what} ${JSON.stringify(review.name)} is forbidden: ${why}`, {
    name: review.name,
    group,
    kind: plural,
    ...(causes && { causes }),
  })
}
