// Policies, pods and namespaces for tests, frozen as an informer's are.

import { freeze } from '#api/informer/cache.ts'
import type { Namespace, Pod } from '#api/types/core-v1.gen.ts'
import type { NetworkPolicy, NetworkPolicySpec } from '#api/types/networking-v1.gen.ts'
import type { Placed } from './members.ts'
import type { Policy, PolicyError } from './policy.ts'

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

export type PolicyState = {
  policies: Iterable<NetworkPolicy>
  pods: Iterable<Pod>
  namespaces: Iterable<Namespace>
  placed: Iterable<Placed>
}

/** Takes a whole state at a time and tells of what changed since the one before. */
export const wholePolicy = (policy: Policy) => {
  const heard = {
    policies: new Map<string, NetworkPolicy>(),
    pods: new Map<string, Pod>(),
    namespaces: new Map<string, Namespace>(),
    placed: new Map<string, Placed>(),
  }
  const tell = <T>(
    before: Map<string, T>,
    now: Iterable<T>,
    idOf: (each: T) => string,
    changed: (id: string, each: T | undefined) => void,
  ) => {
    const present = new Map([...now].map((each) => [idOf(each), each]))
    for (const id of before.keys())
      if (!present.has(id)) {
        before.delete(id)
        changed(id, undefined)
      }
    for (const [id, each] of present) {
      if (before.get(id) === each) continue
      before.set(id, each)
      changed(id, each)
    }
  }
  return {
    async apply({ policies, pods, namespaces, placed }: PolicyState): Promise<{ errors: PolicyError[] }> {
      tell(
        heard.policies,
        policies,
        ({ metadata }) => `${metadata.namespace ?? ''}/${metadata.name}`,
        (id, each) => {
          const [namespace = '', name = ''] = id.split('/')
          policy.policyChanged({ namespace, name }, each)
        },
      )
      tell(
        heard.pods,
        pods,
        ({ metadata }) => metadata.uid,
        (uid, each) => policy.podChanged(uid, each),
      )
      tell(
        heard.namespaces,
        namespaces,
        ({ metadata }) => metadata.name,
        (name, each) => policy.namespaceChanged(name, each),
      )
      tell(
        heard.placed,
        placed,
        ({ pod }) => pod.metadata.uid,
        (uid, each) => policy.placedChanged(uid, each),
      )
      return await policy.apply()
    },
    remove: () => policy.remove(),
    close: () => policy.close(),
  }
}
