// Evaluates expressions about a request, finding out meanwhile what they want to know of rights.

import type { JsonObject } from '#api/schema/decode.ts'
import { type Attempt, type Authorizer, allowedBy } from '#control/auth/authorizer.ts'
import { serviceAccountUser, type User } from '#control/auth/user.ts'
import { type Evaluator, TooCostly } from '#control/cel/evaluator.ts'
import type { Expressions, Round } from '#control/cel/expressions.ts'
import type { Answer, Question } from '#control/cel/library/authorizer.ts'
import type { Review } from './admission.ts'
import { requestOf } from './request.ts'
import type { ServedVersion, Shown } from './served-version.ts'

export type About = {
  served: ServedVersion
  shown: Shown
  namespaceObject?: JsonObject | undefined
  params?: readonly (JsonObject | null)[]
}
/** One result for each of `params`. Throws Error where there is none: it took too long, or too much. */
export type Decide = (expressions: Expressions, review: Review, about: About) => Promise<Round[]>

/** Answers lead to questions that were not reached before; each round of them takes an evaluation. */
const mostQuestions = 16

export function decider({ evaluator, authorizers }: { evaluator: Evaluator; authorizers: readonly Authorizer[] }): Decide {
  return async (expressions, review, { served, shown, namespaceObject, params = [null] }) => {
    const answers = new Map<string, Answer>()
    const given = {
      object: shown.object ?? null,
      oldObject: shown.previous ?? null,
      request: requestOf(review, served),
      namespaceObject: namespaceObject ?? null,
      params,
    }
    for (let i = 0; i < mostQuestions; i += 1) {
      const outcome = await evaluator.decide(expressions, { ...given, answers }).catch((error: unknown) => {
        throw error instanceof TooCostly
          ? new Error('validation failed due to running out of cost budget, no further validation rules will be run', { cause: error })
          : error
      })
      if (!outcome.open) return outcome.rounds
      for (const [key, question] of outcome.open) answers.set(key, await answerTo(question, review.user))
    }
    throw new Error('the expressions ask for too many rights, one after the other')
  }

  async function answerTo({ account, verb, ...what }: Question, asking: User): Promise<Answer> {
    const user = account ? serviceAccountUser(account.namespace, account.name) : asking
    const attempt: Attempt =
      what.path !== undefined
        ? { user, verb, path: what.path }
        : { ...what, user, verb, version: '*', namespace: what.namespace || undefined, name: what.name || undefined }
    const reason = await allowedBy(authorizers, attempt)
    return { allowed: reason !== undefined, reason: reason ?? '' }
  }
}
