import { breather, gently } from '../breather.ts'
import { openPatterns } from '../schema/crd/pattern.ts'
import { CustomResourceDefinition } from './index.ts'
import { nameColumn } from './rules/columns.ts'
import { validateDefinition, validateDefinitionUpdate, validateSchemas } from './rules/crd-validation.ts'
import { createdAtColumn } from './rules/created-at.ts'
import { isDns1123Subdomain } from './rules/names.ts'
import type { KindSpec } from './spec.ts'

/** Of a definition that is going: its objects go first. */
export const cleanupFinalizer = 'customresourcecleanup.apiextensions.k8s.io'

const storageVersion = ({ spec }: CustomResourceDefinition) => spec.versions?.find((version) => version.storage)?.name

export const customResourceDefinition: KindSpec<CustomResourceDefinition> = {
  kind: CustomResourceDefinition,
  singular: 'customresourcedefinition',
  shortNames: ['crd', 'crds'],
  categories: ['api-extensions'],
  status: true,
  statusMeta: [],
  generation: true,
  nameRule: isDns1123Subdomain,
  anyFinalizer: true,
  columns: [nameColumn, createdAtColumn],
  defaults({ spec }) {
    const { names } = spec
    if (names?.kind) {
      names.singular ||= names.kind.toLowerCase()
      names.listKind ||= `${names.kind}List`
    }
    spec.conversion ??= { strategy: 'None' }
    const service = spec.conversion.webhook?.clientConfig?.service
    if (service) service.port ??= 443
  },
  prepareCreate(definition) {
    const stored = storageVersion(definition)
    definition.status = { conditions: [], acceptedNames: { plural: '', kind: '' }, storedVersions: stored ? [stored] : [] }
  },
  prepareUpdate(next, _previous, subresource) {
    const stored = storageVersion(next)
    if (subresource !== '' || !stored) return
    const { storedVersions } = next.status
    if (!storedVersions.includes(stored)) next.status.storedVersions = [...storedVersions, stored]
  },
  prepareDelete({ metadata }) {
    if (!metadata.finalizers?.includes(cleanupFinalizer)) metadata.finalizers = [...(metadata.finalizers ?? []), cleanupFinalizer]
  },
  validate: validateDefinition,
  validateUpdate: validateDefinitionUpdate,
  async examine(next, _previous, faults) {
    await gently(validateSchemas(next, { patterns: await openPatterns(), faults }), breather())
  },
}
