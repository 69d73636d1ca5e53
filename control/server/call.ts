// What comes with a request besides the object.

import type { FieldValidation } from '#api/schema/decode.ts'
import type { User } from '#control/auth/user.ts'
import type { Resource } from './resource.ts'

export type Target = { resource: Resource; namespace: string | undefined; name: string }

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
}
