// What one version of a custom resource makes of the objects that are kept: converted, pruned and with
// the defaults of the schema as it is now, whatever they were written under.

import type { KubeObject } from '#api/kinds/kind.ts'
import { decode } from '#api/schema/decode.ts'
import { setDefaults } from '#api/schema/defaults.ts'
import type { Converter } from '#control/extensions/conversion.ts'
import type { Resource, View } from '../objects/resource.ts'

type Version = Pick<Resource, 'schema' | 'apiVersion' | 'kind'>

export function customView({ own, kept, convert }: { own: Version; kept: Version; convert: Converter }): View {
  return {
    async show(objects) {
      return (await convert(objects, own.apiVersion)).map((object) => formed(own, object))
    },
    async keep(object) {
      const [converted] = await convert([formed(own, object)], kept.apiVersion)
      return formed(kept, converted ?? object)
    },
  }
}

function formed({ schema, apiVersion, kind }: Version, object: KubeObject): KubeObject {
  const { object: copy } = decode(schema, object)
  setDefaults(schema, copy)
  return { ...copy, apiVersion, kind: kind.kind } as unknown as KubeObject
}
