// The scale subresource: replicas of anything, in one form (autoscaling/v1 Scale).

import type { Clock } from '#api/clock.ts'
import { invalid, StatusError } from '#api/errors.ts'
import type { KubeObject } from '#api/kinds/kind.ts'
import { ageColumn, nameColumn } from '#api/kinds/rules/columns.ts'
import type { Column, Scale as ScaleSpec } from '#api/kinds/spec.ts'
import { schemaOf } from '#api/schema/compile.ts'
import { decode } from '#api/schema/decode.ts'
import type { Scale } from '#api/types/autoscaling-v1.gen.ts'
import type { Form } from '#control/admission/admission.ts'
import { viewOf } from '../http/accept.ts'
import { answerJson } from '../http/answer.ts'
import type { Route } from '../http/app.ts'
import { objectIn, readBody } from '../http/body.ts'
import { includeOf, readPatch, targetOf } from '../http/handler.ts'
import type { Incoming } from '../http/incoming.ts'
import { writeOptionsOf } from '../http/options.ts'
import { partial, tableOf } from '../http/table.ts'
import type { Core } from '../objects/core.ts'
import { merge } from '../objects/patch.ts'

const schema = schemaOf({ group: 'autoscaling', version: 'v1', kind: 'Scale' })

const columns: Column<Scale>[] = [
  nameColumn,
  { name: 'Desired', type: 'integer', description: 'How many replicas are wanted.', cell: ({ spec }) => spec.replicas ?? 0 },
  { name: 'Available', type: 'integer', description: 'How many replicas there are.', cell: ({ status }) => status?.replicas ?? 0 },
  ageColumn,
]

export const scaleRoute =
  (core: Core, clock: Clock): Route =>
  async (exchange, resource) => {
    const scale = resource?.spec.scale
    const { info, request, url } = exchange
    if (info.subresource !== 'scale' || !resource || !scale || !schema) return undefined
    const target = targetOf(resource, info)
    const look = {
      view: viewOf(request.headers.get('accept') ?? undefined),
      include: includeOf(url),
      acceptEncoding: undefined,
      warnings: exchange.remarks.warnings,
    }
    if (info.verb === 'get') {
      const item = await core.get(target, url.searchParams.get('resourceVersion') ?? undefined)
      if (scale.replicas(item.object) === undefined) {
        throw new StatusError('NotFound', `${resource.name} ${JSON.stringify(target.name)} does not say how many replicas it wants`)
      }
      return await answer(scaleOf(item.object, scale))
    }
    const options = writeOptionsOf(exchange)
    const change = await wanted(request, info.verb)
    const item = await core.update(target, { ...options, form: formOf(scale) }, (current) => {
      const before = scaleOf(current, scale)
      const { object } = decode(schema, change(before), { fieldValidation: options.fieldValidation ?? 'Warn' })
      const next = object as Scale
      const replicas = next.spec.replicas ?? 0
      if (replicas < 0) {
        throw invalid('autoscaling', 'Scale', target.name, [
          {
            field: 'spec.replicas',
            reason: 'FieldValueInvalid',
            message: `Invalid value: ${replicas}: must be greater than or equal to 0`,
          },
        ])
      }
      const { resourceVersion } = next.metadata
      scale.setReplicas(current, replicas)
      const meta = current.metadata as { resourceVersion?: string }
      // Only a Scale that names a version is meant for that one alone.
      if (info.verb === 'patch' && resourceVersion === before.metadata.resourceVersion) delete meta.resourceVersion
      else meta.resourceVersion = resourceVersion
      return current
    })
    return await answer(scaleOf(item.object, scale))

    async function answer(shown: Scale) {
      const { view, include } = look
      if (view.as === 'PartialObjectMetadata') return await answerJson(partial(shown, view.version), look)
      if (view.as !== 'Table') return await answerJson(shown, look)
      const metadata = { resourceVersion: shown.metadata.resourceVersion }
      return await answerJson(tableOf({ columns }, [shown], { view, include, now: clock.now(), metadata }), look)
    }

    async function wanted(body: Incoming, verb: string): Promise<(before: Scale) => unknown> {
      if (verb === 'update') {
        const object = objectIn(await readBody(body))
        return () => object
      }
      if (verb !== 'patch') throw new StatusError('MethodNotAllowed', 'the server does not allow this method on the requested resource')
      const patch = await readPatch(body)
      const { type } = patch
      // An applied Scale is a merge: it has no lists and one field to own.
      return (before) => merge(schema!, before, type === 'apply' ? 'merge' : type, patch.body)
    }
  }

function scaleOf(object: KubeObject, scale: ScaleSpec): Scale {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata
  const selector = scale.selector(object)
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: scale.replicas(object) ?? 0 },
    status: { replicas: scale.statusReplicas(object), ...(selector !== '<none>' && { selector }) },
  }
}

/** What webhooks and policies are shown; only the replicas can be changed in it. */
const formOf = (scale: ScaleSpec): Form => ({
  kind: { group: 'autoscaling', version: 'v1', kind: 'Scale' },
  show: (object) => scaleOf(object, scale),
  take(shown, object) {
    if (schema) scale.setReplicas(object, (decode(schema, shown).object as Scale).spec.replicas ?? 0)
  },
})
