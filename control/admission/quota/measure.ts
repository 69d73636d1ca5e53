// What one object takes of a quota (kubernetes pkg/quota/v1/evaluator/core).

import type { Kind, KubeObject } from '#api/kinds/kind.ts'
import { qosClass } from '#api/kinds/rules/pod-qos.ts'
import { resourceName } from '#api/kinds/spec.ts'
import { isTerminal } from '#api/pods.ts'
import type { Quantity } from '#api/schema/quantity.ts'
import type { Container, PersistentVolumeClaim, Pod, ResourceQuota, Service } from '#api/types/core-v1.gen.ts'
import { type Amounts, amountsOf, podAmounts, whole } from '../amounts.ts'

export type Measured = {
  amounts: Amounts
  /** Undefined for what no scope can tell apart. */
  pod?: Traits
}

/** What scopes ask of a pod. */
export type Traits = { terminating: boolean; bestEffort: boolean; crossNamespace: boolean; priorityClass: string }

const one = whole(1)
/** These are counted under their own name, too. */
const counted = new Set(['configmaps', 'persistentvolumeclaims', 'replicationcontrollers', 'resourcequotas', 'secrets', 'services'])

export function measure(kind: Kind, object: KubeObject): Measured {
  const amounts = new Map<string, Quantity>([[`count/${resourceName(kind)}`, one]])
  if (kind.group !== '') return { amounts }
  if (counted.has(kind.plural)) amounts.set(kind.plural, one)
  switch (kind.kind) {
    case 'Pod':
      return measurePod(object as Pod, amounts)
    case 'Service':
      measureService((object as Service).spec, amounts)
      return { amounts }
    case 'PersistentVolumeClaim':
      measureClaim((object as PersistentVolumeClaim).spec, amounts)
      return { amounts }
    default:
      return { amounts }
  }
}

function measurePod({ spec, status }: Pod, amounts: Map<string, Quantity>): Measured {
  const pod = traitsOf(spec)
  // What has run its course takes nothing but its place in the list.
  if (isTerminal({ status })) return { amounts, pod }
  amounts.set('pods', one)
  for (const [name, amount] of podAmounts(spec, 'requests')) {
    if (isStandard(name)) amounts.set(name, amount)
    amounts.set(`requests.${name}`, amount)
  }
  for (const [name, amount] of podAmounts(spec, 'limits')) if (isStandard(name)) amounts.set(`limits.${name}`, amount)
  return { amounts, pod }
}

const isStandard = (name: string) => ['cpu', 'memory', 'ephemeral-storage'].includes(name) || name.startsWith('hugepages-')

function traitsOf(spec: Pod['spec']): Traits {
  const terms = [spec.affinity?.podAffinity, spec.affinity?.podAntiAffinity].flatMap((affinity) => [
    ...(affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
    ...(affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(({ podAffinityTerm }) => podAffinityTerm),
  ])
  return {
    terminating: spec.activeDeadlineSeconds !== undefined && spec.activeDeadlineSeconds >= 0,
    bestEffort: qosClass(spec) === 'BestEffort',
    crossNamespace: terms.some(({ namespaces, namespaceSelector }) => (namespaces?.length ?? 0) > 0 || namespaceSelector !== undefined),
    priorityClass: spec.priorityClassName ?? '',
  }
}

function measureService({ type, ports = [], allocateLoadBalancerNodePorts }: Service['spec'], amounts: Map<string, Quantity>): void {
  const balanced = type === 'LoadBalancer'
  if (balanced) amounts.set('services.loadbalancers', one)
  const all = type === 'NodePort' || (balanced && allocateLoadBalancerNodePorts !== false)
  const held = all ? ports : balanced ? ports.filter(({ nodePort }) => nodePort) : []
  if (held.length > 0) amounts.set('services.nodeports', whole(held.length))
}

function measureClaim({ storageClassName, resources }: PersistentVolumeClaim['spec'], amounts: Map<string, Quantity>): void {
  const storage = amountsOf(resources?.requests).get('storage')
  const ofClass = (name: string) => `${storageClassName}.storageclass.storage.k8s.io/${name}`
  if (storage) amounts.set('requests.storage', storage)
  if (!storageClassName) return
  amounts.set(ofClass('persistentvolumeclaims'), one)
  if (storage) amounts.set(ofClass('requests.storage'), storage)
}

/** Whether the scopes of a quota take the object in. */
export function isInScope({ spec }: ResourceQuota, { pod }: Measured): boolean {
  const scopes = [
    ...(spec.scopes ?? []).map((scopeName) => ({ scopeName, operator: 'Exists', values: undefined })),
    ...(spec.scopeSelector?.matchExpressions ?? []),
  ]
  return scopes.every(({ scopeName, operator, values = [] }) => {
    if (!pod) return false
    switch (scopeName) {
      case 'Terminating':
        return pod.terminating
      case 'NotTerminating':
        return !pod.terminating
      case 'BestEffort':
        return pod.bestEffort
      case 'NotBestEffort':
        return !pod.bestEffort
      case 'CrossNamespacePodAffinity':
        return pod.crossNamespace
      case 'PriorityClass':
        return isOne(pod.priorityClass, operator, values)
      default:
        return false
    }
  })
}

function isOne(value: string, operator: string, values: readonly string[]): boolean {
  if (operator === 'Exists') return value !== ''
  if (operator === 'DoesNotExist') return value === ''
  return values.includes(value) === (operator === 'In')
}

const demanded = ['cpu', 'limits.cpu', 'limits.memory', 'memory', 'requests.cpu', 'requests.memory']

/** Where a quota measures CPU or memory, every container must say how much: what it does not, in Kubernetes' words. */
export function unsaid({ spec }: Pod, hard: Readonly<Record<string, string>>): string | undefined {
  const said = ({ resources }: Container, name: string) => {
    const plain = name.replace(/^(requests|limits)\./, '')
    return (name.startsWith('limits.') ? resources?.limits : resources?.requests)?.[plain] !== undefined
  }
  const containers = [...(spec.initContainers ?? []), ...(spec.containers ?? [])]
  const missing = demanded.flatMap((name) => {
    const silent = hard[name] === undefined ? [] : containers.filter((container) => !said(container, name))
    const names = [...new Set(silent.map((container) => container.name))].sort()
    return names.length > 0 ? [`${name} for: ${names.join(',')}`] : []
  })
  return missing.length > 0 ? `must specify ${missing.join('; ')}` : undefined
}
