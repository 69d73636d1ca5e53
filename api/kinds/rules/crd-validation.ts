// Rules for CustomResourceDefinitions (apiextensions-apiserver pkg/apis/apiextensions/validation).

import type { Steps } from '../../breather.ts'
import { validateDefaults } from '../../schema/crd/defaults.ts'
import { jsonPath } from '../../schema/crd/json-path.ts'
import type { JsonSchema } from '../../schema/crd/json-schema.ts'
import type { Patterns } from '../../schema/crd/pattern.ts'
import { validateRules } from '../../schema/crd/rules.ts'
import { validateStructure } from '../../schema/crd/structural.ts'
import type {
  CustomResourceColumnDefinition,
  CustomResourceConversion,
  CustomResourceDefinition,
  CustomResourceDefinitionNames,
  CustomResourceDefinitionVersion,
  CustomResourceSubresourceScale,
} from '../../types/apiextensions-v1.gen.ts'
import { type Faults, repeats } from './faults.ts'
import { isDns1035Label, isDns1123Subdomain } from './names.ts'
import { validateSelectableFields } from './selectable-fields.ts'
import { validateClient } from './webhook-client.ts'

type Definition = CustomResourceDefinition

const approval = 'api-approved.kubernetes.io'
const columnTypes = ['boolean', 'date', 'integer', 'number', 'string']
const columnFormats = ['byte', 'date', 'date-time', 'double', 'float', 'int32', 'int64', 'password']
const reviewVersions = ['v1', 'v1beta1']
const longestWarning = 256

export function validateDefinition(definition: Definition, faults: Faults): void {
  const { metadata, spec } = definition
  const { group, names, scope, versions } = spec
  if (metadata.name !== `${names.plural}.${group}`)
    faults.invalid('metadata.name', metadata.name, 'must be spec.names.plural+"."+spec.group')
  validateGroup(definition, faults)
  if (!scope) faults.required('spec.scope')
  else faults.oneOf('spec.scope', scope, ['Cluster', 'Namespaced'])
  if (versions.filter((version) => version.storage).length !== 1) {
    faults.invalid('spec.versions', versions, 'must have exactly one version marked as storage version')
  }
  if (new Set(versions.map((version) => version.name)).size < versions.length) {
    faults.invalid('spec.versions', versions, 'must contain unique version names')
  }
  for (const [i, version] of versions.entries()) validateVersion(version, `spec.versions[${i}]`, faults)
  for (const field of ['plural', 'singular', 'kind', 'listKind'] as const) if (!names[field]) faults.required(`spec.names.${field}`)
  validateNames(names, 'spec.names', faults)
  validateConversion(spec.conversion, faults)
  if (spec.preserveUnknownFields) {
    faults.invalid(
      'spec.preserveUnknownFields',
      true,
      'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead',
    )
  }
  if (definition.status?.acceptedNames) validateNames(definition.status.acceptedNames, 'status.acceptedNames', faults)
}

export function validateDefinitionUpdate(next: Definition, previous: Definition, faults: Faults): void {
  faults.immutable('spec.group', next.spec.group, previous.spec.group)
  faults.immutable('spec.names.plural', next.spec.names.plural, previous.spec.names.plural)
  if (previous.status?.conditions?.some(({ type, status }) => type === 'Established' && status === 'True')) {
    faults.immutable('spec.scope', next.spec.scope, previous.spec.scope)
    faults.immutable('spec.names.kind', next.spec.names.kind, previous.spec.names.kind)
  }
  const stored = next.status?.storedVersions ?? []
  if (previous.status && stored.length === 0) faults.invalid('status.storedVersions', stored, 'must have at least one stored version')
  const storage = next.spec.versions.find((version) => version.storage)?.name
  if (stored.length > 0 && storage && !stored.includes(storage))
    faults.invalid('status.storedVersions', stored, `must have the storage version ${storage}`)
  const known = new Set(next.spec.versions.map((version) => version.name))
  for (const [i, name] of stored.entries()) {
    if (known.has(name)) continue
    faults.invalid(
      `status.storedVersions[${i}]`,
      name,
      `missing from spec.versions; ${name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in ${name} and removes ${name} from status.storedVersions`,
    )
  }
}

