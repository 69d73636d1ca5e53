// The facts as they are in fields.json: read once, on first use. Everything else compiles from here.

import { readFileSync } from 'node:fs'

export type FieldFacts = {
  /** JSON name; empty with `inline`. */
  name: string
  /** Go's spelling: `*T`, `[]T`, `map[K]V`, `package/path.Type`. */
  type: string
  inline?: boolean
  proto?: number
  omitEmpty?: boolean
  omitZero?: boolean
  optional?: boolean
  required?: boolean
  patchStrategy?: string
  patchMergeKey?: string
  listType?: 'map' | 'set' | 'atomic'
  listMapKeys?: string[]
  mapType?: 'granular' | 'atomic'
  /** JSON text, or `ref(GoConstant)`. */
  default?: string
}

export type TypeFacts = {
  fields?: FieldFacts[]
  alias?: string
  enum?: string[]
  isEnum?: boolean
  structType?: 'atomic' | 'granular'
  kind?: boolean
}

export type PackageFacts = { group: string; version: string; types: Record<string, TypeFacts> }

let facts: Record<string, PackageFacts> | undefined

export function packages(): Record<string, PackageFacts> {
  facts ??= JSON.parse(readFileSync(new URL('fields.json', import.meta.url), 'utf8')) as Record<string, PackageFacts>
  return facts
}

/** `api/core/v1.Pod` → [`api/core/v1`, `Pod`]. */
export function splitType(type: string): [pkg: string, name: string] {
  const dot = type.lastIndexOf('.')
  return [type.slice(0, dot), type.slice(dot + 1)]
}

export function factsOf(type: string): TypeFacts | undefined {
  const [pkg, name] = splitType(type)
  return packages()[pkg]?.types[name]
}
