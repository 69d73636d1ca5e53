// Objects as admission asks for them: in every version in which their kind is served.

import { apiVersionOf, type Kind } from '#api/kinds/kind.ts'
import { decode } from '#api/schema/decode.ts'
import { setDefaults } from '#api/schema/defaults.ts'
import type { Look, Looks } from '#control/admission/look.ts'
import type { Resource, Resources } from './resource.ts'
import type { Stored } from './stored.ts'
import { inward, outward } from './versions.ts'

export function looksOf(resources: Resources): Looks {
  const known = new Map<string, readonly Look[]>()
  let revision = -1
  return (kind) => {
    if (revision !== resources.revision) known.clear()
    revision = resources.revision
    const key = `${apiVersionOf(kind)}/${kind.plural}`
    const looks = known.get(key) ?? sharing(resources, kind).map(lookOf)
    known.set(key, looks)
    return looks
  }
}

function sharing(resources: Resources, kind: Kind): Resource[] {
  const own = resources.at(apiVersionOf(kind), kind.plural)
  if (!own) return []
  return [own, ...resources.all().filter((other) => other !== own && other.prefix === own.prefix)]
}

const lookOf = (resource: Resource): Look => ({
  kind: resource.kind,
  show: async (object) => await outward(resource, object),
  async keep(shown) {
    const { object } = decode(resource.schema, shown)
    setDefaults(resource.schema, object)
    return await inward(resource, { ...object, kind: resource.kind.kind, apiVersion: resource.apiVersion } as unknown as Stored)
  },
})
