import type { Pod as PodType } from '../types/core-v1.gen.ts'
import { type Faults, same } from './faults.ts'
import { Pod } from './index.ts'
import { isDns1123Subdomain } from './names.ts'
import { podColumns } from './pod-columns.ts'
import { qosClass } from './pod-qos.ts'
import { resized, validateResize } from './pod-resize.ts'
import { defaultPod } from './pod-template.ts'
import { validatePodSpec } from './pod-validation.ts'
import type { KindSpec } from './spec.ts'
import { validateTolerations } from './taints.ts'

const options = (name: string) => ({ group: '', version: 'v1', kind: name })
const proxied = ['create', 'delete', 'get', 'patch', 'update']

export const pod: KindSpec<PodType> = {
  kind: Pod,
  singular: 'pod',
  shortNames: ['po'],
  categories: ['all'],
  status: true,
  generation: true,
  subresources: [
    { name: 'attach', kind: options('PodAttachOptions'), verbs: ['create', 'get'] },
    { name: 'binding', kind: options('Binding'), verbs: ['create'] },
    { name: 'ephemeralcontainers', kind: options('Pod'), verbs: ['get', 'patch', 'update'] },
    { name: 'eviction', kind: { group: 'policy', version: 'v1', kind: 'Eviction' }, verbs: ['create'] },
    { name: 'exec', kind: options('PodExecOptions'), verbs: ['create', 'get'] },
    { name: 'log', kind: options('Pod'), verbs: ['get'] },
    { name: 'portforward', kind: options('PodPortForwardOptions'), verbs: ['create', 'get'] },
    { name: 'proxy', kind: options('PodProxyOptions'), verbs: proxied },
    { name: 'resize', kind: options('Pod'), verbs: ['get', 'patch', 'update'] },
  ],
  nameRule: isDns1123Subdomain,
  columns: podColumns,
  fields: {
    'spec.nodeName': (p) => p.spec.nodeName ?? '',
    'spec.restartPolicy': (p) => p.spec.restartPolicy ?? '',
    'spec.schedulerName': (p) => p.spec.schedulerName ?? '',
    'spec.serviceAccountName': (p) => p.spec.serviceAccountName ?? '',
    'spec.hostNetwork': (p) => String(p.spec.hostNetwork ?? false),
    'status.phase': (p) => p.status?.phase ?? '',
    'status.podIP': (p) => p.status?.podIP ?? '',
    'status.nominatedNodeName': (p) => p.status?.nominatedNodeName ?? '',
  },
  defaults(p) {
    if (p.spec) defaultPod(p.spec)
  },
  prepareCreate(p) {
    p.status = { phase: 'Pending', qosClass: qosClass(p.spec) }
  },
  prepareUpdate(next, previous, subresource) {
    if (subresource === 'ephemeralcontainers') {
      next.spec = { ...previous.spec, ephemeralContainers: next.spec.ephemeralContainers }
    } else if (subresource === 'resize') {
      next.spec = resized(next.spec, previous.spec)
    }
    next.status.qosClass ??= previous.status.qosClass
  },
  validate(p, faults) {
    if (!p.spec) return faults.required('spec')
    validatePodSpec('spec', p.spec, faults)
    validateTolerations('spec.tolerations', p.spec.tolerations, faults)
  },
  validateUpdate(next, previous, faults, subresource) {
    if (subresource === 'ephemeralcontainers') return keepEphemeral(next, previous, faults)
    if (subresource === 'resize') return validateResize(next, previous, faults)
    if (subresource !== '') return
    if (!same(fixedPart(next), fixedPart(previous))) {
      faults.forbidden(
        'spec',
        'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
      )
    }
    if (
      (previous.spec.tolerations ?? []).some(
        (t) => !next.spec.tolerations?.some((n) => same({ ...n, tolerationSeconds: 0 }, { ...t, tolerationSeconds: 0 })),
      )
    ) {
      faults.forbidden('spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds')
    }
    const before = previous.spec.activeDeadlineSeconds
    const after = next.spec.activeDeadlineSeconds
    if (before !== undefined && (after === undefined || after > before)) {
      faults.invalid('spec.activeDeadlineSeconds', after ?? null, `must be less than or equal to previous value`)
    }
  },
  gracePeriod(p, asked) {
    // Nothing runs where no node has the pod, or where it has ended: there is nobody to wait for.
    if (!p.spec.nodeName || p.status?.phase === 'Succeeded' || p.status?.phase === 'Failed') return 0
    return Math.max(asked ?? p.spec.terminationGracePeriodSeconds ?? 30, 0)
  },
}

/** They are added, and never changed or taken away. */
function keepEphemeral(next: PodType, previous: PodType, faults: Faults): void {
  const now = next.spec.ephemeralContainers ?? []
  for (const before of previous.spec.ephemeralContainers ?? []) {
    const after = now.find(({ name }) => name === before.name)
    const name = JSON.stringify(before.name)
    if (!after) faults.forbidden('spec.ephemeralContainers', `existing ephemeral containers ${name} may not be removed`)
    else if (!same(after, before)) faults.forbidden('spec.ephemeralContainers', `existing ephemeral containers ${name} may not be changed`)
  }
  const targets = new Set([...next.spec.containers, ...(next.spec.initContainers ?? [])].map(({ name }) => name))
  for (const [i, { targetContainerName: target }] of now.entries()) {
    if (target && !targets.has(target)) faults.notFound(`spec.ephemeralContainers[${i}].targetContainerName`, target)
  }
}

/** All of a pod that an update may not change. */
function fixedPart({ spec }: PodType): unknown {
  const withoutImage = <T extends { image?: string }>(containers: T[] | undefined) => containers?.map((c) => ({ ...c, image: undefined }))
  return {
    ...spec,
    containers: withoutImage(spec.containers),
    initContainers: withoutImage(spec.initContainers),
    activeDeadlineSeconds: undefined,
    tolerations: undefined,
    schedulingGates: undefined,
    // Set once by the scheduler through the binding, and by nobody else.
    nodeName: spec.nodeName,
    terminationGracePeriodSeconds: (spec.terminationGracePeriodSeconds ?? 0) < 0 ? 1 : spec.terminationGracePeriodSeconds,
  }
}
