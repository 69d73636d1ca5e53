// Policies, pods and namespaces for tests, frozen as an informer's are.

import { freeze } from '#api/informer/cache.ts'
import type { Namespace, Pod } from '#api/types/core-v1.gen.ts'
import type { NetworkPolicy, NetworkPolicySpec } from '#api/types/networking-v1.gen.ts'

/** Of namespace `default`, for all its pods, in the directions that it has rules for, unless the spec says otherwise. */
export const policy = (name: string, spec: Partial<NetworkPolicySpec>, namespace = 'default'): NetworkPolicy => {
  const policyTypes = [...(spec.ingress ? ['Ingress' as const] : []), ...(spec.egress ? ['Egress' as const] : [])]
  return freeze({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name, namespace },
    spec: { podSelector: {}, policyTypes, ...spec },
  } as NetworkPolicy)
}

export type PodOptions = {
  namespace?: string
  labels?: Record<string, string>
  node?: string
  ports?: { name: string; containerPort: number; protocol?: 'TCP' | 'UDP' | 'SCTP' }[]
  phase?: 'Pending' | 'Running' | 'Succeeded' | 'Failed'
  hostNetwork?: boolean
  created?: string
}

/** Runs on node `here` unless it says otherwise; its name is its label `app`. */
export const pod = (name: string, ips: string | readonly string[], options: PodOptions = {}): Pod => {
  const { namespace = 'default', labels, node = 'here', ports, phase = 'Running', hostNetwork, created } = options
  return freeze({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, uid: `${namespace}-${name}`, creationTimestamp: created, labels: { app: name, ...labels } },
    spec: { nodeName: node, hostNetwork, containers: [{ name: 'main', ports }] },
    status: { phase, podIPs: [ips].flat().map((ip) => ({ ip })) },
  } as unknown as Pod)
}

export const namespace = (name: string, labels: Record<string, string> = {}): Namespace =>
  freeze({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels: { 'kubernetes.io/metadata.name': name, ...labels } },
  } as unknown as Namespace)

export const app = (name: string) => ({ matchLabels: { app: name } })
