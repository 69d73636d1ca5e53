// Asks one webhook about one request, where it wants to be asked.

import { randomUUID } from 'node:crypto'
import { isStatus, StatusError } from '#api/errors.ts'
import type { Log } from '#api/log.ts'
import type { Round } from '#control/cel/expressions.ts'
import type { CallWebhook } from '#control/extensions/webhook.ts'
import { forbidden, type Review } from '../admission.ts'
import type { Decide } from '../decide.ts'
import type { Find } from '../find.ts'
import { selects, servedVersionFor } from '../match.ts'
import { requestOf } from '../request.ts'
import { type ServedVersion, type ServedVersions, type Shown, showing } from '../served-version.ts'
import { Denial, failed } from './denial.ts'
import type { Hook } from './hook.ts'
import { reviewVersions, type Verdict, verdictIn } from './response.ts'

export type AskDeps = {
  call: CallWebhook
  servedVersions: ServedVersions
  find: Find
  decide: Decide
  log: Log
  /** Requests that nobody is asked about. */
  exempt: (review: Review) => boolean
}

/** An answer repeats no more than the object. */
const mostBytes = 16 * 1024 * 1024

/** What to ask it about; undefined: it is not about this request. Throws Forbidden where its conditions cannot be judged. */
export async function wanted(
  { webhook, criteria, conditions }: Hook,
  review: Review,
  { servedVersions, find, decide }: AskDeps,
  show = showing(review),
): Promise<{ served: ServedVersion; shown: Shown } | undefined> {
  const served = servedVersionFor(criteria, review, servedVersions)
  if (!served || !(await selects(criteria, review, find))) return undefined
  const shown = await show(served)
  if (!conditions) return { served, shown }
  const [round] = await decide(conditions, review, { served, shown }).catch((error: Error): Round[] => [
    { matches: true, error: error.message },
  ])
  if (!round?.matches) return undefined
  if (round.error === undefined) return { served, shown }
  if (webhook.failurePolicy === 'Ignore') return undefined
  throw forbidden(review, round.error)
}

export type Question = { served: ServedVersion; shown: Shown; mutating: boolean }

/**
 * Undefined where the webhook could not be asked, and its configuration lets that pass. Throws Denial,
 * BadRequest for a dry run of what is none, InternalError where a webhook that must be asked does not answer.
 */
export async function ask(hook: Hook, review: Review, question: Question, deps: AskDeps): Promise<Verdict | undefined> {
  const { name, sideEffects, failurePolicy } = hook.webhook
  if (review.dryRun && sideEffects !== 'None' && sideEffects !== 'NoneOnDryRun')
    throw new StatusError('BadRequest', `admission webhook ${JSON.stringify(name)} does not support dry run`)
  let verdict: Verdict
  try {
    verdict = await answerOf(hook, review, question, deps)
  } catch (error) {
    const why = `failed calling webhook ${JSON.stringify(name)}: ${error instanceof Error ? error.message : String(error)}`
    if (failurePolicy !== 'Ignore') throw failed(why, error)
    deps.log.warn({ webhook: name, err: error }, 'failed calling a webhook; its failure policy lets the request pass')
    review.annotate(`failed-open.${question.mutating ? 'mutating' : 'validating'}.webhook.admission.k8s.io`, name)
    return undefined
  }
  for (const [key, value] of verdict.annotations) review.annotate(`${name}/${key}`, value)
  for (const warning of verdict.warnings) review.warn(warning)
  if (!verdict.allowed) throw new Denial(name, verdict.status)
  return verdict
}

async function answerOf({ webhook }: Hook, review: Review, { served, shown, mutating }: Question, { call }: AskDeps): Promise<Verdict> {
  const uid = randomUUID()
  const version = reviewVersions.find((each) => webhook.admissionReviewVersions.includes(each)) ?? 'v1'
  const request = { uid, ...requestOf(review, served), object: shown.object ?? null, oldObject: shown.previous ?? null }
  const body = { kind: 'AdmissionReview', apiVersion: `admission.k8s.io/${version}`, request }
  let answer: unknown
  try {
    answer = await call(webhook.clientConfig, body, { timeoutSeconds: webhook.timeoutSeconds ?? 10, mostBytes })
  } catch (error) {
    throw isStatus(error) ? new Error(`failed to call webhook: ${error.message}`, { cause: error }) : error
  }
  try {
    return verdictIn(answer, { uid, version, mutating })
  } catch (error) {
    throw new Error(`received invalid webhook response: ${(error as Error).message}`, { cause: error })
  }
}
