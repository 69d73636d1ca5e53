// Which of the names that a definition asks for it gets: within a group each name belongs to the first
// definition that was given it. Pure.

import { same } from '#api/kinds/rules/faults.ts'
import type { CustomResourceDefinition, CustomResourceDefinitionNames } from '#api/types/apiextensions-v1.gen.ts'

type Names = CustomResourceDefinitionNames

export type Accepted = {
  names: Names
  /** Of the last name that was refused. */
  conflict?: { reason: string; message: string }
}

/** `others`: the names that are taken in the group, by other definitions and by built-in kinds. */
export function acceptNames({ spec, status }: CustomResourceDefinition, others: readonly Names[]): Accepted {
  const resources = new Set(others.flatMap(({ plural, singular, shortNames = [] }) => [plural, singular ?? '', ...shortNames]))
  const kinds = new Set(others.flatMap(({ kind, listKind }) => [kind, listKind ?? '']))
  const wanted = spec.names
  const names: Names = { ...status.acceptedNames }
  const conflicts: { reason: string; message: string }[] = []
  const free = (taken: ReadonlySet<string>, reason: string, ...asked: (string | undefined)[]): boolean => {
    const used = asked.filter((name) => name && taken.has(name))
    if (used.length) conflicts.push({ reason, message: `${used.map((name) => JSON.stringify(name)).join(', ')} is already in use` })
    return used.length === 0
  }
  if (free(resources, 'PluralConflict', wanted.plural)) names.plural = wanted.plural
  if (free(resources, 'SingularConflict', wanted.singular)) set(names, 'singular', wanted.singular)
  if (free(resources, 'ShortNamesConflict', ...(wanted.shortNames ?? []))) set(names, 'shortNames', wanted.shortNames)
  if (free(kinds, 'KindConflict', wanted.kind)) names.kind = wanted.kind
  if (free(kinds, 'ListKindConflict', wanted.listKind)) set(names, 'listKind', wanted.listKind)
  set(names, 'categories', wanted.categories)
  const conflict = conflicts.at(-1)
  return { names: same(names, status.acceptedNames) ? status.acceptedNames : names, ...(conflict && { conflict }) }
}

function set<K extends 'singular' | 'shortNames' | 'listKind' | 'categories'>(names: Names, field: K, value: Names[K] | undefined): void {
  if (value === undefined) delete names[field]
  else names[field] = value
}
