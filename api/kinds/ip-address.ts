import { IPAddress } from './index.ts'
import { nameColumn, none } from './rules/columns.ts'
import { isPathSegment } from './rules/forms.ts'
import { isDns1123Subdomain, isIP } from './rules/names.ts'
import type { KindSpec } from './spec.ts'

function parentText({ spec }: IPAddress): string {
  const ref = spec.parentRef
  if (!ref) return none
  const resource = `${ref.resource ?? ''}${ref.group ? `.${ref.group}` : ''}`.toLowerCase()
  return [resource, ...(ref.namespace ? [ref.namespace] : []), ref.name ?? ''].join('/')
}

export const ipAddress: KindSpec<IPAddress> = {
  kind: IPAddress,
  singular: 'ipaddress',
  shortNames: ['ip'],
  nameRule: isIP,
  columns: [nameColumn, { name: 'ParentRef', cell: parentText }],
  validate({ spec }, faults) {
    const ref = spec?.parentRef
    if (!ref) return faults.required('spec.parentRef')
    if (ref.group) faults.each('spec.parentRef.group', ref.group, isDns1123Subdomain(ref.group))
    for (const field of ['resource', 'name', 'namespace'] as const) {
      const value = ref[field]
      if (value) faults.each(`spec.parentRef.${field}`, value, isPathSegment(value))
      else if (field !== 'namespace') faults.required(`spec.parentRef.${field}`)
    }
  },
  validateUpdate(next, previous, faults) {
    faults.immutable('spec.parentRef', next.spec.parentRef, previous.spec.parentRef)
  },
}
