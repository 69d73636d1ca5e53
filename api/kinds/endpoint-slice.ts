import type { EndpointSlice as EndpointSliceType } from '../types/discovery-v1.gen.ts'
import { ageColumn, nameColumn } from './columns.ts'
import { EndpointSlice } from './index.ts'
import { isDns1123Label, isDns1123Subdomain } from './names.ts'
import type { KindSpec } from './spec.ts'

const shown = 3
const most = { endpoints: 1000, ports: 20_000, addresses: 100 }

const listText = (values: string[]): string => {
  if (values.length === 0) return '<unset>'
  return values.length > shown ? `${values.slice(0, shown).join(',')} + ${values.length - shown} more...` : values.join(',')
}

export const endpointSlice: KindSpec<EndpointSliceType> = {
  kind: EndpointSlice,
  singular: 'endpointslice',
  nameRule: isDns1123Subdomain,
  generation: true,
  columns: [
    nameColumn,
    { name: 'AddressType', description: 'The type of address carried by this EndpointSlice.', cell: (s) => s.addressType },
    {
      name: 'Ports',
      description: 'The network ports exposed by each endpoint in this slice.',
      cell: (s) => listText((s.ports ?? []).map((p) => String(p.port ?? '*'))),
    },
    {
      name: 'Endpoints',
      description: 'The addresses of the endpoints in this slice.',
      cell: (s) => listText((s.endpoints ?? []).flatMap((e) => e.addresses ?? [])),
    },
    ageColumn,
  ],
  defaults(s) {
    for (const port of s.ports ?? []) {
      port.name ??= ''
      port.protocol ??= 'TCP'
    }
  },
  validate(s, faults) {
    if (!s.addressType) faults.required('addressType')
    else faults.oneOf('addressType', s.addressType, ['FQDN', 'IPv4', 'IPv6'])
    if ((s.endpoints?.length ?? 0) > most.endpoints) faults.tooMany('endpoints', s.endpoints?.length ?? 0, most.endpoints)
    for (const [i, endpoint] of (s.endpoints ?? []).entries()) {
      const at = `endpoints[${i}].addresses`
      if (!endpoint.addresses?.length) faults.required(at, 'must contain at least 1 address')
      if ((endpoint.addresses?.length ?? 0) > most.addresses) faults.tooMany(at, endpoint.addresses.length, most.addresses)
      if (s.addressType !== 'FQDN') for (const [j, a] of (endpoint.addresses ?? []).entries()) faults.address(`${at}[${j}]`, a)
    }
    const names = new Set<string>()
    for (const [i, port] of (s.ports ?? []).entries()) {
      if (port.name) faults.each(`ports[${i}].name`, port.name, isDns1123Label(port.name))
      if (names.has(port.name ?? '')) faults.duplicate(`ports[${i}].name`, port.name ?? '')
      names.add(port.name ?? '')
      faults.oneOf(`ports[${i}].protocol`, port.protocol, ['SCTP', 'TCP', 'UDP'])
    }
  },
  validateUpdate(next, previous, faults) {
    faults.immutable('addressType', next.addressType, previous.addressType)
  },
}
