// Custom resources among the kinds that the server has: addressed, kept and cached like the others, for
// as long as their definition is there.

import { isStatus } from '#api/errors.ts'
import { apiVersionOf, type KubeObject } from '#api/kinds/kind.ts'
import { same } from '#api/kinds/rules/faults.ts'
import { allVerbs, type KindSpec, resourceName } from '#api/kinds/spec.ts'
import type { CustomResourceDefinition } from '#api/types/apiextensions-v1.gen.ts'
import type { User } from '#control/auth/user.ts'
import type { Cleanup } from '#control/extensions/conditions.ts'
import { type Converter, converterOf } from '#control/extensions/conversion.ts'
import { type CustomKind, customKinds } from '#control/extensions/custom-kind.ts'
import type { Offers } from '#control/extensions/definitions.ts'
import type { Rules } from '#control/extensions/rule-faults.ts'
import type { CallWebhook } from '#control/extensions/webhook.ts'
import type { WatchCache } from '../cache/watch-cache.ts'
import type { Core } from '../objects/core.ts'
import { type Resource, type Resources, registryPrefix } from '../objects/resource.ts'
import { customView } from './view.ts'

export type CustomResourceDeps = { core: Core; cache: WatchCache; resources: Resources; user: User; callWebhook: CallWebhook; rules: Rules }

export function customResources({ core, cache, resources, user, callWebhook, rules }: CustomResourceDeps): Offers {
  /** By the definition's name; `storage` is the version that is kept. */
  const served = new Map<string, { definition: CustomResourceDefinition; storage: Resource }>()
  return {
    async set(definition) {
      const { name } = definition.metadata
      const kinds = customKinds(definition, { rules })
      const kept = kinds.find(({ storage }) => storage)
      if (!kept) return
      const convert = converterOf(definition, callWebhook)
      const storage = keptResource(kept, convert)
      await cache.add(storage)
      const before = served.get(name)
      served.set(name, { definition, storage })
      resources.set(
        name,
        kinds.filter((kind) => kind.served).map((kind) => (kind === kept ? storage : versionOf(kind, storage, convert))),
      )
      // Who watches sees objects in the old way: they come back for the new one.
      if (before && !same(before.definition.spec, definition.spec)) cache.endWatches(storage)
    },
    remove(name) {
      const storage = served.get(name)?.storage
      resources.set(name, [])
      served.delete(name)
      if (storage) cache.remove(storage)
    },
    async empty(definition: CustomResourceDefinition): Promise<Cleanup> {
      const resource = served.get(definition.metadata.name)?.storage
      if (!resource) return { left: 0 }
      // As they are kept: nobody looks at them, and a webhook that converts or judges them may be gone already.
      const { view: _, ...raw } = resource
      try {
        await core.deleteCollection({ resource: raw }, user, { settled: true })
        return { left: (await core.list({ resource: raw })).items.length }
      } catch (error) {
        if (isStatus(error)) return { left: 0, failure: error.message }
        throw error
      }
    },
  }
}

function resourceOf({ spec, schema, published }: CustomKind): Resource {
  const { kind } = spec
  return {
    spec,
    kind,
    schema,
    published,
    apiVersion: apiVersionOf(kind),
    name: resourceName(kind),
    prefix: `${registryPrefix}${kind.group}/${kind.plural}/`,
    verbs: allVerbs,
  }
}

function keptResource(kind: CustomKind, convert: Converter): Resource {
  const resource = resourceOf(kind)
  return { ...resource, view: customView({ own: resource, kept: resource, convert }) }
}

/** A version that is not the one kept. Objects are judged by the version in which they come. */
function versionOf(kind: CustomKind, kept: Resource, convert: Converter): Resource {
  const own = resourceOf(kind)
  const view = customView({ own, kept, convert })
  const inVersion = async (object: KubeObject) => (await view.show([object]))[0] as KubeObject
  const spec: KindSpec = {
    ...own.spec,
    async examine(next, previous, faults) {
      await own.spec.examine?.(await inVersion(next), previous && (await inVersion(previous)), faults)
    },
  }
  return { ...own, view, stored: { ...kept, kind: own.kind, spec } }
}
