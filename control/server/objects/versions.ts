// Objects that are kept in one version and served in another as well: converted on the way in and out.
// Everything below the core knows the kept version only. Custom resources have a view of their own, since
// their versions and schemas change under what is kept.

import { invalid } from '#api/errors.ts'
import { apiVersionOf, type KubeObject } from '#api/kinds/kind.ts'
import { Faults, same } from '#api/kinds/rules/faults.ts'
import { decode } from '#api/schema/decode.ts'
import type { Sent } from '../cache/feed.ts'
import { clone, encode, Item } from '../cache/item.ts'
import type { Target } from './call.ts'
import type { Listed } from './read.ts'
import type { Resource, View } from './resource.ts'
import type { Stored } from './stored.ts'

/** What a view made of an item, by the item's bytes; the very item where it makes no difference. */
const seen = new WeakMap<View, WeakMap<Uint8Array, Item>>()

export const storageResource = (resource: Resource): Resource => resource.stored ?? resource
export const storageTarget = (target: Target): Target => ({ ...target, resource: storageResource(target.resource) })

/** What the store holds, as `resource` shows it. */
export async function toServed(resource: Resource, item: Item): Promise<Item> {
  if (resource.view) return (await shownByView(resource.view, [item]))[0] as Item
  return resource.stored ? converted(resource, item) : item
}

async function shownAll(resource: Resource, items: readonly Item[]): Promise<Item[]> {
  return resource.view ? await shownByView(resource.view, items) : items.map((item) => converted(resource, item))
}

function converted(resource: Resource, item: Item): Item {
  return withObject(item, fromStored(resource, item.object))
}

async function shownByView(view: View, items: readonly Item[]): Promise<Item[]> {
  const known = seen.get(view) ?? new WeakMap<Uint8Array, Item>()
  seen.set(view, known)
  const fresh = items.filter((item) => !known.has(item.bytes))
  if (fresh.length) {
    const objects = await view.show(fresh.map((item) => item.object))
    for (const [i, item] of fresh.entries()) {
      const object = objects[i] as Stored
      known.set(item.bytes, same(object, item.object) ? item : withObject(item, object))
    }
  }
  return items.map((item) => known.get(item.bytes) as Item)
}

const withObject = ({ key, revision, createRevision }: Item, object: KubeObject): Item =>
  new Item({ key, value: encode(object, revision), createRevision, modRevision: revision })

export async function toServedList(resource: Resource, listed: Listed): Promise<Listed> {
  return isServedAsStored(resource) ? listed : { ...listed, items: await shownAll(resource, listed.items) }
}

/** Nothing lies between the store and who reads this resource. */
export const isServedAsStored = ({ stored, view }: Resource): boolean => !stored && !view

export async function* toServedFeed(resource: Resource, feed: AsyncGenerator<Sent[]>): AsyncGenerator<Sent[]> {
  for await (const batch of feed) {
    const items = await shownAll(
      resource,
      batch.flatMap((sent) => (sent.type === 'BOOKMARK' ? [] : [sent.item])),
    )
    const next = items.values()
    yield batch.map((sent): Sent => {
      if (sent.type === 'BOOKMARK') return sent
      const item = next.next().value as Item
      return item === sent.item ? sent : { type: sent.type, item, told: (telling) => telling(sent.type, item) }
    })
  }
}

/** What a client sent in the version of `resource`, as it is kept. Throws Invalid where that version asks for more than the kept one. */
export async function toStorage(resource: Resource, object: Stored): Promise<Stored> {
  const { stored, spec, view } = resource
  if (stored && view) return await view.keep(object)
  if (!stored || !spec.converts) return object
  checkOwnRules(resource, object)
  return decoded(stored, spec.converts.toStored(object))
}

/** Throws Invalid where the version of `resource` asks for more of what is about to be kept than the kept one. */
export const checkStored = (resource: Resource, object: Stored): void => checkOwnRules(resource, fromStored(resource, object))

function checkOwnRules({ spec, kind }: Resource, object: Stored): void {
  const faults = new Faults()
  spec.validate?.(object, faults)
  if (faults.list.length > 0) throw invalid(kind.group, kind.kind, object.metadata.name || object.metadata.generateName || '', faults.list)
}

/** A copy, that may be changed. */
export async function fromStorage(resource: Resource, object: KubeObject): Promise<Stored> {
  return resource.view ? clone((await resource.view.show([object]))[0] as Stored) : fromStored(resource, object)
}

function fromStored(resource: Resource, object: KubeObject): Stored {
  const { converts } = resource.spec
  return converts ? decoded(resource, converts.fromStored(clone(object))) : clone(object)
}

function decoded({ schema, spec }: Resource, object: KubeObject): Stored {
  return { ...decode(schema, object).object, kind: spec.kind.kind, apiVersion: apiVersionOf(spec.kind) } as Stored
}
