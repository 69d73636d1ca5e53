// Defaults of a pod spec, in pods and in every template (pkg/apis/core/v1/defaults.go).

import type { Container, LifecycleHandler, PodSpec, Probe, Volume } from '../../types/core-v1.gen.ts'

/** Fields that Kubernetes writes for a pod spec, in place. Applying it twice changes nothing. */
export function defaultPodSpec(spec: PodSpec): void {
  spec.dnsPolicy ??= 'ClusterFirst'
  spec.restartPolicy ??= 'Always'
  spec.securityContext ??= {}
  spec.terminationGracePeriodSeconds ??= 30
  spec.schedulerName ??= 'default-scheduler'
  // The old name of the account and the new one always agree.
  const account = spec.serviceAccountName || spec.serviceAccount
  if (account) {
    spec.serviceAccountName = account
    spec.serviceAccount = account
  }
  for (const container of spec.initContainers ?? []) defaultContainer(container, spec)
  for (const container of spec.containers ?? []) defaultContainer(container, spec)
  for (const container of spec.ephemeralContainers ?? []) defaultContainer(container, spec)
  for (const volume of spec.volumes ?? []) defaultVolume(volume)
}

/** Only for a pod itself: templates leave these to admission. */
export function defaultPod(spec: PodSpec): void {
  defaultPodSpec(spec)
  spec.enableServiceLinks ??= true
  for (const container of [...(spec.initContainers ?? []), ...(spec.containers ?? [])]) requestsFromLimits(container)
}

function defaultContainer(container: Container, spec: PodSpec): void {
  container.resources ??= {}
  container.terminationMessagePath ??= '/dev/termination-log'
  container.terminationMessagePolicy ??= 'File'
  container.imagePullPolicy ||= isLatest(container.image ?? '') ? 'Always' : 'IfNotPresent'
  for (const port of container.ports ?? []) {
    port.protocol ??= 'TCP'
    if (spec.hostNetwork && !port.hostPort) port.hostPort = port.containerPort
  }
  for (const variable of container.env ?? []) {
    const ref = variable.valueFrom?.fieldRef
    if (ref) ref.apiVersion ??= 'v1'
    const resource = variable.valueFrom?.resourceFieldRef
    if (resource) resource.divisor ??= '0'
  }
  for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe]) if (probe) defaultProbe(probe)
  for (const handler of [container.lifecycle?.postStart, container.lifecycle?.preStop]) if (handler) defaultHandler(handler)
}

function defaultProbe(probe: Probe): void {
  probe.timeoutSeconds ||= 1
  probe.periodSeconds ||= 10
  probe.successThreshold ||= 1
  probe.failureThreshold ||= 3
  defaultHandler(probe)
  if (probe.grpc) probe.grpc.service ??= ''
}

function defaultHandler(handler: Pick<LifecycleHandler, 'httpGet'>): void {
  if (!handler.httpGet) return
  handler.httpGet.path ||= '/'
  handler.httpGet.scheme ??= 'HTTP'
}

function requestsFromLimits(container: Container): void {
  const { limits } = container.resources
  if (!limits) return
  container.resources.requests = { ...limits, ...container.resources.requests }
}

const readable = 0o644

function defaultVolume(volume: Volume): void {
  // A volume without a source is an emptyDir.
  if (Object.keys(volume).every((key) => key === 'name')) volume.emptyDir = {}
  if (volume.secret) volume.secret.defaultMode ??= readable
  if (volume.configMap) volume.configMap.defaultMode ??= readable
  if (volume.hostPath) volume.hostPath.type ??= ''
  if (volume.image) volume.image.pullPolicy ||= volume.image.reference && isLatest(volume.image.reference) ? 'Always' : 'IfNotPresent'
  const claim = volume.ephemeral?.volumeClaimTemplate?.spec
  if (claim) claim.volumeMode ??= 'Filesystem'
  if (volume.downwardAPI) {
    volume.downwardAPI.defaultMode ??= readable
    for (const item of volume.downwardAPI.items ?? []) if (item.fieldRef) item.fieldRef.apiVersion ??= 'v1'
  }
  if (!volume.projected) return
  volume.projected.defaultMode ??= readable
  for (const source of volume.projected.sources ?? []) {
    if (source.serviceAccountToken) source.serviceAccountToken.expirationSeconds ??= 3600
    for (const item of source.downwardAPI?.items ?? []) if (item.fieldRef) item.fieldRef.apiVersion ??= 'v1'
  }
}

/** Whether the tag of `image` is `latest`, written out or meant. */
function isLatest(image: string): boolean {
  if (image.includes('@')) return false
  const tag = /:([^/:]+)$/.exec(image)?.[1]
  return tag === undefined || tag === 'latest'
}
