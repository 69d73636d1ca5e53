import type { ServiceSpec } from '../types/core-v1.gen.ts'
import { Service } from './index.ts'
import { ageColumn, labelsText, nameColumn, none } from './rules/columns.ts'
import { validatePortRef } from './rules/container-probes.ts'
import type { Faults } from './rules/faults.ts'
import { isCidr } from './rules/forms.ts'
import { validateLoadBalancer } from './rules/load-balancer-status.ts'
import { validateLabels } from './rules/meta.ts'
import { isDns1035Label, isDns1123Label, isDns1123Subdomain, isQualifiedName } from './rules/names.ts'
import { keepFamilies, validateFamilies, validateFamiliesUpdate } from './rules/service-families.ts'
import {
  dropTypeDependentFields,
  isExternallyAccessible,
  keepAllotted,
  needsClusterIP,
  needsHealthPort,
  needsNodePorts,
} from './rules/service-type-change.ts'
import { oldTopologyKey, serviceWarnings, topologyKey } from './rules/service-warnings.ts'
import type { KindSpec } from './spec.ts'

const distributions = ['PreferClose', 'PreferSameNode', 'PreferSameZone']
const rangesKey = 'service.beta.kubernetes.io/load-balancer-source-ranges'
const types = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort']

function externalIPs(s: Service): string {
  const given = s.spec.externalIPs ?? []
  if (s.spec.type === 'ExternalName') return s.spec.externalName ?? none
  if (s.spec.type !== 'LoadBalancer') return given.join(',') || none
  const ingress = (s.status?.loadBalancer?.ingress ?? []).map((i) => i.ip || i.hostname || '').filter(Boolean)
  return [...ingress, ...given].join(',') || '<pending>'
}

const portsText = (s: Service): string =>
  (s.spec.ports ?? []).map((p) => (p.nodePort ? `${p.port}:${p.nodePort}/${p.protocol}` : `${p.port}/${p.protocol}`)).join(',') || none

export const service: KindSpec<Service> = {
  kind: Service,
  singular: 'service',
  shortNames: ['svc'],
  categories: ['all'],
  status: true,
  subresources: [
    {
      name: 'proxy',
      kind: { group: '', version: 'v1', kind: 'ServiceProxyOptions' },
      verbs: ['create', 'delete', 'get', 'patch', 'update'],
    },
  ],
  nameRule: isDns1035Label,
  columns: [
    nameColumn,
    { name: 'Type', description: 'Type determines how the Service is exposed.', cell: (s) => s.spec.type ?? '' },
    {
      name: 'Cluster-IP',
      description: 'clusterIP is the IP address of the service.',
      cell: (s) => s.spec.clusterIPs?.[0] || s.spec.clusterIP || none,
    },
    { name: 'External-IP', description: 'Addresses at which nodes accept traffic for this service.', cell: externalIPs },
    { name: 'Port(s)', description: 'The list of ports that are exposed by this service.', cell: portsText },
    ageColumn,
    {
      name: 'Selector',
      wide: true,
      description: 'Route service traffic to pods with matching labels.',
      cell: (s) => labelsText(s.spec.selector),
    },
  ],
  fields: { 'spec.clusterIP': (s) => s.spec.clusterIP ?? '', 'spec.type': (s) => s.spec.type ?? '' },
  defaults(s) {
    const spec = s.spec
    if (!spec) return
    spec.sessionAffinity ??= 'None'
    spec.type ??= 'ClusterIP'
    for (const port of spec.ports ?? []) {
      port.protocol ??= 'TCP'
      if (port.targetPort === undefined || port.targetPort === '' || port.targetPort === 0) port.targetPort = port.port
    }
    if (spec.sessionAffinity === 'ClientIP') {
      spec.sessionAffinityConfig ??= {}
      spec.sessionAffinityConfig.clientIP ??= {}
      spec.sessionAffinityConfig.clientIP.timeoutSeconds ??= 10_800
    } else delete spec.sessionAffinityConfig
    if (isExternallyAccessible(spec)) spec.externalTrafficPolicy ??= 'Cluster'
    if (spec.type === 'LoadBalancer') spec.allocateLoadBalancerNodePorts ??= true
    if (spec.type !== 'ExternalName') spec.internalTrafficPolicy ??= 'Cluster'
  },
  prepareCreate(s) {
    s.status = { loadBalancer: {} }
  },
  prepareUpdate(next, previous, subresource) {
    if (subresource !== '') return
    dropTypeDependentFields(next, previous)
    keepAllotted(next, previous)
    if (needsClusterIP(next.spec) && needsClusterIP(previous.spec)) keepFamilies(next.spec, previous.spec)
  },
  validate,
  warnings: serviceWarnings,
  validateUpdate(next, previous, faults) {
    const [now, before] = [next.spec.loadBalancerClass, previous.spec.loadBalancerClass]
    if (next.spec.type === 'LoadBalancer' && previous.spec.type === 'LoadBalancer' && now !== before)
      faults.invalid('spec.loadBalancerClass', now ?? null, 'may not change once set')
    const port = previous.spec.healthCheckNodePort
    if (port && needsHealthPort(next.spec) && needsHealthPort(previous.spec) && next.spec.healthCheckNodePort !== port)
      faults.forbidden('spec.healthCheckNodePort', 'field is immutable')
    if (!needsClusterIP(next.spec) || !needsClusterIP(previous.spec)) return
    validateFamiliesUpdate(next.spec, previous.spec, faults)
  },
}

