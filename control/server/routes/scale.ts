// The scale subresource over HTTP: read, replaced, patched.

import type { Clock } from '#api/clock.ts'
import { StatusError } from '#api/errors.ts'
import type { Incoming } from '#api/http/incoming.ts'
import { ageColumn, nameColumn } from '#api/kinds/rules/columns.ts'
import type { Column } from '#api/kinds/spec.ts'
import type { Scale } from '#api/types/autoscaling-v1.gen.ts'
import { viewOf } from '../http/accept.ts'
import { answerJson } from '../http/answer.ts'
import { objectIn, readBody } from '../http/body.ts'
import { includeOf, readPatch, targetOf } from '../http/handler.ts'
import { writeOptionsOf } from '../http/options.ts'
import type { Route } from '../http/stages/resources.ts'
import { partial, tableOf } from '../http/table.ts'
import type { Core } from '../objects/core.ts'
import { readScale, type ScaleChange, writeScale } from '../objects/scale.ts'

const columns: Column<Scale>[] = [
  nameColumn,
  { name: 'Desired', type: 'integer', description: 'How many replicas are wanted.', cell: ({ spec }) => spec.replicas ?? 0 },
  { name: 'Available', type: 'integer', description: 'How many replicas there are.', cell: ({ status }) => status?.replicas ?? 0 },
  ageColumn,
]

export const scaleRoute =
  (core: Core, clock: Clock): Route =>
  async (exchange, resource) => {
    const { info, request, url } = exchange
    if (info.subresource !== 'scale' || !resource?.spec.scale) return undefined
    const target = targetOf(resource, info)
    const look = {
      view: viewOf(request.headers.get('accept') ?? undefined),
      include: includeOf(url),
      acceptEncoding: undefined,
      warnings: exchange.remarks.warnings,
    }
    if (info.verb === 'get') return await answer(await readScale(core, target, url.searchParams.get('resourceVersion') ?? undefined))
    const options = writeOptionsOf(exchange)
    return await answer(await writeScale(core, target, options, await changeIn(request, info.verb)))

    async function answer(shown: Scale) {
      const { view, include } = look
      if (view.as === 'PartialObjectMetadata') return await answerJson(partial(shown, view.version), look)
      if (view.as !== 'Table') return await answerJson(shown, look)
      const metadata = { resourceVersion: shown.metadata.resourceVersion }
      return await answerJson(tableOf({ columns }, [shown], { view, include, now: clock.now(), metadata }), look)
    }
  }

async function changeIn(body: Incoming, verb: string): Promise<ScaleChange> {
  if (verb === 'update') {
    const read = await readBody(body, { floats: true })
    return { object: objectIn(read), floats: read.floats }
  }
  if (verb === 'patch') return await readPatch(body)
  throw new StatusError('MethodNotAllowed', 'the server does not allow this method on the requested resource')
}