/** What only a compiled pattern can tell, and all that costs time. */
export function* validateSchemas({ spec }: Definition, deps: { patterns: Patterns; faults: Faults }): Steps<void> {
  const { faults } = deps
  for (const [i, version] of spec.versions.entries()) {
    const path = `spec.versions[${i}].schema.openAPIV3Schema`
    const schema = version.schema?.openAPIV3Schema as JsonSchema | undefined
    if (!schema) continue
    const before = faults.list.length
    yield* validateStructure(schema, path, deps)
    yield
    validateRules(schema, path, faults)
    yield
    // Of a schema that has no structure, nothing more can be said.
    if (faults.list.length > before) continue
    validateDefaults(schema, path, deps)
    yield
    validateSelectableFields(version.selectableFields ?? [], schema, `spec.versions[${i}].selectableFields`, faults)
  }
}

function validateGroup({ metadata, spec: { group } }: Definition, faults: Faults): void {
  if (!group) return faults.required('spec.group')
  const wrong = isDns1123Subdomain(group)
  if (wrong.length) return faults.invalid('spec.group', group, wrong.join(','))
  if (!group.includes('.')) return faults.invalid('spec.group', group, 'should be a domain with at least one dot')
  const isProtected = /(^|\.)(k8s|kubernetes)\.io$/.test(group)
  const approved = metadata.annotations?.[approval]
  if (!isProtected || (approved && (URL.canParse(approved) || approved.startsWith('unapproved')))) return
  const field = `metadata.annotations[${approval}]`
  const see = 'see https://github.com/kubernetes/enhancements/pull/1111'
  if (!approved) faults.required(field, `protected groups must have approval annotation ${JSON.stringify(approval)}, ${see}`)
  else
    faults.invalid(
      field,
      approved,
      `protected groups must have approval annotation ${JSON.stringify(approval)} with either a URL or a reason starting with "unapproved", ${see}`,
    )
}

function validateNames(names: CustomResourceDefinitionNames, field: string, faults: Faults): void {
  const label = (name: string, value: string | undefined) => {
    const wrong = value ? isDns1035Label(value) : []
    if (wrong.length) faults.invalid(`${field}.${name}`, value, wrong.join(','))
  }
  label('plural', names.plural)
  label('singular', names.singular)
  for (const name of ['kind', 'listKind'] as const) {
    const wrong = names[name] ? isDns1035Label(names[name].toLowerCase()) : []
    if (wrong.length) faults.invalid(`${field}.${name}`, names[name], `may have mixed case, but should otherwise match: ${wrong.join(',')}`)
  }
  for (const [i, name] of (names.shortNames ?? []).entries()) label(`shortNames[${i}]`, name)
  for (const [i, name] of (names.categories ?? []).entries()) label(`categories[${i}]`, name)
  if (names.kind && names.kind === names.listKind)
    faults.invalid(`${field}.listKind`, names.listKind, 'kind and listKind may not be the same')
}

function validateVersion(version: CustomResourceDefinitionVersion, field: string, faults: Faults): void {
  const wrong = isDns1035Label(version.name)
  if (wrong.length) faults.invalid(`${field}.name`, version.name, wrong.join(','))
  if (!version.schema?.openAPIV3Schema) faults.required(`${field}.schema.openAPIV3Schema`, 'schemas are required')
  validateWarning(version, `${field}.deprecationWarning`, faults)
  if (version.subresources?.scale) validateScale(version.subresources.scale, `${field}.subresources.scale`, faults)
  for (const [i, column] of (version.additionalPrinterColumns ?? []).entries()) {
    validateColumn(column, `${field}.additionalPrinterColumns[${i}]`, faults)
  }
}

