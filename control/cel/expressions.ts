// The expressions of an admission policy, or the match conditions of a webhook, as its thread gets them;
// and what comes back. Plain data.

import type { JsonObject } from '#api/schema/decode.ts'
import type { AuditAnnotation, MatchCondition, Validation, Variable } from '#api/types/admissionregistration-v1.gen.ts'
import type { Answer, Question } from './library/authorizer.ts'

export type Expressions = {
  matchConditions: readonly MatchCondition[]
  /** Absent: match conditions are all that there is, as in a webhook. */
  policy?: {
    variables: readonly Variable[]
    validations: readonly Validation[]
    auditAnnotations: readonly AuditAnnotation[]
    hasParams: boolean
  }
}

/** `field`: from the policy's spec or the webhook, e.g. `validations[0].expression`. `compiles`: only its type is wrong. */
export type ExpressionFault = { field: string; expression: string; compiles: boolean; message: string }

export type Inputs = {
  object: JsonObject | null
  oldObject: JsonObject | null
  request: JsonObject
  namespaceObject: JsonObject | null
  /** One round for each; a single null where there are none. */
  params: readonly (JsonObject | null)[]
  answers: ReadonlyMap<string, Answer>
}

export type Annotation = { key: string; value: string } | { key: string; error: string }

/** Of one round. `error`: what went wrong, as `expression 'x' resulted in error: …`. */
export type Round =
  | { matches: false }
  | { matches: true; error: string }
  | {
      matches: true
      error?: undefined
      /** In the order of the validations. */
      validations: ({ valid: true } | { valid: false; message: string; isError: boolean })[]
      /** Those that have a value. */
      annotations: Annotation[]
    }

/** `open`: what must be known first, by key. */
export type Outcome = { open: ReadonlyMap<string, Question> } | { open?: undefined; rounds: Round[] }
