// What clients say beside the object: options in the query or in a body of their own.

import { StatusError } from '#api/errors.ts'
import { schemaOf } from '#api/schema/compile.ts'
import { type FieldValidation, isObject } from '#api/schema/decode.ts'
import type { Struct } from '#api/schema/schema.ts'
import type { Annotate, DeleteOptions, WriteOptions } from '../objects/call.ts'
import { readBody, typed } from './body.ts'
import type { Exchange, Remarks } from './request.ts'

/** The first word on a matter stands. */
const annotatorOf =
  ({ annotations }: Remarks): Annotate =>
  (key, value) =>
    void (annotations.has(key) || annotations.set(key, value))

export function writeOptionsOf({ url, user, info, request, remarks }: Exchange): WriteOptions {
  const { searchParams } = url
  const manager = searchParams.get('fieldManager') || (request.headers.get('user-agent') ?? '').split('/')[0] || 'unknown'
  if (manager.length > 128) throw invalidOption('fieldManager', 'Too long: may not be more than 128 bytes')
  return {
    user,
    subresource: info.subresource,
    dryRun: dryRunOf(searchParams.getAll('dryRun')),
    fieldManager: manager,
    fieldValidation: fieldValidationOf(searchParams.get('fieldValidation')),
    warnings: remarks.warnings,
    annotate: annotatorOf(remarks),
  }
}

const invalidOption = (field: string, why: string) =>
  new StatusError('Invalid', `CreateOptions.meta.k8s.io "" is invalid: ${field}: ${why}`)

function dryRunOf(values: readonly unknown[]): boolean {
  for (const value of values) {
    if (value !== 'All') throw invalidOption('dryRun', `Unsupported value: ${JSON.stringify(value)}: supported values: "All"`)
  }
  return values.length > 0
}

function fieldValidationOf(value: string | null): FieldValidation {
  if (!value) return 'Warn'
  if (value === 'Ignore' || value === 'Warn' || value === 'Strict') return value
  throw invalidOption('fieldValidation', `Unsupported value: ${JSON.stringify(value)}: supported values: "Ignore", "Strict", "Warn"`)
}

const deletion = schemaOf({ group: '', version: 'v1', kind: 'DeleteOptions' }) as Struct
const policies = ['Foreground', 'Background', 'Orphan'] as const
const isPolicy = (value: unknown): value is (typeof policies)[number] => policies.includes(value as never)

export async function deleteOptionsOf({ request, url, remarks }: Exchange): Promise<DeleteOptions> {
  const body = request.body ? await readBody(request, { floats: true }) : { value: undefined, faults: [] }
  if (body.value !== undefined && !isObject(body.value)) throw new StatusError('BadRequest', 'the body of a delete must be DeleteOptions')
  const value = body.value && typed(deletion, body)
  const given = (name: string): unknown => value?.[name] ?? url.searchParams.get(name) ?? undefined
  const dryRun = value?.dryRun ?? url.searchParams.getAll('dryRun')
  const rules = checkedDeleteOptions((name) => (name === 'dryRun' ? dryRun : given(name)))
  return { ...rules, warnings: remarks.warnings, annotate: annotatorOf(remarks) }
}

/** Of DeleteOptions that are of the right types, wherever they were given. Throws BadRequest and Invalid. */
export function checkedDeleteOptions(given: (name: string) => unknown): DeleteOptions {
  const grace = given('gracePeriodSeconds')
  if (typeof grace === 'string' && grace !== '' && !/^[+-]?\d+$/.test(grace))
    throw new StatusError('BadRequest', `strconv.ParseInt: parsing ${JSON.stringify(grace)}: invalid syntax`)
  const seconds = grace === undefined || grace === '' ? undefined : Number(grace)
  if (seconds !== undefined && !Number.isSafeInteger(seconds))
    throw new StatusError('BadRequest', `strconv.ParseInt: parsing ${JSON.stringify(String(grace))}: value out of range`)
  const orphan = given('orphanDependents')
  const asked = given('propagationPolicy')
  if (asked !== undefined && orphan !== undefined) {
    throw new StatusError(
      'Invalid',
      `DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Invalid value: ${JSON.stringify(asked)}: orphanDependents and deletionPropagation cannot be both set`,
    )
  }
  const policy = asked ?? (orphan === undefined ? undefined : orphan === true || orphan === 'true' ? 'Orphan' : 'Background')
  if (policy !== undefined && !isPolicy(policy)) {
    throw new StatusError(
      'Invalid',
      `DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: ${JSON.stringify(policy)}: supported values: "Foreground", "Background", "Orphan", "nil"`,
    )
  }
  const [dryRun, asWas] = [given('dryRun') ?? [], given('preconditions')]
  const preconditions = isObject(asWas) ? (asWas as NonNullable<DeleteOptions['preconditions']>) : undefined
  return {
    ...(seconds !== undefined && { gracePeriodSeconds: Math.max(seconds, 0) }),
    ...(policy && { propagationPolicy: policy }),
    ...(preconditions && { preconditions }),
    dryRun: dryRunOf(Array.isArray(dryRun) ? dryRun : [dryRun]),
  }
}
