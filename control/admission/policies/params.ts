// The objects that a binding hands to its policy.

import type { Client } from '#api/client/client.ts'
import type { Kind, KubeObject } from '#api/kinds/kind.ts'
import type { JsonObject } from '#api/schema/decode.ts'
import { formatLabels, labelSelector } from '#api/selector/label.ts'
import type { ParamKind, ParamRef } from '#api/types/admissionregistration-v1.gen.ts'

export type ParamDeps = {
  client: Pick<Client, 'find' | 'list'>
  /** Undefined where no such kind is served. */
  kindOf(this: void, apiVersion: string, kind: string): Kind | undefined
}

type Asked = { paramKind: ParamKind | undefined; paramRef: ParamRef | undefined; namespace: string | undefined }

/** None: the policy has nothing to say here. Throws Error where the binding makes no sense. */
export async function paramsOf({ paramKind, paramRef, namespace }: Asked, { client, kindOf }: ParamDeps): Promise<(JsonObject | null)[]> {
  if (!paramKind || !paramRef) return [null]
  const kind = kindOf(paramKind.apiVersion ?? '', paramKind.kind ?? '')
  if (!kind) throw new Error(`failed to find resource referenced by paramKind: '${paramKind.apiVersion}, Kind=${paramKind.kind}'`)
  const found = await objectsOf(kind, paramRef, placeOf(kind, paramRef, namespace), client)
  if (found.length > 0) return found
  if (paramRef.parameterNotFoundAction === 'Allow') return []
  throw new Error('no params found for policy binding with `Deny` parameterNotFoundAction')
}

function placeOf(kind: Kind, paramRef: ParamRef, namespace: string | undefined): string | undefined {
  if (!kind.namespaced) {
    if (paramRef.namespace) throw new Error('paramRef.namespace must not be provided for a cluster-scoped `paramKind`')
    return undefined
  }
  const place = paramRef.namespace ?? namespace
  if (place === undefined) throw new Error('cannot use namespaced paramRef in policy binding that matches cluster-scoped resources')
  return place
}

async function objectsOf(
  kind: Kind,
  { name, selector }: ParamRef,
  namespace: string | undefined,
  client: ParamDeps['client'],
): Promise<KubeObject[]> {
  const place = namespace === undefined ? {} : { namespace }
  if (name) {
    const found = await client.find(kind, { ...place, name })
    return found ? [found] : []
  }
  const { items } = await client.list(kind, { ...place, labelSelector: formatLabels(labelSelector(selector) ?? []) })
  return items
}
