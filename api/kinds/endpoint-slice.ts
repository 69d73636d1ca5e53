import type { Endpoint } from '../types/discovery-v1.gen.ts'
import { EndpointSlice } from './index.ts'
import { ipWarnings } from './rules/address-warnings.ts'
import { ageColumn, nameColumn } from './rules/columns.ts'
import { type Faults, repeats } from './rules/faults.ts'
import { isFullDomain } from './rules/forms.ts'
import { validateLabels } from './rules/meta.ts'
import { isDns1123Label, isDns1123Subdomain, isIP, isIPv4, isLabelValue, isQualifiedName } from './rules/names.ts'
import type { KindSpec } from './spec.ts'

const shown = 3
const most = { topology: 16, hints: 8, endpoints: 1000, ports: 20_000, addresses: 100 }

const listText = (values: string[]): string => {
  if (values.length === 0) return '<unset>'
  return values.length > shown ? `${values.slice(0, shown).join(',')} + ${values.length - shown} more...` : values.join(',')
}

export const endpointSlice: KindSpec<EndpointSlice> = {
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
  *warnings({ addressType, endpoints }) {
    if (addressType === 'FQDN') yield 'spec.addressType: FQDN endpoints are deprecated'
    for (const [i, { addresses }] of (endpoints ?? []).entries())
      for (const [j, address] of (addresses ?? []).entries()) yield* ipWarnings(`endpoints[${i}].addresses[${j}]`, address)
  },
  validate(s, faults) {
    if (!s.addressType) faults.required('addressType')
    else faults.oneOf('addressType', s.addressType, ['FQDN', 'IPv4', 'IPv6'])
    if ((s.endpoints?.length ?? 0) > most.endpoints) faults.tooMany('endpoints', s.endpoints?.length ?? 0, most.endpoints)
    for (const [i, endpoint] of (s.endpoints ?? []).entries()) {
      const at = `endpoints[${i}].addresses`
      if (!endpoint.addresses?.length) faults.required(at, 'must contain at least 1 address')
      if ((endpoint.addresses?.length ?? 0) > most.addresses) faults.tooMany(at, endpoint.addresses.length, most.addresses)
      for (const [j, address] of (endpoint.addresses ?? []).entries()) validateAddress(`${at}[${j}]`, s.addressType, address, faults)
      validateEndpoint(`endpoints[${i}]`, endpoint, faults)
    }
    const names = new Set<string>()
    for (const [i, port] of (s.ports ?? []).entries()) {
      if (port.name) faults.each(`ports[${i}].name`, port.name, isDns1123Label(port.name))
      if (names.has(port.name ?? '')) faults.duplicate(`ports[${i}].name`, port.name ?? '')
      names.add(port.name ?? '')
      faults.oneOf(`ports[${i}].protocol`, port.protocol, ['SCTP', 'TCP', 'UDP'])
      if (port.appProtocol !== undefined) faults.each(`ports[${i}].appProtocol`, port.appProtocol, isQualifiedName(port.appProtocol))
    }
  },
  validateUpdate(next, previous, faults) {
    faults.immutable('addressType', next.addressType, previous.addressType)
  },
}

function validateAddress(field: string, type: string, address: string, faults: Faults): void {
  if (type === 'FQDN') return faults.each(field, address, isFullDomain(address))
  const right = isIP(address).length === 0 && isIPv4(address) === (type === 'IPv4')
  if (!right) faults.invalid(field, address, `must be a valid ${type} address`)
  else faults.address(field, address)
}

function validateEndpoint(at: string, { hostname, nodeName, deprecatedTopology, hints }: Endpoint, faults: Faults): void {
  if (hostname !== undefined) faults.each(`${at}.hostname`, hostname, isDns1123Label(hostname))
  if (nodeName !== undefined) faults.each(`${at}.nodeName`, nodeName, isDns1123Subdomain(nodeName))
  if (deprecatedTopology) {
    const field = `${at}.deprecatedTopology`
    const count = Object.keys(deprecatedTopology).length
    if (count > most.topology) faults.tooMany(field, count, most.topology)
    validateLabels(field, deprecatedTopology, faults)
  }
  for (const list of ['forZones', 'forNodes'] as const) {
    const names = hints?.[list] ?? []
    if (names.length > most.hints) return faults.tooMany(`${at}.hints.${list}`, names.length, most.hints)
    const repeated = repeats()
    const rule = list === 'forZones' ? isLabelValue : isDns1123Subdomain
    for (const [i, { name }] of names.entries()) {
      const field = `${at}.hints.${list}[${i}].name`
      if (repeated(name)) faults.duplicate(field, name)
      faults.each(field, name, rule(name))
    }
  }
}
