// Reads what a webhook answered (admission.k8s.io AdmissionReview, v1 or v1beta1).

import { isObject, type JsonObject } from '#api/schema/decode.ts'

export type Verdict = {
  allowed: boolean
  /** A Status, more or less. */
  status: unknown
  /** JSON of a JSON patch. */
  patch: string | undefined
  warnings: string[]
  annotations: [key: string, value: string][]
}

/** Characters of a text that goes on to the log or the client; an answer may be a thousand times as long. */
const longestText = 10 * 1024
const mostAnnotations = 64

export const shortened = (text: string): string => (text.length > longestText ? `${text.slice(0, longestText)}…` : text)

export const reviewVersions = ['v1', 'v1beta1'] as const

type Expected = { uid: string; version: string; mutating: boolean }

/** Throws Error for what is no answer to the question. */
export function verdictIn(answer: unknown, { uid, version, mutating }: Expected): Verdict {
  const response = isObject(answer) ? answer.response : undefined
  if (!isObject(answer) || !isObject(response)) throw new Error('webhook response was absent')
  if (response.uid !== uid) throw new Error(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response.uid ?? '')}`)
  const [wanted, got] = [`admission.k8s.io/${version}, Kind=AdmissionReview`, `${spell(answer.apiVersion)}, Kind=${spell(answer.kind)}`]
  if (got !== wanted && version === 'v1') throw new Error(`expected webhook response of ${wanted}, got ${got}`)
  return {
    allowed: response.allowed === true,
    status: response.status,
    patch: patchIn(response, mutating),
    warnings: Array.isArray(response.warnings) ? response.warnings.filter((each) => typeof each === 'string') : [],
    annotations: annotationsIn(response),
  }
}

const annotationsIn = ({ auditAnnotations }: JsonObject): [key: string, value: string][] =>
  Object.entries(isObject(auditAnnotations) ? auditAnnotations : {})
    .slice(0, mostAnnotations)
    .flatMap(([key, value]) => (typeof value === 'string' ? [[shortened(key), shortened(value)] as [string, string]] : []))

const spell = (value: unknown): string => (typeof value === 'string' ? value : '')

function patchIn({ patch, patchType }: JsonObject, mutating: boolean): string | undefined {
  const has = { patch: patch !== undefined && patch !== null && patch !== '', type: patchType !== undefined && patchType !== null }
  if (!mutating) {
    if (has.patch) throw new Error('validating webhook may not return response.patch')
    if (has.type) throw new Error('validating webhook may not return response.patchType')
    return undefined
  }
  if (has.patch && !has.type) throw new Error('webhook returned response.patch but not response.patchType')
  if (has.type && !has.patch) throw new Error('webhook returned response.patchType but not response.patch')
  if (!has.patch) return undefined
  if (patchType !== 'JSONPatch') throw new Error(`webhook returned invalid response.patchType of ${JSON.stringify(patchType)}`)
  if (typeof patch !== 'string') throw new Error('webhook returned a response.patch that is no base64 text')
  return Buffer.from(patch, 'base64').toString()
}
