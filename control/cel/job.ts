// What the evaluator and its thread tell each other.

import type { JsonSchema } from '#api/schema/crd/json-schema.ts'

/** `schema` comes with the first job of its number. */
export type Job = { number: number; schema?: JsonSchema } & ({ do: 'check' } | { do: 'evaluate'; value: unknown; previous: unknown })
export type Done = { result: unknown } | { error: string }

/** Beyond this the thread forgets the oldest schema; the evaluator counts alike, and sends it again. */
export const mostSchemas = 64
