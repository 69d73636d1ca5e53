import { Endpoints } from './index.ts'
import { ipWarnings } from './rules/address-warnings.ts'
import { ageColumn, nameColumn, none } from './rules/columns.ts'
import { isDns1123Label, isDns1123Subdomain, isQualifiedName } from './rules/names.ts'
import type { KindSpec } from './spec.ts'

const shown = 3

function addressesText(endpoints: Endpoints): string {
  const all = (endpoints.subsets ?? []).flatMap((s) =>
    (s.ports?.length ? s.ports : [undefined]).flatMap((p) => (s.addresses ?? []).map((a) => (p ? hostPort(a.ip, p.port) : a.ip))),
  )
  if (all.length === 0) return none
  return all.length > shown ? `${all.slice(0, shown).join(',')} + ${all.length - shown} more...` : all.join(',')
}
const hostPort = (ip: string, port: number) => (ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`)

export const endpoints: KindSpec<Endpoints> = {
  kind: Endpoints,
  singular: 'endpoints',
  shortNames: ['ep'],
  nameRule: isDns1123Subdomain,
  columns: [nameColumn, { name: 'Endpoints', description: 'The addresses behind the service.', cell: addressesText }, ageColumn],
  defaults(e) {
    for (const subset of e.subsets ?? []) for (const port of subset.ports ?? []) port.protocol ??= 'TCP'
  },
  warning: 'v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice',
  *warnings({ subsets }) {
    for (const [i, subset] of (subsets ?? []).entries()) {
      for (const list of ['addresses', 'notReadyAddresses'] as const)
        for (const [j, { ip }] of (subset[list] ?? []).entries()) yield* ipWarnings(`subsets[${i}].${list}[${j}].ip`, ip)
    }
  },
  validate(e, faults) {
    for (const [i, subset] of (e.subsets ?? []).entries()) {
      const at = `subsets[${i}]`
      if (!subset.addresses?.length && !subset.notReadyAddresses?.length)
        faults.required(at, 'must specify `addresses` or `notReadyAddresses`')
      for (const list of ['addresses', 'notReadyAddresses'] as const) {
        for (const [j, a] of (subset[list] ?? []).entries()) {
          const here = `${at}.${list}[${j}]`
          faults.address(`${here}.ip`, a.ip)
          if (a.hostname) faults.each(`${here}.hostname`, a.hostname, isDns1123Label(a.hostname))
          if (a.nodeName !== undefined) faults.each(`${here}.nodeName`, a.nodeName, isDns1123Subdomain(a.nodeName))
        }
      }
      for (const [j, p] of (subset.ports ?? []).entries()) {
        if ((subset.ports?.length ?? 0) > 1 && !p.name) faults.required(`${at}.ports[${j}].name`)
        if (p.name) faults.each(`${at}.ports[${j}].name`, p.name, isDns1123Label(p.name))
        if (p.appProtocol !== undefined) faults.each(`${at}.ports[${j}].appProtocol`, p.appProtocol, isQualifiedName(p.appProtocol))
        faults.port(`${at}.ports[${j}].port`, p.port)
        faults.oneOf(`${at}.ports[${j}].protocol`, p.protocol, ['TCP', 'UDP', 'SCTP'])
      }
    }
  },
}
