// Rules for a pod spec, in pods and in templates. Each noun that has many rules has a file of its own.

import type { PodDNSConfig, PodSpec } from '../../types/core-v1.gen.ts'
import type { ObjectMeta } from '../../types/meta-v1.gen.ts'
import { validatePodResources, validateResources } from './container-resources.ts'
import { validateContainers } from './container-validation.ts'
import type { Faults } from './faults.ts'
import { validateLabels } from './meta.ts'
import { isDns1123Label, isDns1123Subdomain, isDns1123SubdomainWithUnderscore, isIP, isQualifiedName } from './names.ts'
import { validateAffinity } from './pod-affinity.ts'
import { validateHostProcess, validateOs } from './pod-os.ts'
import { validateVolumes } from './pod-volumes.ts'
import { validatePodSecurity } from './security-context.ts'
import { validateTolerations } from './taints.ts'
import { validateTopologySpread } from './topology-spread.ts'

const mostSeconds = 2 ** 31 - 1
/** What the C library reads of resolv.conf (resolv.conf(5)). */
const most = { nameservers: 3, searches: 32, searchCharacters: 2048 }

/** `pod` is the metadata of the pod itself; undefined for a template. */
export function validatePodSpec(at: string, spec: PodSpec, pod: ObjectMeta | undefined, faults: Faults): void {
  const volumes = validateVolumes(`${at}.volumes`, spec.volumes ?? [], pod, faults)
  if (spec.resourceClaims) validateResourceClaims(`${at}.resourceClaims`, spec.resourceClaims, faults)
  validateContainers(at, spec, volumes, pod !== undefined, faults)
  validatePodResources(`${at}.resources`, spec, faults)
  if (spec.hostNetwork) validateHostPorts(at, spec, pod !== undefined, faults)
  faults.oneOf(`${at}.restartPolicy`, spec.restartPolicy, ['Always', 'OnFailure', 'Never'])
  faults.oneOf(`${at}.dnsPolicy`, spec.dnsPolicy, ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None'])
  if (spec.nodeSelector) validateLabels(`${at}.nodeSelector`, spec.nodeSelector, faults)
  validatePodSecurity(`${at}.securityContext`, spec, faults)
  validateAffinity(`${at}.affinity`, spec.affinity, pod && (pod.labels ?? {}), faults)
  validateDns(`${at}.dnsConfig`, spec.dnsConfig, spec.dnsPolicy, faults)
  for (const [i, { conditionType }] of (spec.readinessGates ?? []).entries())
    faults.each(`${at}.readinessGates[${i}].conditionType`, conditionType, isQualifiedName(conditionType))
  if (spec.schedulingGates) validateGates(`${at}.schedulingGates`, spec.schedulingGates, faults)
  validateTopologySpread(`${at}.topologySpreadConstraints`, spec.topologySpreadConstraints, faults)
  validateHostProcess(at, spec, faults)
  validateHostUsers(at, spec, faults)
  validateNames(at, spec, faults)
  const deadline = spec.activeDeadlineSeconds
  if (deadline !== undefined && (deadline < 1 || deadline > mostSeconds))
    faults.invalid(`${at}.activeDeadlineSeconds`, deadline, `must be between 1 and ${mostSeconds}, inclusive`)
  if (spec.tolerations) validateTolerations(`${at}.tolerations`, spec.tolerations, faults)
  for (const [i, { ip, hostnames }] of (spec.hostAliases ?? []).entries()) {
    faults.each(`${at}.hostAliases[${i}].ip`, ip ?? '', isIP(ip ?? ''))
    for (const [j, name] of (hostnames ?? []).entries())
      faults.each(`${at}.hostAliases[${i}].hostnames[${j}]`, name, isDns1123Subdomain(name))
  }
  if (spec.preemptionPolicy !== undefined) faults.oneOf(`${at}.preemptionPolicy`, spec.preemptionPolicy, ['PreemptLowerPriority', 'Never'])
  if (spec.overhead) validateResources(`${at}.overhead`, { limits: spec.overhead }, undefined, faults)
  validateOs(at, spec, faults)
}

function validateNames(at: string, spec: PodSpec, faults: Faults): void {
  for (const field of ['serviceAccountName', 'nodeName', 'priorityClassName', 'hostnameOverride'] as const) {
    const name = spec[field]
    if (name) faults.each(`${at}.${field}`, name, isDns1123Subdomain(name))
  }
  if (spec.runtimeClassName !== undefined)
    faults.each(`${at}.runtimeClassName`, spec.runtimeClassName, isDns1123Subdomain(spec.runtimeClassName))
  for (const field of ['hostname', 'subdomain'] as const) {
    const name = spec[field]
    if (name) faults.each(`${at}.${field}`, name, isDns1123Label(name))
  }
}

function validateHostPorts(at: string, { containers }: PodSpec, isPod: boolean, faults: Faults): void {
  for (const [i, { ports = [] }] of (containers ?? []).entries()) {
    for (const [j, { hostPort = 0, containerPort }] of ports.entries()) {
      // That of a template is filled in once there is a pod.
      if (hostPort === containerPort || (hostPort === 0 && !isPod)) continue
      const why = 'must match `containerPort` when `hostNetwork` is true'
      faults.invalid(`${at}.containers[${i}].ports[${j}].hostPort`, hostPort, why)
    }
  }
}

function validateDns(at: string, config: PodDNSConfig | undefined, policy: string | undefined, faults: Faults): void {
  if (policy === 'None') {
    if (!config) return faults.required(at, 'must provide `dnsConfig` when `dnsPolicy` is None')
    if (!config.nameservers?.length)
      return faults.required(`${at}.nameservers`, 'must provide at least one DNS nameserver when `dnsPolicy` is None')
  }
  if (!config) return
  const { nameservers = [], searches = [], options = [] } = config
  if (nameservers.length > most.nameservers)
    faults.invalid(`${at}.nameservers`, nameservers, `must not have more than ${most.nameservers} nameservers`)
  for (const [i, server] of nameservers.entries()) faults.each(`${at}.nameservers[${i}]`, server, isIP(server))
  if (searches.length > most.searches) faults.invalid(`${at}.searches`, searches, `must not have more than ${most.searches} search paths`)
  if (searches.join(' ').length > most.searchCharacters) {
    const why = `must not have more than ${most.searchCharacters} characters (including spaces) in the search list`
    faults.invalid(`${at}.searches`, searches, why)
  }
  for (const [i, search] of searches.entries()) {
    const domain = search.replace(/\.$/, '')
    if (search !== '.') faults.each(`${at}.searches[${i}]`, domain, isDns1123SubdomainWithUnderscore(domain))
  }
  for (const [i, { name }] of options.entries()) if (!name) faults.required(`${at}.options[${i}]`, 'must not be empty')
}

function validateGates(at: string, gates: NonNullable<PodSpec['schedulingGates']>, faults: Faults): void {
  const seen = new Set<string>()
  for (const [i, { name }] of gates.entries()) {
    faults.each(`${at}[${i}]`, name, isQualifiedName(name))
    if (seen.has(name)) faults.duplicate(`${at}[${i}]`, name)
    seen.add(name)
  }
}

/** A user namespace of its own goes with no other namespace of the host. */
function validateHostUsers(at: string, spec: PodSpec, faults: Faults): void {
  if (spec.hostUsers !== false) return
  for (const field of ['hostNetwork', 'hostPID', 'hostIPC'] as const)
    if (spec[field]) faults.forbidden(`${at}.${field}`, 'when `hostUsers` is false')
}

function validateResourceClaims(at: string, claims: NonNullable<PodSpec['resourceClaims']>, faults: Faults): void {
  const seen = new Set<string>()
  for (const [i, claim] of claims.entries()) {
    const here = `${at}[${i}]`
    const { name, resourceClaimName: direct, resourceClaimTemplateName: template } = claim
    if (!name) faults.required(`${here}.name`)
    else if (seen.has(name)) faults.duplicate(`${here}.name`, name)
    else faults.each(`${here}.name`, name, isDns1123Label(name))
    seen.add(name)
    if (direct !== undefined && template !== undefined)
      faults.invalid(here, claim, 'at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified')
    if (direct === undefined && template === undefined)
      faults.invalid(here, claim, 'must specify one of: `resourceClaimName`, `resourceClaimTemplateName`')
    if (direct !== undefined) faults.each(`${here}.resourceClaimName`, direct, isDns1123Subdomain(direct))
    if (template !== undefined) faults.each(`${here}.resourceClaimTemplateName`, template, isDns1123Subdomain(template))
  }
}
