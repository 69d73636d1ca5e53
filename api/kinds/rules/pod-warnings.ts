// What is kept of a pod or template, and yet is likely not what its author meant: fields that are old or have
// no effect, things named twice, amounts that are no whole bytes.

import type { Container, ContainerPort, PodSpec, PodTemplateSpec, ResourceList } from '../../types/core-v1.gen.ts'
import type { ObjectMeta } from '../../types/meta-v1.gen.ts'
import { ipWarnings } from './address-warnings.ts'
import { claimSpecWarnings } from './claim-warnings.ts'
import { isWholeAmount } from './container-resources.ts'
import { isDns1123Label } from './names.ts'
import { labelDeprecation, selectorWarnings, termWarnings } from './node-labels.ts'
import { appArmorPrefix, seccompKey, seccompPrefix } from './pod-annotations.ts'
import { containersOf } from './pod-os.ts'
import { oldVolumes } from './volume-sources.ts'

const annotations = new Map([
  ['scheduler.alpha.kubernetes.io/critical-pod', 'non-functional in v1.16+; use the "priorityClassName" field instead'],
  ['security.alpha.kubernetes.io/sysctls', 'non-functional in v1.11+; use the "sysctls" field instead'],
  ['security.alpha.kubernetes.io/unsafe-sysctls', 'non-functional in v1.11+; use the "sysctls" field instead'],
])

const required = 'requiredDuringSchedulingIgnoredDuringExecution'
const preferred = 'preferredDuringSchedulingIgnoredDuringExecution'

/** Of a pod's name; `what` says what comes of it. */
export function* nameWarnings(name: string, what: string): Generator<string> {
  const wrong = isDns1123Label(name)
  if (wrong.length > 0)
    yield `metadata.name: this is used in ${what}, which can result in surprising behavior; a DNS label is recommended: [${wrong.join(' ')}]`
}

/** Of what makes pods with names that begin with its own. */
export function* workloadWarnings(name: string, template: PodTemplateSpec | undefined, at = 'spec.template'): Generator<string> {
  yield* nameWarnings(name, 'Pod names and hostnames')
  yield* templateWarnings(template, at)
}

export function* templateWarnings(template: PodTemplateSpec | undefined, at = 'spec.template'): Generator<string> {
  if (template?.spec) yield* podWarnings(template.spec, template.metadata, `${at}.`)
}

/** `at` is before every field. */
export function* podWarnings(spec: PodSpec, metadata: Partial<ObjectMeta> | undefined, at = ''): Generator<string> {
  yield* placeWarnings(`${at}spec`, spec)
  yield* annotationWarnings(`${at}metadata.annotations`, metadata?.annotations, spec, `${at}spec`)
  yield* volumeWarnings(`${at}spec.volumes`, spec)
  yield* twice(`${at}spec.hostAliases`, spec.hostAliases, 'ip')
  for (const [i, { ip }] of (spec.hostAliases ?? []).entries()) yield* ipWarnings(`${at}spec.hostAliases[${i}].ip`, ip)
  for (const [i, server] of (spec.dnsConfig?.nameservers ?? []).entries())
    yield* ipWarnings(`${at}spec.dnsConfig.nameservers[${i}]`, server)
  yield* twice(`${at}spec.imagePullSecrets`, spec.imagePullSecrets, 'name')
  for (const [i, { name = '' }] of (spec.imagePullSecrets ?? []).entries())
    if (name === '') yield `${at}spec.imagePullSecrets[${i}].name: invalid empty name ""`
  yield* byteWarnings(`${at}spec.overhead`, spec.overhead)
  for (const [here, container] of containersOf(`${at}spec`, spec)) yield* containerWarnings(here, container)
  yield* portWarnings(`${at}spec`, spec)
  if ((spec.terminationGracePeriodSeconds ?? 0) < 0)
    yield `${at}spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1`
}

function* placeWarnings(at: string, spec: PodSpec): Generator<string> {
  yield* selectorWarnings(`${at}.nodeSelector`, spec.nodeSelector)
  const { nodeAffinity, podAffinity, podAntiAffinity } = spec.affinity ?? {}
  const nothing = 'a null labelSelector results in matching no pod'
  for (const [i, term] of (nodeAffinity?.[required]?.nodeSelectorTerms ?? []).entries())
    yield* termWarnings(`${at}.affinity.nodeAffinity.${required}.nodeSelectorTerms[${i}]`, term, false)
  for (const [i, { preference }] of (nodeAffinity?.[preferred] ?? []).entries())
    yield* termWarnings(`${at}.affinity.nodeAffinity.${preferred}[${i}].preference`, preference, true)
  for (const [i, { topologyKey, labelSelector }] of (spec.topologySpreadConstraints ?? []).entries()) {
    const here = `${at}.topologySpreadConstraints[${i}]`
    const why = labelDeprecation(topologyKey)
    if (why) yield `${here}.topologyKey: ${topologyKey} is ${why}`
    if (!labelSelector) yield `${here}.labelSelector: ${nothing}`
  }
  for (const [name, affinity] of [['podAffinity', podAffinity] as const, ['podAntiAffinity', podAntiAffinity] as const]) {
    for (const [i, { labelSelector }] of (affinity?.[required] ?? []).entries())
      if (!labelSelector) yield `${at}.affinity.${name}.${required}[${i}].labelSelector: ${nothing}`
    for (const [i, { podAffinityTerm }] of (affinity?.[preferred] ?? []).entries())
      if (!podAffinityTerm.labelSelector) yield `${at}.affinity.${name}.${preferred}[${i}].podAffinityTerm.labelSelector: ${nothing}`
  }
}

