// The scale subresource of custom resources: replicas and selector are where the definition says.

import type { KubeObject } from '#api/kinds/kind.ts'
import { none } from '#api/kinds/rules/columns.ts'
import type { Scale } from '#api/kinds/spec.ts'
import { isObject, type JsonObject, put } from '#api/schema/decode.ts'
import type { CustomResourceSubresourceScale } from '#api/types/apiextensions-v1.gen.ts'

export function scaleOf({ specReplicasPath, statusReplicasPath, labelSelectorPath }: CustomResourceSubresourceScale): Scale {
  return {
    replicas(object) {
      const value = valueAt(object, specReplicasPath)
      return typeof value === 'number' ? value : undefined
    },
    setReplicas(object, replicas) {
      setAt(object, specReplicasPath, replicas)
    },
    statusReplicas(object) {
      const value = valueAt(object, statusReplicasPath)
      return typeof value === 'number' ? value : 0
    },
    selector(object) {
      const value = labelSelectorPath ? valueAt(object, labelSelectorPath) : undefined
      return typeof value === 'string' && value ? value : none
    },
  }
}

/** At a path of plain field names, `.spec.replicas`. */
export function valueAt(object: KubeObject, path: string): unknown {
  return namesOf(path).reduce<unknown>((at, name) => (isObject(at) && Object.hasOwn(at, name) ? at[name] : undefined), object)
}

function setAt(object: KubeObject, path: string, value: unknown): void {
  const names = namesOf(path)
  const last = names.pop() as string
  let at = object as unknown as JsonObject
  for (const name of names) {
    if (!Object.hasOwn(at, name) || !isObject(at[name])) put(at, name, {})
    at = at[name] as JsonObject
  }
  put(at, last, value)
}

const namesOf = (path: string): string[] => path.split('.').slice(1)
