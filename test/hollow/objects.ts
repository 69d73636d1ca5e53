// What hollow nodes say of themselves and of their pods.

import { microTimestamp, timestamp } from '#api/clock.ts'
import type { Node, Pod } from '#api/types/core-v1.gen.ts'

export const nodesPath = '/api/v1/nodes'
export const leasesPath = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases'
export const merge = { 'content-type': 'application/merge-patch+json' }
/** The list of a pod's conditions is merged by type: that it was scheduled stays. */
export const strategic = { 'content-type': 'application/strategic-merge-patch+json' }

const usual = { cpu: '8', memory: '16Gi', pods: '110', 'ephemeral-storage': '100Gi' }

export const body = (object: object): Buffer => Buffer.from(JSON.stringify(object))

export const registration = (name: string, labels: Record<string, string> = {}, spec: Partial<Node['spec']> = {}) => ({
  metadata: { name, labels: { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux', ...labels } },
  spec,
})

/** `index`: of the node among all. */
export function readyStatus(name: string, index: number, capacity: Record<string, string> = usual) {
  const now = timestamp(Date.now())
  const ready = { type: 'Ready', status: 'True', reason: 'KubeletReady', lastHeartbeatTime: now, lastTransitionTime: now }
  const addresses = [
    { type: 'InternalIP', address: `10.${64 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}` },
    { type: 'Hostname', address: name },
  ]
  return { status: { capacity, allocatable: capacity, conditions: [ready], addresses } }
}

export const renewal = (name: string) => ({
  holderIdentity: name,
  leaseDurationSeconds: 40,
  renewTime: microTimestamp(Date.now()),
})

export const podPath = ({ metadata }: Pod): string => `/api/v1/namespaces/${metadata.namespace}/pods/${metadata.name}`

/** `serial`: of the pod among those of its node, for its address. */
export function runningStatus({ metadata, spec }: Pod, index: number, serial: number) {
  const podIP = `10.${128 + (index >> 8)}.${index & 255}.${1 + (serial % 250)}`
  const now = timestamp(Date.now())
  const conditions = ['Initialized', 'ContainersReady', 'Ready'].map((type) => ({ type, status: 'True', lastTransitionTime: now }))
  const containerStatuses = spec.containers.map(({ name, image }) => ({
    name,
    image,
    imageID: 'sha256:0',
    containerID: `hollow://${metadata.uid}`,
    ready: true,
    started: true,
    restartCount: 0,
    state: { running: { startedAt: now } },
  }))
  return { status: { phase: 'Running', podIP, podIPs: [{ ip: podIP }], startTime: now, conditions, containerStatuses } }
}

export const lastDelete = ({ metadata: { uid } }: Pod) => ({ gracePeriodSeconds: 0, preconditions: { uid } })
