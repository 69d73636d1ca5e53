// From group, version and kind to the table's type.

import type { Gvk } from './schema.ts'
import { factsOf, packages, splitType } from './table.ts'

const meta = 'apimachinery/pkg/apis/meta/v1'
let byApiVersion: Map<string, string> | undefined

function packageOf(group: string, version: string): string | undefined {
  byApiVersion ??= new Map(Object.entries(packages()).map(([pkg, facts]) => [`${facts.group}/${facts.version}`, pkg]))
  return byApiVersion.get(`${group}/${version}`)
}

/** Go spelling of the type. What every group has (options, lists, Status) is in meta/v1. */
export function typeFor({ group, version, kind }: Gvk): string | undefined {
  const own = `${packageOf(group, version)}.${kind}`
  const facts = factsOf(own)
  if (facts?.kind || facts?.fields) return own
  const alias = facts?.alias
  if (alias?.includes('.') && splitType(alias)[1] === kind) return alias
  return factsOf(`${meta}.${kind}`)?.kind ? `${meta}.${kind}` : undefined
}
