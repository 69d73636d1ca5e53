import { isTerminal } from '../pods.ts'
import { Pod } from './index.ts'
import type { Faults } from './rules/faults.ts'
import { isDns1123Subdomain } from './rules/names.ts'
import { validatePodAnnotations, validateProfiles } from './rules/pod-annotations.ts'
import { podColumns } from './rules/pod-columns.ts'
import { qosClass } from './rules/pod-qos.ts'
import { resized, validateResize } from './rules/pod-resize.ts'
import { validatePodStatus } from './rules/pod-status.ts'
import { defaultPod } from './rules/pod-template.ts'
import { validateEphemeralUpdate, validatePodUpdate } from './rules/pod-update.ts'
import { validatePodSpec } from './rules/pod-validation.ts'
import { nameWarnings, podWarnings } from './rules/pod-warnings.ts'
import type { KindSpec } from './spec.ts'

const options = (name: string) => ({ group: '', version: 'v1', kind: name })
const proxied = ['create', 'delete', 'get', 'patch', 'update']

const schedulingGated = {
  type: 'PodScheduled' as const,
  status: 'False' as const,
  reason: 'SchedulingGated',
  message: 'Scheduling is blocked due to non-empty scheduling gates',
}

export const pod: KindSpec<Pod> = {
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
    const gated = p.spec?.schedulingGates?.length ? { conditions: [schedulingGated] } : {}
    p.status = { phase: 'Pending', qosClass: qosClass(p.spec), ...gated }
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
    validatePodAnnotations('metadata.annotations', p.metadata.annotations, p.spec, faults)
    validatePodSpec('spec', p.spec, p.metadata, faults)
    if (!p.spec.serviceAccountName) validateNoTokens(p.spec, faults)
  },
  validateCreate({ metadata, spec }, faults) {
    if (!spec) return
    if (spec.ephemeralContainers?.length) faults.forbidden('spec.ephemeralContainers', 'cannot be set on create')
    if (spec.nodeName && spec.schedulingGates?.length)
      faults.forbidden('spec.nodeName', 'cannot be set until all schedulingGates have been cleared')
    validateProfiles('spec', metadata.annotations, spec, faults)
  },
  validateUpdate(next, previous, faults, subresource) {
    if (subresource === 'ephemeralcontainers') validateEphemeralUpdate(next, previous, faults)
    else if (subresource === 'resize') validateResize(next, previous, faults)
    else if (subresource === 'status') validatePodStatus(next, previous, faults)
    else if (subresource === '') validatePodUpdate(next, previous, faults)
  },
  *warnings({ metadata, spec }, previous) {
    // Who updates a pod is a controller or a node, and does so often.
    if (previous) return
    yield* nameWarnings(metadata.name, "the Pod's hostname")
    yield* podWarnings(spec, metadata)
  },
  gracePeriod(p, asked) {
    // Nothing runs where no node has the pod, or where it has ended: there is nobody to wait for.
    if (!p.spec.nodeName || isTerminal(p)) return 0
    const seconds = asked ?? p.spec.terminationGracePeriodSeconds ?? 30
    // What is negative in a spec means the shortest that is graceful.
    return seconds < 0 ? 1 : seconds
  },
}

/** There is nobody whom a token would name. */
function validateNoTokens({ volumes = [] }: Pod['spec'], faults: Faults): void {
  for (const [i, { projected }] of volumes.entries()) {
    for (const [j, { serviceAccountToken }] of (projected?.sources ?? []).entries()) {
      if (!serviceAccountToken) continue
      const field = `spec.volumes[${i}].projected.sources[${j}].serviceAccountToken`
      faults.forbidden(field, 'must not be specified when serviceAccountName is not set')
    }
  }
}
