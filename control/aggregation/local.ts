// The group versions that this server offers itself, as APIServices: how they are ranked is Kubernetes'.

import { apiServiceName } from '#api/kinds/api-service.ts'
import { builtinKinds } from '#api/kinds/registry.ts'
import { compareVersions } from '#api/kinds/rules/version-order.ts'
import type { CustomResourceDefinition } from '#api/types/apiextensions-v1.gen.ts'
import type { APIService } from '#api/types/apiregistration-v1.gen.ts'

/** `onstart`: made where it is missing; `true`: kept as it is here, and removed with its definition. */
export const automanaged = 'kube-aggregator.kubernetes.io/automanaged'

export type Local = { spec: APIService['spec']; managed: 'onstart' | 'true' }

/** From the first to the last: a hundred apart, below 18,000, which is the core's. */
const ranked = [
  '',
  'apps',
  'events.k8s.io',
  'authentication.k8s.io',
  'authorization.k8s.io',
  'autoscaling',
  'batch',
  'certificates.k8s.io',
  'networking.k8s.io',
  'policy',
  'rbac.authorization.k8s.io',
  'storage.k8s.io',
  'apiextensions.k8s.io',
  'admissionregistration.k8s.io',
  'scheduling.k8s.io',
  'coordination.k8s.io',
  'node.k8s.io',
  'discovery.k8s.io',
  'flowcontrol.apiserver.k8s.io',
  'resource.k8s.io',
]
const first = 18_000
/** Of groups that others bring, and of ours that others may take over. */
const others = { groupPriorityMinimum: 1000, versionPriority: 100 }
const reviews = ['authentication.k8s.io/v1', 'authorization.k8s.io/v1']

/** By name. */
export function builtinServices(more: readonly string[] = []): Map<string, Local> {
  const own = builtinKinds.map(({ kind }) => (kind.group ? `${kind.group}/${kind.version}` : `/${kind.version}`))
  const groups = Map.groupBy(new Set([...own, ...reviews, ...more]), (groupVersion) => groupVersion.split('/')[0] ?? '')
  const services = new Map<string, Local>()
  for (const [group, groupVersions] of groups) {
    const versions = groupVersions.map((each) => each.split('/')[1] ?? '').sort(compareVersions)
    const rank = ranked.indexOf(group)
    for (const [i, version] of versions.entries()) {
      const priorities =
        rank < 0
          ? { ...others, groupPriorityMinimum: 100 }
          : { groupPriorityMinimum: first - 100 * rank, versionPriority: 15 * (versions.length - i) }
      services.set(apiServiceName({ group, version }), { spec: { ...(group && { group }), version, ...priorities }, managed: 'onstart' })
    }
  }
  return services
}

/** Of custom resources. */
export function customServices(definitions: Iterable<CustomResourceDefinition>): Map<string, Local> {
  const services = new Map<string, Local>()
  for (const { spec, metadata } of definitions) {
    if (metadata.deletionTimestamp) continue
    const { group } = spec
    for (const { name: version, served } of spec.versions) {
      if (served) services.set(apiServiceName({ group, version }), { spec: { group, version, ...others }, managed: 'true' })
    }
  }
  return services
}