function validate(s: Service, faults: Faults): void {
  const { spec } = s
  if (!spec) return faults.required('spec')
  const { [topologyKey]: mode, [oldTopologyKey]: hints } = s.metadata.annotations ?? {}
  if (mode !== undefined && hints !== undefined && mode !== hints) {
    const why = `must match annotations[${oldTopologyKey}] when both are specified`
    faults.invalid(`metadata.annotations[${topologyKey}]`, mode, why)
  }
  faults.oneOf('spec.type', spec.type, types)
  faults.oneOf('spec.sessionAffinity', spec.sessionAffinity, ['ClientIP', 'None'])
  const timeout = spec.sessionAffinityConfig?.clientIP?.timeoutSeconds
  if (timeout !== undefined && (timeout <= 0 || timeout > 86_400)) {
    faults.invalid('spec.sessionAffinityConfig.clientIP.timeoutSeconds', timeout, 'must be greater than 0 and less than 86400')
  }
  const headless = spec.clusterIP === 'None'
  if (spec.type === 'ExternalName') {
    const name = spec.externalName?.replace(/\.$/, '')
    if (!name) faults.required('spec.externalName')
    else faults.each('spec.externalName', name, isDns1123Subdomain(name))
  } else if (!headless && !spec.ports?.length) faults.required('spec.ports')
  if (headless && needsNodePorts(spec)) faults.invalid('spec.clusterIPs[0]', 'None', `may not be set to 'None' for ${spec.type} services`)
  validateFamilies(spec, faults)
  for (const [i, ip] of (spec.externalIPs ?? []).entries()) faults.address(`spec.externalIPs[${i}]`, ip)
  validateLoadBalancer(s.status, faults)
  if (spec.internalTrafficPolicy !== undefined) faults.oneOf('spec.internalTrafficPolicy', spec.internalTrafficPolicy, ['Cluster', 'Local'])
  if (spec.externalTrafficPolicy) {
    if (!isExternallyAccessible(spec))
      faults.invalid('spec.externalTrafficPolicy', spec.externalTrafficPolicy, 'may only be set for externally-accessible services')
    else faults.oneOf('spec.externalTrafficPolicy', spec.externalTrafficPolicy, ['Cluster', 'Local'])
  }
  if (spec.selector) validateLabels('spec.selector', spec.selector, faults)
  const { trafficDistribution } = spec
  if (trafficDistribution !== undefined) faults.oneOf('spec.trafficDistribution', trafficDistribution, distributions)
  validateBalanced(spec, faults)
  validateRanges(s, faults)
  validatePorts(s, faults)
}

/** What only a load balancer has a use for. */
function validateBalanced(spec: ServiceSpec, faults: Faults): void {
  const { healthCheckNodePort } = spec
  if (healthCheckNodePort && !needsHealthPort(spec)) {
    const when = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
    faults.invalid('spec.healthCheckNodePort', healthCheckNodePort, when)
  }
  if (healthCheckNodePort && needsHealthPort(spec)) faults.port('spec.healthCheckNodePort', healthCheckNodePort)
  if (spec.type === 'LoadBalancer') {
    const name = spec.loadBalancerClass
    if (name !== undefined) faults.each('spec.loadBalancerClass', name, isQualifiedName(name))
    return
  }
  for (const field of ['allocateLoadBalancerNodePorts', 'loadBalancerClass'] as const)
    if (spec[field] !== undefined) faults.forbidden(`spec.${field}`, "may only be used when `type` is 'LoadBalancer'")
}

/** Who may reach a load balancer; the annotation is older than the field. White space around a range was always let through. */
function validateRanges({ metadata, spec }: Service, faults: Faults): void {
  const only = "may only be used when `type` is 'LoadBalancer'"
  const annotated = metadata.annotations?.[rangesKey]
  if (spec.loadBalancerSourceRanges?.length) {
    const field = 'spec.LoadBalancerSourceRanges'
    if (spec.type !== 'LoadBalancer') faults.forbidden(field, only)
    for (const [i, range] of spec.loadBalancerSourceRanges.entries()) faults.each(`${field}[${i}]`, range.trim(), isCidr(range.trim()))
  } else if (annotated !== undefined) {
    const field = `metadata.annotations[${rangesKey}]`
    if (spec.type !== 'LoadBalancer') faults.forbidden(field, only)
    for (const range of annotated.trim() === '' ? [] : annotated.split(',')) faults.each(field, range.trim(), isCidr(range.trim()))
  }
}

function validatePorts(s: Service, faults: Faults): void {
  const ports = s.spec.ports ?? []
  const names = new Set<string>()
  const numbers = new Set<string>()
  const nodePorts = new Set<string>()
  for (const [i, port] of ports.entries()) {
    const at = `spec.ports[${i}]`
    if (!port.name && ports.length > 1) faults.required(`${at}.name`)
    else if (port.name) {
      faults.each(`${at}.name`, port.name, isDns1123Label(port.name))
      if (names.has(port.name)) faults.duplicate(`${at}.name`, port.name)
      names.add(port.name)
    }
    faults.port(`${at}.port`, port.port)
    faults.oneOf(`${at}.protocol`, port.protocol, ['SCTP', 'TCP', 'UDP'])
    validatePortRef(`${at}.targetPort`, port.targetPort, faults)
    if (port.appProtocol !== undefined) faults.each(`${at}.appProtocol`, port.appProtocol, isQualifiedName(port.appProtocol))
    const key = `${port.port}/${port.protocol}`
    if (numbers.has(key)) faults.duplicate(at, { port: port.port, protocol: port.protocol })
    numbers.add(key)
    if (!port.nodePort) continue
    if (!needsNodePorts(s.spec)) faults.forbidden(`${at}.nodePort`, `may not be used when \`type\` is '${s.spec.type}'`)
    const nodeKey = `${port.nodePort}/${port.protocol}`
    if (nodePorts.has(nodeKey)) faults.duplicate(`${at}.nodePort`, port.nodePort)
    nodePorts.add(nodeKey)
  }
}
