// Custom resources among the kinds that the server has: addressed, kept and cached like the others, for
// as long as their definition is there.

import { isStatus } from '#api/errors.ts'
import { apiVersionOf, type KubeObject } from '#api/kinds/kind.ts'
import { allVerbs, resourceName } from '#api/kinds/spec.ts'
import type { CustomResourceDefinition } from '#api/types/apiextensions-v1.gen.ts'
import type { User } from '#control/auth/user.ts'
import type { Cleanup } from '#control/extensions/conditions.ts'
import { type CustomKind, customKinds } from '#control/extensions/custom-kind.ts'
import type { Offers } from '#control/extensions/definitions.ts'
import type { Core } from './core.ts'
import { type Resource, type Resources, registryPrefix } from './resource.ts'
import type { WatchCache } from './watch-cache.ts'

export type CustomResourceDeps = { core: Core; cache: WatchCache; resources: Resources; user: User }

export function customResources({ core, cache, resources, user }: CustomResourceDeps): Offers {
  /** The version that is kept, by the definition's name. */
  const stored = new Map<string, Resource>()
  return {
    async set(definition) {
      const { name } = definition.metadata
      const kinds = customKinds(definition)
      const kept = kinds.find(({ storage }) => storage)
      if (!kept) return
      const storage = resourceOf(kept)
      await cache.add(storage)
      stored.set(name, storage)
      resources.set(
        name,
        kinds.filter(({ served }) => served).map((kind) => (kind === kept ? storage : versionOf(kind, kept, storage))),
      )
    },
    remove(name) {
      const storage = stored.get(name)
      resources.set(name, [])
      stored.delete(name)
      if (storage) cache.remove(storage)
    },
    async empty(definition: CustomResourceDefinition): Promise<Cleanup> {
      const resource = stored.get(definition.metadata.name)
      if (!resource) return { left: 0 }
      try {
        await core.deleteCollection({ resource }, user)
        return { left: (await core.list({ resource })).items.length }
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

/** A version that is not the one kept. Objects are judged by the version in which they come. */
function versionOf(own: CustomKind, kept: CustomKind, storage: Resource): Resource {
  const { spec } = own
  const inVersion = <T extends KubeObject>(object: T, apiVersion: string): T => ({ ...object, apiVersion })
  const apiVersion = apiVersionOf(spec.kind)
  const shown = (object: KubeObject) => inVersion(object, apiVersion)
  const { examine } = spec
  const judged: Resource = {
    ...storage,
    kind: spec.kind,
    spec: {
      ...kept.spec,
      fields: spec.fields ?? {},
      ...(examine && { examine: (next, previous, faults) => examine(shown(next), previous && shown(previous), faults) }),
    },
  }
  const converts = { stored: kept.spec.kind, toStored: (object: KubeObject) => inVersion(object, storage.apiVersion), fromStored: shown }
  return { ...resourceOf(own), spec: { ...spec, converts }, stored: judged }
}
