// What comes with a request besides the object.

import type { FieldValidation } from '#api/schema/decode.ts'
import type { Form } from '#control/admission/admission.ts'
import type { User } from '#control/auth/user.ts'
import type { Resource } from './resource.ts'

export type Target = { resource: Resource; namespace: string | undefined; name: string }

export type Annotate = (key: string, value: string) => void

export type WriteOptions = {
  user: User
  /** '' for the object itself. */
  subresource?: string
  dryRun?: boolean
  fieldManager?: string
  /** `metadata.managedFields` is settled already, by server-side apply. */
  managed?: boolean
  fieldValidation?: FieldValidation
  /** Collects what goes into Warning headers. */
  warnings?: string[]
  /** Takes up what is for the audit log. */
  annotate?: Annotate
  /** It is a patch that asks for this. */
  patch?: true
  /** Where the request speaks of the object in another kind. */
  form?: Form
  /** Webhooks and policies were asked already, in the form of the request behind this. */
  settled?: boolean
}

export type DeleteOptions = {
  gracePeriodSeconds?: number
  propagationPolicy?: 'Foreground' | 'Background' | 'Orphan'
  preconditions?: { uid?: string; resourceVersion?: string }
  dryRun?: boolean
  /** Collects what goes into Warning headers. */
  warnings?: string[]
  /** Takes up what is for the audit log. */
  annotate?: Annotate
  /** Nobody is asked by webhook or policy, or was already. */
  settled?: boolean
}
