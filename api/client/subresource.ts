// The parts of an object that are written apart from it, or speak of it in another kind. Every call of a
// Client names one by `subresource`, and its body and answer have the type that belongs to it.

import type { Status } from '../errors.ts'
import type { GroupVersionKind } from '../kinds/spec.ts'
import type { TokenRequest } from '../types/authentication-v1.gen.ts'
import type { Scale } from '../types/autoscaling-v1.gen.ts'
import type { Binding } from '../types/core-v1.gen.ts'
import type { Eviction } from '../types/policy-v1.gen.ts'

/** Those that take and answer the object itself, of which only their part counts. */
export type OwnSubresource = 'status' | 'approval' | 'ephemeralcontainers' | 'finalize' | 'resize'

/** Those of another kind. `metadata` of what is sent says whose it is: name and namespace of the object. */
type Forms = {
  scale: { body: Scale; answer: Scale }
  binding: { body: Binding; answer: Status }
  eviction: { body: Eviction; answer: Status }
  token: { body: TokenRequest; answer: TokenRequest }
}

export type Subresource = OwnSubresource | keyof Forms
/** That can be read, replaced and patched. */
export type PartSubresource = OwnSubresource | 'scale'
/** That do something when they are created. */
export type ActionSubresource = 'binding' | 'eviction' | 'token'

/** What is sent of a T. */
export type BodyOf<T, S extends Subresource | undefined> = S extends keyof Forms ? Forms[S]['body'] : T
/** What comes back. */
export type AnswerOf<T, S extends Subresource | undefined> = S extends keyof Forms ? Forms[S]['answer'] : T

const forms: Record<keyof Forms, GroupVersionKind> = {
  scale: { group: 'autoscaling', version: 'v1', kind: 'Scale' },
  binding: { group: '', version: 'v1', kind: 'Binding' },
  eviction: { group: 'policy', version: 'v1', kind: 'Eviction' },
  token: { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' },
}

/** The kind of what is sent to an object of `kind`. */
export const formOf = (kind: GroupVersionKind, subresource: Subresource | undefined): GroupVersionKind =>
  subresource && subresource in forms ? forms[subresource as keyof Forms] : kind
