// componentstatuses: how the server's own parts are, asked when somebody wants to know.

import { StatusError } from '#api/errors.ts'
import { ComponentStatus } from '#api/kinds/index.ts'
import { encode, Item } from '../cache/item.ts'
import { answerItem, answerList } from '../http/answer.ts'
import type { ResourceHandler } from '../http/handler.ts'
import type { Route } from '../http/stages/resources.ts'
import { notFound } from '../objects/resource.ts'

type Check = { name: string; healthy(this: void): boolean; reason?(this: void): string | undefined }

const warnings = ['v1 ComponentStatus is deprecated in v1.19+']

export const componentStatusRoute =
  ({ handler, checks, revision }: { handler: ResourceHandler; checks: readonly Check[]; revision(this: void): number }): Route =>
  async (exchange, resource) => {
    const { info } = exchange
    if (resource?.kind.kind !== ComponentStatus.kind || resource.kind.group !== ComponentStatus.group) return undefined
    if (!resource.verbs.includes(info.verb) || info.subresource !== '') {
      throw new StatusError('MethodNotAllowed', 'the server does not allow this method on the requested resource')
    }
    const look = handler.look(resource, exchange, warnings)
    const items = checks.map(({ name, healthy, reason }) => itemOf(name, healthy(), reason?.()))
    if (info.verb === 'list') return await answerList(resource, { items, revision: revision() }, look)
    const found = items.find((item) => item.key === info.name)
    if (!found) throw notFound(resource, info.name ?? '')
    return await answerItem(resource, found, look)
  }

function itemOf(name: string, isHealthy: boolean, reason = 'not ready'): Item {
  const status = isHealthy ? { status: 'True', message: 'ok' } : { status: 'False', message: reason }
  const object = { apiVersion: 'v1', kind: 'ComponentStatus', metadata: { name }, conditions: [{ type: 'Healthy', ...status }] }
  return new Item({ key: name, value: encode(object as unknown as Item['object'], 0), createRevision: 0, modRevision: 0 })
}
