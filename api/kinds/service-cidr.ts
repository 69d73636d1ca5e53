import { parseCidr } from '../cidr.ts'
import { ServiceCIDR } from './index.ts'
import { ageColumn, nameColumn } from './rules/columns.ts'
import { isCidr } from './rules/forms.ts'
import { isDns1123Subdomain } from './rules/names.ts'
import type { KindSpec } from './spec.ts'

const field = 'spec.cidrs'

export const serviceCidr: KindSpec<ServiceCIDR> = {
  kind: ServiceCIDR,
  singular: 'servicecidr',
  status: true,
  nameRule: isDns1123Subdomain,
  columns: [nameColumn, { name: 'CIDRs', cell: (c) => (c.spec.cidrs ?? []).join(',') }, ageColumn],
  prepareCreate(c) {
    c.status = {}
  },
  validate({ spec }, faults) {
    const cidrs = spec?.cidrs ?? []
    if (cidrs.length === 0) return faults.required(field, 'at least one CIDR required')
    if (cidrs.length > 2) return faults.invalid(field, spec, 'may only hold up to 2 values')
    for (const [i, cidr] of cidrs.entries()) faults.each(`${field}[${i}]`, cidr, isCidr(cidr))
    const families = cidrs.map((cidr) => parseCidr(cidr)?.family)
    if (families.length === 2 && families[0] !== undefined && families[0] === families[1])
      faults.invalid(field, cidrs, 'may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64')
  },
  validateUpdate(next, previous, faults) {
    const before = previous.spec.cidrs ?? []
    const after = next.spec.cidrs ?? []
    if (after.length < before.length) faults.invalid(field, after, 'field is immutable once set')
    for (const [i, cidr] of before.entries()) {
      if (after[i] !== undefined && after[i] !== cidr) faults.invalid(`${field}[${i}]`, after[i], 'field is immutable once set')
    }
  },
}
