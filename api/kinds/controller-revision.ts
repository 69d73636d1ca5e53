import { ControllerRevision } from './index.ts'
import { ageColumn, nameColumn, none } from './rules/columns.ts'
import { isDns1123Subdomain } from './rules/names.ts'
import type { KindSpec } from './spec.ts'

function controllerOf({ metadata }: ControllerRevision): string {
  const owner = metadata.ownerReferences?.find((o) => o.controller)
  if (!owner) return none
  const group = owner.apiVersion.includes('/') ? `.${owner.apiVersion.split('/')[0]}` : ''
  return `${owner.kind}${group}`.toLowerCase() + `/${owner.name}`
}

export const controllerRevision: KindSpec<ControllerRevision> = {
  kind: ControllerRevision,
  singular: 'controllerrevision',
  nameRule: isDns1123Subdomain,
  columns: [
    nameColumn,
    { name: 'Controller', cell: controllerOf },
    { name: 'Revision', type: 'integer', cell: (r) => r.revision },
    ageColumn,
  ],
  validate(r, faults) {
    if (r.data === undefined || r.data === null) faults.required('data', 'data is mandatory')
    faults.notNegative('revision', r.revision)
  },
  validateUpdate(next, previous, faults) {
    faults.immutable('data', next.data, previous.data)
  },
}