function* annotationWarnings(
  at: string,
  given: Readonly<Record<string, string>> | undefined,
  spec: PodSpec,
  specAt: string,
): Generator<string> {
  if (!given) return
  for (const [key, why] of annotations) if (given[key] !== undefined) yield `${at}[${key}]: ${why}`
  const own = spec.securityContext
  const seccomp = 'non-functional in v1.27+; use the "seccompProfile" field instead'
  if (given[seccompKey] !== undefined && !own?.seccompProfile) yield `${at}[${seccompKey}]: ${seccomp}`
  for (const [, { name, securityContext }] of containersOf(specAt, spec)) {
    const key = `${seccompPrefix}${name}`
    if (given[key] !== undefined && !securityContext?.seccompProfile) yield `${at}[${key}]: ${seccomp}`
    const armor = `${appArmorPrefix}${name}`
    if (given[armor] !== undefined && !own?.appArmorProfile && !securityContext?.appArmorProfile)
      yield `${at}[${armor}]: deprecated since v1.30; use the "appArmorProfile" field instead`
  }
}

function* volumeWarnings(at: string, { volumes = [] }: PodSpec): Generator<string> {
  const tokens = new Set<string>()
  for (const [i, volume] of volumes.entries()) {
    for (const kind in volume) {
      const why = oldVolumes.get(kind)
      if (why) yield `${at}[${i}].${kind === 'storageos' ? 'storageOS' : kind}: ${why}`
    }
    const claim = volume.ephemeral?.volumeClaimTemplate?.spec
    if (claim) yield* claimSpecWarnings(`${at}[${i}].ephemeral.volumeClaimTemplate.spec`, claim)
    for (const { serviceAccountToken } of volume.projected?.sources ?? []) if (serviceAccountToken) tokens.add(serviceAccountToken.path)
  }
  if (tokens.size === 0) return
  for (const [i, { projected }] of volumes.entries()) {
    for (const { configMap, secret, downwardAPI, clusterTrustBundle } of projected?.sources ?? []) {
      const here = `${at}[${i}].projected.sources`
      const clash = (where: string, path: string) =>
        `${here}.${where}: has duplicated path with ServiceAccountToken ${JSON.stringify(path)}`
      for (const [where, items] of [
        ['configMap', configMap?.items] as const,
        ['secrets', secret?.items] as const,
        ['downwardAPI', downwardAPI?.items] as const,
      ]) {
        for (const [j, { path }] of (items ?? []).entries()) if (tokens.has(path)) yield clash(`${where}[${j}]`, path)
      }
      if (clusterTrustBundle && tokens.has(clusterTrustBundle.path)) yield clash('ClusterTrustBundle', clusterTrustBundle.path)
    }
  }
}

function* twice<F extends string>(at: string, list: readonly { [field in F]?: string }[] | undefined, field: F): Generator<string> {
  const seen = new Set<string>()
  for (const [i, item] of (list ?? []).entries()) {
    const value = item[field] ?? ''
    if (seen.has(value)) yield `${at}[${i}].${field}: duplicate ${field} ${JSON.stringify(value)}`
    seen.add(value)
  }
}

function* byteWarnings(at: string, amounts: ResourceList | undefined): Generator<string> {
  for (const name of ['memory', 'ephemeral-storage']) {
    const amount = amounts?.[name]
    if (amount !== undefined && !isWholeAmount(amount))
      yield `${at}[${name}]: fractional byte value ${JSON.stringify(amount)} is invalid, must be an integer`
  }
}

function* containerWarnings(at: string, { resources, env = [] }: Container): Generator<string> {
  yield* byteWarnings(`${at}.resources.limits`, resources?.limits)
  yield* byteWarnings(`${at}.resources.requests`, resources?.requests)
  const seen = new Set<string>()
  for (const [i, { name, value = '', valueFrom }] of env.entries()) {
    const ref = `$(${name})`
    // A value may add to the one before it.
    if (seen.has(name) && (valueFrom || value === ref || !value.includes(ref)))
      yield `${at}.env[${i}]: hides previous definition of ${JSON.stringify(name)}, which may be dropped when using apply`
    seen.add(name)
  }
}

/** So many of the same port are compared with each other: a list of thousands is judged in a moment, too. */
const mostCompared = 16

function* portWarnings(at: string, spec: PodSpec): Generator<string> {
  const there = new Map<string, { field: string; port: ContainerPort }[]>()
  for (const [here, { ports = [] }] of containersOf(at, spec)) {
    for (const [i, port] of ports.entries()) {
      const field = `${here}.ports[${i}]`
      const { name = '', hostPort = 0, containerPort, protocol, hostIP = '' } = port
      if (hostIP && !hostPort) {
        const shown = `{Name:${name} HostPort:0 ContainerPort:${containerPort} Protocol:${protocol} HostIP:${hostIP}}`
        yield `${field}: hostIP set without hostPort: ${shown}`
      }
      const key = `${containerPort}/${protocol}`
      const others = there.get(key) ?? []
      there.set(key, others)
      for (const other of others) {
        const [theirPort, theirIP] = [other.port.hostPort ?? 0, other.port.hostIP ?? '']
        if (hostIP === theirIP && hostPort === theirPort) yield `${field}: duplicate port definition with ${other.field}`
        else if (!hostPort || !theirPort) yield `${field}: overlapping port definition with ${other.field}`
        else if (hostPort === theirPort && (hostIP === '') !== (theirIP === ''))
          yield `${field}: dangerously ambiguous port definition with ${other.field}`
      }
      if (others.length < mostCompared) others.push({ field, port })
    }
  }
}
