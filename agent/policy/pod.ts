// What policies need to know of a pod. A cluster has thousands of them, and every node hears of all.

import type { Container, Pod } from '#api/types/core-v1.gen.ts'

/** The pod without all that policies do not look at. */
export const trimPod = (pod: Pod): Pod => {
  const { name, namespace, uid, resourceVersion, creationTimestamp, labels } = pod.metadata
  const { nodeName, hostNetwork, containers, initContainers = [] } = pod.spec
  const { phase, podIPs } = pod.status ?? {}
  return {
    apiVersion: pod.apiVersion,
    kind: pod.kind,
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp, labels },
    spec: {
      nodeName,
      hostNetwork,
      // Init containers that stay are containers that start first.
      containers: [...containers, ...initContainers.filter(({ restartPolicy }) => restartPolicy === 'Always')].flatMap(withNamedPorts),
    },
    status: { phase, podIPs },
  }
}

const withNamedPorts = ({ name, ports }: Container): Container[] => {
  const named = ports?.filter((port) => port.name) ?? []
  return named.length > 0
    ? [{ name, resources: {}, ports: named.map(({ name, protocol, containerPort }) => ({ name, protocol, containerPort })) }]
    : []
}

/** Whether two trimmed pods are the same to policies. */
export const samePod = (a: Pod, b: Pod): boolean => text(a) === text(b)

const text = ({ metadata, spec, status }: Pod): string => JSON.stringify([metadata.uid, metadata.labels, spec, status])
