// Objects as admission asks for them: in every version in which their kind is served.

import { apiVersionOf, type Kind } from '#api/kinds/kind.ts'
import { decode } from '#api/schema/decode.ts'
import { setDefaults } from '#api/schema/defaults.ts'
import type { ServedVersion, ServedVersions } from '#control/admission/served-version.ts'
import type { Resource, Resources } from './resource.ts'
import type { Stored } from './stored.ts'
import { fromStorage, toStorage } from './versions.ts'

export function servedVersionsOf(resources: Resources): ServedVersions {
  const known = new Map<string, readonly ServedVersion[]>()
  let revision = -1
  return (kind) => {
    if (revision !== resources.revision) known.clear()
    revision = resources.revision
    const key = `${apiVersionOf(kind)}/${kind.plural}`
    const servedVersions = known.get(key) ?? sharing(resources, kind).map(servedVersionOf)
    known.set(key, servedVersions)
    return servedVersions
  }
}

function sharing(resources: Resources, kind: Kind): Resource[] {
  const own = resources.at(apiVersionOf(kind), kind.plural)
  if (!own) return []
  return [own, ...resources.all().filter((other) => other !== own && other.prefix === own.prefix)]
}

const servedVersionOf = (resource: Resource): ServedVersion => ({
  kind: resource.kind,
  show: async (object) => await fromStorage(resource, object),
  async keep(shown) {
    const { object } = decode(resource.schema, shown)
    setDefaults(resource.schema, object)
    return await toStorage(resource, { ...object, kind: resource.kind.kind, apiVersion: resource.apiVersion } as unknown as Stored)
  },
})
