// What the evaluator and its thread tell each other.

import type { JsonSchema } from '#api/schema/crd/json-schema.ts'
import type { Expressions, Inputs } from './expressions.ts'

/** What jobs are about: the rules of a schema, or the expressions of a policy or webhook. */
export type Subject = { schema: JsonSchema } | { expressions: Expressions }

/** Jobs of a number follow the one that brings its subject; `compile` comes before those that run it. `about`: the schema of the objects that expressions are about. */
export type Job = { number: number } & (
  | { do: 'learn'; subject: Subject }
  | { do: 'compile' }
  | { do: 'check'; about?: JsonSchema | undefined }
  | { do: 'evaluate'; value: unknown; previous: unknown }
  | { do: 'decide'; inputs: Inputs }
)
export type Done = { result: unknown } | { error: string }

/** Beyond this the thread forgets the oldest subject; the evaluator counts alike, and sends it again. */
export const mostSubjects = 64
