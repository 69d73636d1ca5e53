// The replicas of anything in one form: autoscaling/v1 Scale, read of an object and written to it.

import { invalid, StatusError } from '#api/errors.ts'
import type { KubeObject } from '#api/kinds/kind.ts'
import type { Scale as ScaleSpec } from '#api/kinds/spec.ts'
import { schemaOf } from '#api/schema/compile.ts'
import { decode } from '#api/schema/decode.ts'
import { type Floats, settle } from '#api/schema/exact.ts'
import type { Struct } from '#api/schema/schema.ts'
import type { Scale } from '#api/types/autoscaling-v1.gen.ts'
import type { Form } from '#control/admission/admission.ts'
import type { Target, WriteOptions } from './call.ts'
import type { Core } from './core.ts'
import { merge } from './patch.ts'

const kind = { group: 'autoscaling', version: 'v1', kind: 'Scale' } as const
const schema = schemaOf(kind) as Struct

/** A whole Scale that replaces what is there, or a patch of it. An applied Scale is a merge: it has no lists and one field to own. */
export type ScaleChange =
  | { object: unknown; floats?: Floats | undefined }
  | { type: 'json' | 'merge' | 'strategic' | 'apply'; body: unknown }

/** Throws NotFound where the object does not say how many replicas it wants, or its kind never does. */
export async function readScale(core: Core, target: Target, resourceVersion?: string): Promise<Scale> {
  const scale = specOf(target)
  const item = await core.get(target, resourceVersion)
  if (scale.replicas(item.object) === undefined) {
    throw new StatusError('NotFound', `${target.resource.name} ${JSON.stringify(target.name)} does not say how many replicas it wants`)
  }
  return scaleOf(item.object, scale)
}

export async function writeScale(core: Core, target: Target, options: WriteOptions, change: ScaleChange): Promise<Scale> {
  const scale = specOf(target)
  const item = await core.update(target, { ...options, subresource: 'scale', form: formOf(scale) }, (current) => {
    const before = scaleOf(current, scale)
    const floats: Floats = new Map('object' in change ? change.floats : [])
    const wanted =
      'object' in change
        ? change.object
        : settle(merge(schema, before, change.type === 'apply' ? 'merge' : change.type, change.body), floats)
    const next = decode(schema, wanted, { fieldValidation: options.fieldValidation ?? 'Warn', floats }).object as Scale
    const replicas = next.spec.replicas ?? 0
    if (replicas < 0) {
      throw invalid(kind.group, kind.kind, target.name, [
        { field: 'spec.replicas', reason: 'FieldValueInvalid', message: `Invalid value: ${replicas}: must be greater than or equal to 0` },
      ])
    }
    const { resourceVersion } = next.metadata
    scale.setReplicas(current, replicas)
    const meta = current.metadata as { resourceVersion?: string }
    // Only a Scale that names a version is meant for that one alone.
    if ('type' in change && resourceVersion === before.metadata.resourceVersion) delete meta.resourceVersion
    else meta.resourceVersion = resourceVersion
    return current
  })
  return scaleOf(item.object, scale)
}

function specOf({ resource }: Target): ScaleSpec {
  if (!resource.spec.scale) throw new StatusError('NotFound', 'the server could not find the requested resource')
  return resource.spec.scale
}

function scaleOf(object: KubeObject, scale: ScaleSpec): Scale {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata
  const selector = scale.selector(object)
  return {
    kind: kind.kind,
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: scale.replicas(object) ?? 0 },
    status: { replicas: scale.statusReplicas(object), ...(selector !== '<none>' && { selector }) },
  }
}

/** What webhooks and policies are shown; only the replicas can be changed in it. */
const formOf = (scale: ScaleSpec): Form => ({
  kind,
  show: (object) => scaleOf(object, scale),
  take: (shown, object) => scale.setReplicas(object, (decode(schema, shown).object as Scale).spec.replicas ?? 0),
})
