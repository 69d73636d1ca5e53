// A request as admission sees it: what it asks for, who asks, and where remarks go.

import type { JsonObject } from '#api/schema/decode.ts'
import type { Review } from '#control/admission/admission.ts'
import type { DeleteOptions, WriteOptions } from './call.ts'
import type { Resource } from './resource.ts'

type Said = Pick<Review, 'operation' | 'name' | 'namespace' | 'object' | 'previous' | 'options'>
type Options = Pick<WriteOptions, 'user' | 'subresource' | 'dryRun' | 'warnings' | 'form' | 'settled' | 'annotate'>

/** `resource`: as the request names it, or the kept one behind that. */
export function reviewOf(resource: Resource, said: Said, options: Options, onFailure: Review['onFailure']): Review {
  const { user, subresource = '', dryRun = false, warnings, form, settled = false, annotate } = options
  const { spec, kind } = resource
  return {
    ...said,
    kind,
    spec,
    subresource,
    form,
    user,
    dryRun,
    settled,
    warn: (text) => void (warnings && warn(warnings, text)),
    annotate: annotate ?? (() => {}),
    onFailure,
  }
}

/** In bytes, of all warnings of one answer: headers must stay headers. */
const mostWarnings = 4096
const longestWarning = 256

/** Once each. Returns whether there is room for more. */
export function warn(warnings: string[], text: string): boolean {
  if (text === '' || warnings.includes(text)) return true
  const size = warnings.reduce((sum, each) => sum + each.length, 0)
  const short = size + text.length > mostWarnings ? text.slice(0, longestWarning) : text
  const fits = size + short.length <= mostWarnings
  if (fits) warnings.push(short)
  return fits
}

export function warnOfAll(warnings: string[] | undefined, texts: readonly string[]): void {
  for (const text of texts) if (!warnings || !warn(warnings, text)) return
}

/** `kind`: CreateOptions and the like. What is not said is left out. */
export const optionsAs = (kind: string, said: JsonObject): JsonObject => ({
  kind,
  apiVersion: 'meta.k8s.io/v1',
  ...Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined)),
})

export const writeOptionsAs = (
  operation: 'Create' | 'Update',
  { dryRun, fieldManager, fieldValidation, patch }: WriteOptions,
): JsonObject =>
  optionsAs(patch ? 'PatchOptions' : `${operation}Options`, { ...(dryRun && { dryRun: ['All'] }), fieldManager, fieldValidation })

export const deleteOptionsAs = ({ dryRun, gracePeriodSeconds, propagationPolicy, preconditions }: DeleteOptions): JsonObject =>
  optionsAs('DeleteOptions', { ...(dryRun && { dryRun: ['All'] }), gracePeriodSeconds, propagationPolicy, preconditions })
