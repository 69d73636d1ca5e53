// The kinds that our own components use, as typed descriptors. The server's full list, with printer
// columns, defaults and validation, is in registry.ts.

import type { Deployment as DeploymentType, ReplicaSet as ReplicaSetType } from '../types/apps-v1.gen.ts'
import type { Lease as LeaseType } from '../types/coordination-v1.gen.ts'
import type * as core from '../types/core-v1.gen.ts'
import type { EndpointSlice as EndpointSliceType } from '../types/discovery-v1.gen.ts'
import type { Kind, KubeObject } from './kind.ts'

const kind = <T extends KubeObject>(group: string, version: string, name: string, plural: string, namespaced = true): Kind<T> =>
  Object.freeze({ group, version, kind: name, plural, namespaced })

export const Namespace = kind<core.Namespace>('', 'v1', 'Namespace', 'namespaces', false)
export const Node = kind<core.Node>('', 'v1', 'Node', 'nodes', false)
export const Pod = kind<core.Pod>('', 'v1', 'Pod', 'pods')
export const Service = kind<core.Service>('', 'v1', 'Service', 'services')
export const Endpoints = kind<core.Endpoints>('', 'v1', 'Endpoints', 'endpoints')
export const ConfigMap = kind<core.ConfigMap>('', 'v1', 'ConfigMap', 'configmaps')
export const Secret = kind<core.Secret>('', 'v1', 'Secret', 'secrets')
export const ServiceAccount = kind<core.ServiceAccount>('', 'v1', 'ServiceAccount', 'serviceaccounts')
export const Event = kind<core.Event>('', 'v1', 'Event', 'events')
export const Deployment = kind<DeploymentType>('apps', 'v1', 'Deployment', 'deployments')
export const ReplicaSet = kind<ReplicaSetType>('apps', 'v1', 'ReplicaSet', 'replicasets')
export const EndpointSlice = kind<EndpointSliceType>('discovery.k8s.io', 'v1', 'EndpointSlice', 'endpointslices')
export const Lease = kind<LeaseType>('coordination.k8s.io', 'v1', 'Lease', 'leases')