function validateWarning({ deprecated, deprecationWarning: text }: CustomResourceDefinitionVersion, field: string, faults: Faults): void {
  if (text === undefined) return
  if (!deprecated) return faults.invalid(field, text, 'can only be set for deprecated versions')
  if (Buffer.byteLength(text) > longestWarning) faults.invalid(field, text, `must be <= ${longestWarning} characters long`)
  if (text === '') faults.invalid(field, text, 'must not be an empty string')
  const odd = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.exec(text)
  if (odd)
    faults.invalid(
      field,
      text,
      `must only contain printable UTF-8 characters; non-printable character found at index ${Buffer.byteLength(text.slice(0, odd.index))}`,
    )
}

function validateScale(scale: CustomResourceSubresourceScale, field: string, faults: Faults): void {
  const under = (name: keyof CustomResourceSubresourceScale, roots: readonly string[], why: string) => {
    const path = scale[name]
    if (path === undefined && name === 'labelSelectorPath') return
    if (!path) return faults.required(`${field}.${name}`)
    if (!/^(\.[-\w]+)+$/.test(path)) faults.invalid(`${field}.${name}`, path, 'must be a json path without array notation')
    else if (!roots.some((root) => path.startsWith(`${root}.`))) faults.invalid(`${field}.${name}`, path, why)
  }
  under('specReplicasPath', ['.spec'], 'should be a json path under .spec')
  under('statusReplicasPath', ['.status'], 'should be a json path under .status')
  under('labelSelectorPath', ['.spec', '.status'], 'should be a json path under either .spec or .status')
}

function validateColumn({ name, type, format, jsonPath: path }: CustomResourceColumnDefinition, field: string, faults: Faults): void {
  if (!name) faults.required(`${field}.name`)
  if (!type) faults.required(`${field}.type`, `must be one of ${columnTypes.join(',')}`)
  else faults.oneOf(`${field}.type`, type, columnTypes)
  if (format) faults.oneOf(`${field}.format`, format, columnFormats)
  if (!path) faults.required(`${field}.JSONPath`)
  else if (!/^[.[]/.test(path)) faults.invalid(`${field}.JSONPath`, path, 'must be a simple json path starting with .')
  else {
    const wrong = faultOf(path)
    if (wrong) faults.invalid(`${field}.JSONPath`, path, `is an invalid JSONPath: ${wrong}`)
  }
}

function faultOf(path: string): string | undefined {
  try {
    jsonPath(path)
    return undefined
  } catch (error) {
    if (error instanceof SyntaxError) return error.message
    throw error
  }
}

function validateConversion(conversion: CustomResourceConversion | undefined, faults: Faults): void {
  const field = 'spec.conversion'
  const { strategy, webhook } = conversion ?? {}
  if (!strategy) return faults.required(`${field}.strategy`)
  if (strategy !== 'Webhook') {
    faults.oneOf(`${field}.strategy`, strategy, ['None', 'Webhook'])
    if (webhook) faults.forbidden(`${field}.webhook`, 'should not be set when strategy is not set to Webhook')
    return
  }
  const { clientConfig, conversionReviewVersions: versions = [] } = webhook ?? {}
  if (!clientConfig) faults.required(`${field}.webhook.clientConfig`, 'required when strategy is set to Webhook')
  else validateClient(`${field}.webhook.clientConfig`, clientConfig, faults)
  const at = `${field}.webhook.conversionReviewVersions`
  if (!versions.length) return faults.required(at)
  const repeated = repeats()
  for (const [i, version] of versions.entries()) {
    if (repeated(version)) faults.invalid(`${at}[${i}]`, version, 'duplicate version')
    else faults.each(`${at}[${i}]`, version, isDns1035Label(version))
  }
  if (!versions.some((version) => reviewVersions.includes(version)))
    faults.invalid(at, versions, `must include at least one of ${reviewVersions.join(', ')}`)
}
