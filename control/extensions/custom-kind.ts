// One version of a custom resource as a kind: what its definition says, in the terms of the server.

import { StatusError } from '#api/errors.ts'
import type { Kind, KubeObject } from '#api/kinds/kind.ts'
import { type Faults, same } from '#api/kinds/rules/faults.ts'
import { isDns1123Subdomain } from '#api/kinds/rules/names.ts'
import type { KindSpec } from '#api/kinds/spec.ts'
import type { JsonSchema } from '#api/schema/crd/json-schema.ts'
import { openPatterns } from '#api/schema/crd/pattern.ts'
import type { Published } from '#api/schema/crd/publish.ts'
import { structOf } from '#api/schema/crd/struct.ts'
import { validator } from '#api/schema/crd/validate.ts'
import type { Struct } from '#api/schema/schema.ts'
import type {
  CustomResourceDefinition,
  CustomResourceDefinitionVersion,
  CustomResourceSubresourceScale,
} from '#api/types/apiextensions-v1.gen.ts'
import { columnsOf } from './columns.ts'
import { hasRules, judge, type Rules } from './rule-faults.ts'
import { scaleOf, valueAt } from './scale.ts'

export type CustomKind = { spec: KindSpec; schema: Struct; published: Published; served: boolean; storage: boolean }

type Stored = KubeObject & { status?: unknown }

/** Anything goes: a version whose schema is not there, which the API does not take. */
const unknown: JsonSchema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }

/** Every version of the definition, served or not. */
export const customKinds = (definition: CustomResourceDefinition, deps: { rules: Rules }): CustomKind[] =>
  definition.spec.versions.map((version) => customKind(definition, version, deps))

export function kindOf({ spec }: CustomResourceDefinition, version: string): Kind {
  const { group, names, scope } = spec
  return { group, version, kind: names.kind, plural: names.plural, namespaced: scope === 'Namespaced' }
}

function customKind(
  definition: CustomResourceDefinition,
  version: CustomResourceDefinitionVersion,
  { rules }: { rules: Rules },
): CustomKind {
  const kind = kindOf(definition, version.name)
  const { acceptedNames } = definition.status
  const schema = (version.schema?.openAPIV3Schema as JsonSchema | undefined) ?? unknown
  const hasStatus = version.subresources?.status !== undefined
  const scale = version.subresources?.scale
  const listKind = definition.spec.names.listKind ?? `${kind.kind}List`
  const name = `${[...kind.group.split('.').reverse(), kind.version].join('.')}.${kind.kind}`
  const isRuled = hasRules(schema)
  const terminating = definition.metadata.deletionTimestamp !== undefined
  const { shortNames, categories } = acceptedNames
  const spec: KindSpec<Stored> = {
    kind,
    singular: acceptedNames.singular ?? kind.kind.toLowerCase(),
    listKind,
    ...(shortNames?.length && { shortNames }),
    ...(categories?.length && { categories }),
    status: hasStatus,
    generation: true,
    ...(scale && { scale: scaleOf(scale) }),
    columns: columnsOf(version.additionalPrinterColumns),
    nameRule: isDns1123Subdomain,
    anyFinalizer: true,
    fields: fieldsOf(version),
    ...(version.deprecated && { warning: version.deprecationWarning ?? `${kind.group}/${kind.version} ${kind.kind} is deprecated` }),
    prepareCreate(object) {
      if (terminating) throw new StatusError('MethodNotAllowed', 'create not allowed while custom resource definition is terminating')
      if (hasStatus) delete object.status
    },
    async examine(next, previous, faults) {
      const check = validator({ patterns: await openPatterns() })
      check({ schema, value: next, path: '', faults, ...(previous && { previous }) })
      if (scale && faults.list.length === 0) validateScale(next, scale, faults)
      if (isRuled && faults.list.length === 0) await judge(rules, schema, next, previous, faults)
    },
  }
  return {
    spec,
    schema: structOf(schema, { go: `${kind.version}.${kind.kind}`, name }),
    published: { name, kind: kind.kind, listKind, plural: kind.plural, schema },
    served: version.served,
    storage: version.storage,
  }
}

function fieldsOf({ selectableFields }: CustomResourceDefinitionVersion): NonNullable<KindSpec<Stored>['fields']> {
  const entries = (selectableFields ?? []).map(({ jsonPath }) => {
    const read = (object: Stored) => {
      const value = valueAt(object, jsonPath)
      if (typeof value === 'string') return value
      return typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean' ? String(value) : ''
    }
    return [jsonPath.slice(1), read] as const
  })
  return Object.fromEntries(entries)
}

/** What the scale subresource shows must be what it can show. */
function validateScale(object: KubeObject, scale: CustomResourceSubresourceScale, faults: Faults): void {
  const limits = { min: 0, max: 0x7fff_ffff }
  for (const [path, what] of [
    [scale.specReplicasPath, 'spec'],
    [scale.statusReplicasPath, 'status'],
  ] as const) {
    const value = valueAt(object, path)
    if (value === undefined || value === null) continue
    if (typeof value !== 'number' && typeof value !== 'bigint') faults.invalid(path, value, `should be an integer in ${what}`)
    else if (value < limits.min) faults.invalid(path, value, 'should be a non-negative integer')
    else if (value > limits.max) faults.invalid(path, value, 'should be less than or equal to 2147483647')
  }
  const selector = scale.labelSelectorPath ? valueAt(object, scale.labelSelectorPath) : undefined
  if (selector !== undefined && selector !== null && typeof selector !== 'string') {
    faults.invalid(scale.labelSelectorPath ?? '', selector, 'should be a string')
  }
}

/** Whether two states of a definition offer the same. */
export const offersSame = (a: CustomResourceDefinition, b: CustomResourceDefinition): boolean =>
  a.metadata.uid === b.metadata.uid &&
  a.metadata.deletionTimestamp === b.metadata.deletionTimestamp &&
  same(a.spec, b.spec) &&
  same(a.status.acceptedNames, b.status.acceptedNames)
