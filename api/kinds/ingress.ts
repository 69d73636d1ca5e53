import type { HTTPIngressPath, IngressBackend } from '../types/networking-v1.gen.ts'
import { Ingress } from './index.ts'
import { ageColumn, nameColumn, none } from './rules/columns.ts'
import type { Faults } from './rules/faults.ts'
import { isPathSegment, isWildcardDns1123Subdomain } from './rules/forms.ts'
import { validateLoadBalancer } from './rules/load-balancer-status.ts'
import { isDns1035Label, isDns1123Subdomain, isIP, isPortName } from './rules/names.ts'
import type { KindSpec } from './spec.ts'

const shownHosts = 3
/** As wide as an address gets in the table without `-o wide`. */
const addressWidth = 16
const classAnnotation = 'kubernetes.io/ingress.class'

function hostsText({ spec }: Ingress): string {
  const rules = spec.rules ?? []
  const hosts = rules.map((rule) => rule.host).filter(Boolean)
  if (hosts.length === 0) return '*'
  const text = hosts.slice(0, shownHosts).join(',')
  return hosts.length > shownHosts ? `${text} + ${rules.length - shownHosts} more...` : text
}

function addressText({ status }: Ingress): string {
  const all = new Set((status?.loadBalancer?.ingress ?? []).map((i) => i.ip || i.hostname || '').filter(Boolean))
  const text = [...all].sort().join(',')
  return text.length > addressWidth ? `${text.slice(0, addressWidth - 3)}...` : text
}

export const ingress: KindSpec<Ingress> = {
  kind: Ingress,
  singular: 'ingress',
  shortNames: ['ing'],
  status: true,
  generation: true,
  nameRule: isDns1123Subdomain,
  columns: [
    nameColumn,
    { name: 'Class', cell: (i) => i.spec.ingressClassName ?? none },
    { name: 'Hosts', cell: hostsText },
    { name: 'Address', cell: addressText },
    { name: 'Ports', cell: (i) => (i.spec.tls?.length ? '80, 443' : '80') },
    ageColumn,
  ],
  prepareCreate(i) {
    i.status = { loadBalancer: {} }
  },
  *warnings({ metadata }, previous) {
    if (!previous && metadata.annotations?.[classAnnotation] !== undefined)
      yield `annotation "${classAnnotation}" is deprecated, please use 'spec.ingressClassName' instead`
  },
  validate({ spec, status }, faults) {
    const { rules = [], defaultBackend, tls = [], ingressClassName } = spec ?? {}
    if (rules.length === 0 && !defaultBackend) faults.invalid('spec', rules, 'either `defaultBackend` or `rules` must be specified')
    if (defaultBackend) validateBackend('spec.defaultBackend', defaultBackend, faults)
    for (const [i, { host, http }] of rules.entries()) {
      if (host) validateHost(`spec.rules[${i}].host`, host, faults)
      if (!http) continue
      const at = `spec.rules[${i}].http.paths`
      if (!http.paths?.length) faults.required(at)
      for (const [j, path] of (http.paths ?? []).entries()) validatePath(`${at}[${j}]`, path, faults)
    }
    for (const [i, { hosts = [], secretName }] of tls.entries()) {
      for (const [j, host] of hosts.entries()) {
        const rule = host.includes('*') ? isWildcardDns1123Subdomain : isDns1123Subdomain
        faults.each(`spec.tls[${i}].hosts[${j}]`, host, rule(host))
      }
      if (secretName) faults.each(`spec.tls[${i}].secretName`, secretName, isDns1123Subdomain(secretName))
    }
    if (ingressClassName !== undefined) faults.each('spec.ingressClassName', ingressClassName, isDns1123Subdomain(ingressClassName))
    validateLoadBalancer(status, faults)
  },
  validateCreate({ metadata, spec }, faults) {
    const { ingressClassName } = spec ?? {}
    const annotated = metadata.annotations?.[classAnnotation]
    if (annotated !== undefined && ingressClassName !== undefined && annotated !== ingressClassName)
      faults.invalid(`annotations.${classAnnotation}`, annotated, 'must match `ingressClassName` when both are specified')
  },
}

function validateHost(field: string, host: string, faults: Faults): void {
  if (isIP(host).length === 0) faults.invalid(field, host, 'must be a DNS name, not an IP address')
  faults.each(field, host, host.includes('*') ? isWildcardDns1123Subdomain(host) : isDns1123Subdomain(host))
}

function validatePath(at: string, { path = '', pathType, backend }: HTTPIngressPath, faults: Faults): void {
  if (!pathType) return faults.required(`${at}.pathType`, 'pathType must be specified')
  const isPlain = pathType === 'Exact' || pathType === 'Prefix'
  if (!isPlain && pathType !== 'ImplementationSpecific') {
    faults.notSupported(`${at}.pathType`, pathType, ['Exact', 'ImplementationSpecific', 'Prefix'])
  } else if (!path.startsWith('/') && (isPlain || path)) faults.invalid(`${at}.path`, path, 'must be an absolute path')
  if (isPlain) {
    for (const part of ['//', '/./', '/../', '%2f', '%2F']) {
      if (path.includes(part)) faults.invalid(`${at}.path`, path, `must not contain '${part}'`)
    }
    for (const end of ['/..', '/.']) if (path.endsWith(end)) faults.invalid(`${at}.path`, path, `cannot end with '${end}'`)
  }
  validateBackend(`${at}.backend`, backend, faults)
}

function validateBackend(at: string, { service, resource }: IngressBackend, faults: Faults): void {
  if (service && resource) return faults.invalid(at, '', 'cannot set both resource and service backends')
  if (resource) return validateTypedReference(`${at}.resource`, resource, faults)
  if (!service) return faults.invalid(at, '', 'resource or service backend is required')
  if (!service.name) faults.required(`${at}.service.name`)
  else faults.each(`${at}.service.name`, service.name, isDns1035Label(service.name))
  const { name, number } = service.port ?? {}
  if (name && number) faults.invalid(at, '', 'cannot set both port name & port number')
  else if (name) faults.each(`${at}.service.port.name`, name, isPortName(name))
  else if (number) faults.port(`${at}.service.port.number`, number)
  else faults.required(at, 'port name or number is required')
}

export function validateTypedReference(at: string, ref: { apiGroup?: string; kind: string; name: string }, faults: Faults): void {
  if (ref.apiGroup !== undefined) faults.each(`${at}.apiGroup`, ref.apiGroup, isDns1123Subdomain(ref.apiGroup))
  for (const field of ['kind', 'name'] as const) {
    if (!ref[field]) faults.required(`${at}.${field}`, `${field} is required`)
    else faults.each(`${at}.${field}`, ref[field], isPathSegment(ref[field]))
  }
}
