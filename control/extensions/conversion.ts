// Custom objects from one version to another: by name alone, or by asking a webhook
// (apiextensions.k8s.io/v1 ConversionReview).

import { randomUUID } from 'node:crypto'
import { StatusError } from '#api/errors.ts'
import type { KubeObject } from '#api/kinds/kind.ts'
import { same } from '#api/kinds/rules/faults.ts'
import { isObject } from '#api/schema/decode.ts'
import type { CustomResourceDefinition } from '#api/types/apiextensions-v1.gen.ts'
import type { CallWebhook } from './webhook.ts'

/** Objects of any of the definition's versions, in the same order; those that are in it already as they are. */
export type Converter = (objects: readonly KubeObject[], apiVersion: string) => Promise<KubeObject[]>

/** The only versions of the review, in the order in which they are preferred; they look the same. */
const reviewVersions = ['v1', 'v1beta1']

export function converterOf({ spec }: CustomResourceDefinition, call: CallWebhook): Converter {
  const { strategy, webhook } = spec.conversion ?? {}
  if (strategy !== 'Webhook' || !webhook?.clientConfig) return renamed
  const { clientConfig, conversionReviewVersions } = webhook
  const version = reviewVersions.find((each) => conversionReviewVersions.includes(each)) ?? 'v1'
  return async (objects, apiVersion) => {
    const foreign = objects.filter((object) => object.apiVersion !== apiVersion)
    if (!foreign.length) return [...objects]
    const failed = (why: string, cause?: unknown) =>
      new StatusError(
        'InternalError',
        `conversion webhook for ${foreign[0]?.apiVersion}, Kind=${spec.names.kind} failed: ${why}`,
        undefined,
        { cause },
      )
    const uid = randomUUID()
    const request = { uid, desiredAPIVersion: apiVersion, objects: foreign }
    const review = { kind: 'ConversionReview', apiVersion: `apiextensions.k8s.io/${version}`, request }
    const answer = await call(clientConfig, review).catch((error: unknown) => {
      throw failed(error instanceof Error ? error.message : String(error), error)
    })
    const response = isObject(answer) && isObject(answer.response) ? answer.response : undefined
    if (!response) throw failed('it answered without a response')
    if (response.uid !== uid) throw failed(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response.uid ?? '')}`)
    const result = isObject(response.result) ? response.result : {}
    if (result.status !== 'Success') throw failed(typeof result.message === 'string' ? result.message : 'it gave no reason')
    const converted = Array.isArray(response.convertedObjects) ? (response.convertedObjects as unknown[]) : []
    if (converted.length !== foreign.length) throw failed(`it returned ${converted.length} objects, expected ${foreign.length}`)
    const results = foreign.map((object, i) => checked(object, converted[i], apiVersion, failed))
    let next = 0
    return objects.map((object) => (object.apiVersion === apiVersion ? object : (results[next++] as KubeObject)))
  }
}

const renamed: Converter = async (objects, apiVersion) =>
  objects.map((object) => (object.apiVersion === apiVersion ? object : { ...object, apiVersion }))

/** A webhook may change labels and annotations, but not which object it is. */
function checked(before: KubeObject, after: unknown, apiVersion: string, failed: (why: string) => StatusError): KubeObject {
  if (!isObject(after) || !isObject(after.metadata)) throw failed('it returned an object without metadata')
  if (after.apiVersion !== apiVersion || after.kind !== before.kind) {
    throw failed(
      `it returned ${JSON.stringify(after.apiVersion)} ${JSON.stringify(after.kind)}, expected ${JSON.stringify(apiVersion)} ${before.kind}`,
    )
  }
  const { metadata } = after
  for (const field of ['name', 'namespace', 'uid'] as const) {
    if (!same(metadata[field], before.metadata[field]))
      throw failed(`it changed metadata.${field} of ${JSON.stringify(before.metadata.name)}`)
  }
  const { labels, annotations } = metadata
  const { labels: _labels, annotations: _annotations, ...kept } = before.metadata
  return {
    ...(after as unknown as KubeObject),
    metadata: {
      ...kept,
      ...(isObject(labels) && { labels: labels as Record<string, string> }),
      ...(isObject(annotations) && { annotations: annotations as Record<string, string> }),
    },
  }
}
