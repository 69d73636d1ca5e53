// Objects that are kept in one version and served in another as well: converted on the way in and out.
// Everything below the core knows the kept version only.

import { invalid } from '#api/errors.ts'
import { Faults } from '#api/kinds/faults.ts'
import { apiVersionOf, type KubeObject } from '#api/kinds/kind.ts'
import { decode } from '#api/schema/decode.ts'
import type { Target } from './call.ts'
import { watchLine } from './change.ts'
import type { Sent } from './feed.ts'
import { clone, encode, Item } from './item.ts'
import type { Listed } from './read.ts'
import type { Resource } from './resource.ts'
import type { Stored } from './write.ts'

export const kept = (resource: Resource): Resource => resource.stored ?? resource
export const keptAt = (target: Target): Target => ({ ...target, resource: kept(target.resource) })

/** What the store holds, as `resource` shows it. */
export function shown(resource: Resource, item: Item): Item {
  if (!resource.stored) return item
  const { key, revision, createRevision } = item
  return new Item({ key, value: encode(outward(resource, item.object), revision), createRevision, modRevision: revision })
}

export const shownList = (resource: Resource, listed: Listed): Listed =>
  resource.stored ? { ...listed, items: listed.items.map((item) => shown(resource, item)) } : listed

export async function* shownFeed(resource: Resource, feed: AsyncGenerator<Sent[]>): AsyncGenerator<Sent[]> {
  for await (const batch of feed) {
    yield batch.map((sent): Sent => {
      if (sent.type === 'BOOKMARK') return sent
      const item = shown(resource, sent.item)
      return { type: sent.type, item, line: () => watchLine(sent.type, item.bytes) }
    })
  }
}

/** What a client sent in the version of `resource`, as it is kept. Throws Invalid where that version asks for more than the kept one. */
export function inward(resource: Resource, object: Stored): Stored {
  const { stored, spec, kind } = resource
  if (!stored || !spec.converts) return object
  const faults = new Faults()
  spec.validate?.(object, faults)
  if (faults.list.length > 0) throw invalid(kind.group, kind.kind, object.metadata.name || object.metadata.generateName || '', faults.list)
  return decoded(stored, spec.converts.toStored(object))
}

/** A copy, that may be changed. */
export function outward(resource: Resource, object: KubeObject): Stored {
  const { converts } = resource.spec
  return converts ? decoded(resource, converts.fromStored(clone(object))) : clone(object)
}

function decoded({ schema, spec }: Resource, object: KubeObject): Stored {
  return { ...decode(schema, object).object, kind: spec.kind.kind, apiVersion: apiVersionOf(spec.kind) } as Stored
}
