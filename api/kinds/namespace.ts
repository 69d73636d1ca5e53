import { Namespace } from './index.ts'
import { ageColumn, nameColumn } from './rules/columns.ts'
import { validateFinalizers } from './rules/meta.ts'
import { isDns1123Label } from './rules/names.ts'
import type { KindSpec } from './spec.ts'

/** The finalizer that keeps a namespace until its content is gone; the namespace controller removes it. */
export const namespaceFinalizer = 'kubernetes'

export const namespace: KindSpec<Namespace> = {
  kind: Namespace,
  singular: 'namespace',
  shortNames: ['ns'],
  verbs: ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'],
  status: true,
  subresources: [{ name: 'finalize', kind: { group: '', version: 'v1', kind: 'Namespace' }, verbs: ['update'] }],
  nameRule: isDns1123Label,
  columns: [nameColumn, { name: 'Status', description: 'The status of the namespace', cell: (ns) => ns.status?.phase ?? '' }, ageColumn],
  fields: { 'status.phase': (ns) => ns.status?.phase ?? '' },
  defaults(ns) {
    ns.metadata.labels = { ...ns.metadata.labels, 'kubernetes.io/metadata.name': ns.metadata.name }
  },
  prepareCreate(ns) {
    ns.status = { phase: 'Active' }
    ns.spec ??= {}
    ns.spec.finalizers ??= []
    if (!ns.spec.finalizers.includes(namespaceFinalizer)) ns.spec.finalizers.push(namespaceFinalizer)
  },
  validate({ spec }, faults) {
    if (spec?.finalizers) validateFinalizers('spec.finalizers', spec.finalizers, false, faults)
  },
  validateUpdate({ metadata, status }, _previous, faults, subresource) {
    if (subresource !== 'status') return
    const [wanted, is] = metadata.deletionTimestamp ? ['Terminating', 'is not'] : ['Active', 'is']
    if (status?.phase !== wanted)
      faults.invalid('status.Phase', status?.phase ?? '', `may only be '${wanted}' if \`deletionTimestamp\` ${is} empty`)
  },
  prepareUpdate(next, previous, subresource) {
    if (subresource !== 'finalize') next.spec = { ...next.spec, finalizers: previous.spec.finalizers }
    if (subresource === 'finalize') next.status = previous.status
  },
}
