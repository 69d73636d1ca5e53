// The built-in kinds as typed descriptors. The server's list, with printer columns, defaults and
// validation, is in registry.ts.

import type * as registration from '../types/admissionregistration-v1.gen.ts'
import type { CustomResourceDefinition as CustomResourceDefinitionType } from '../types/apiextensions-v1.gen.ts'
import type { APIService as APIServiceType } from '../types/apiregistration-v1.gen.ts'
import type * as apps from '../types/apps-v1.gen.ts'
import type { HorizontalPodAutoscaler as HorizontalPodAutoscalerV1Type } from '../types/autoscaling-v1.gen.ts'
import type { HorizontalPodAutoscaler as HorizontalPodAutoscalerType } from '../types/autoscaling-v2.gen.ts'
import type * as batch from '../types/batch-v1.gen.ts'
import type { CertificateSigningRequest as CertificateSigningRequestType } from '../types/certificates-v1.gen.ts'
import type { Lease as LeaseType } from '../types/coordination-v1.gen.ts'
import type * as core from '../types/core-v1.gen.ts'
import type { EndpointSlice as EndpointSliceType } from '../types/discovery-v1.gen.ts'
import type { Event as EventV1Type } from '../types/events-v1.gen.ts'
import type * as flowcontrol from '../types/flowcontrol-v1.gen.ts'
import type { NodeMetrics as NodeMetricsType, PodMetrics as PodMetricsType } from '../types/metrics-v1beta1.gen.ts'
import type * as networking from '../types/networking-v1.gen.ts'
import type { RuntimeClass as RuntimeClassType } from '../types/node-v1.gen.ts'
import type { PodDisruptionBudget as PodDisruptionBudgetType } from '../types/policy-v1.gen.ts'
import type * as rbac from '../types/rbac-v1.gen.ts'
import type * as resource from '../types/resource-v1.gen.ts'
import type { PriorityClass as PriorityClassType } from '../types/scheduling-v1.gen.ts'
import type * as storage from '../types/storage-v1.gen.ts'
import type { Kind, KubeObject } from './kind.ts'

const kind = <T extends KubeObject>(group: string, version: string, name: string, plural: string, namespaced = true): Kind<T> =>
  Object.freeze({ group, version, kind: name, plural, namespaced })

export type Namespace = core.Namespace
export const Namespace = kind<core.Namespace>('', 'v1', 'Namespace', 'namespaces', false)
export type Node = core.Node
export const Node = kind<core.Node>('', 'v1', 'Node', 'nodes', false)
export type Pod = core.Pod
export const Pod = kind<core.Pod>('', 'v1', 'Pod', 'pods')
export type Service = core.Service
export const Service = kind<core.Service>('', 'v1', 'Service', 'services')
export type Endpoints = core.Endpoints
export const Endpoints = kind<core.Endpoints>('', 'v1', 'Endpoints', 'endpoints')
export type ConfigMap = core.ConfigMap
export const ConfigMap = kind<core.ConfigMap>('', 'v1', 'ConfigMap', 'configmaps')
export type Secret = core.Secret
export const Secret = kind<core.Secret>('', 'v1', 'Secret', 'secrets')
export type ServiceAccount = core.ServiceAccount
export const ServiceAccount = kind<core.ServiceAccount>('', 'v1', 'ServiceAccount', 'serviceaccounts')
export type Event = core.Event
export const Event = kind<core.Event>('', 'v1', 'Event', 'events')
export type Deployment = apps.Deployment
export const Deployment = kind<apps.Deployment>('apps', 'v1', 'Deployment', 'deployments')
export type ReplicaSet = apps.ReplicaSet
export const ReplicaSet = kind<apps.ReplicaSet>('apps', 'v1', 'ReplicaSet', 'replicasets')
export type EndpointSlice = EndpointSliceType
export const EndpointSlice = kind<EndpointSliceType>('discovery.k8s.io', 'v1', 'EndpointSlice', 'endpointslices')
export type Lease = LeaseType
export const Lease = kind<LeaseType>('coordination.k8s.io', 'v1', 'Lease', 'leases')

export type ComponentStatus = core.ComponentStatus
export const ComponentStatus = kind<core.ComponentStatus>('', 'v1', 'ComponentStatus', 'componentstatuses', false)
export type LimitRange = core.LimitRange
export const LimitRange = kind<core.LimitRange>('', 'v1', 'LimitRange', 'limitranges')
export type PersistentVolume = core.PersistentVolume
export const PersistentVolume = kind<core.PersistentVolume>('', 'v1', 'PersistentVolume', 'persistentvolumes', false)
export type PersistentVolumeClaim = core.PersistentVolumeClaim
export const PersistentVolumeClaim = kind<core.PersistentVolumeClaim>('', 'v1', 'PersistentVolumeClaim', 'persistentvolumeclaims')
export type PodTemplate = core.PodTemplate
export const PodTemplate = kind<core.PodTemplate>('', 'v1', 'PodTemplate', 'podtemplates')
export type ReplicationController = core.ReplicationController
export const ReplicationController = kind<core.ReplicationController>('', 'v1', 'ReplicationController', 'replicationcontrollers')
export type ResourceQuota = core.ResourceQuota
export const ResourceQuota = kind<core.ResourceQuota>('', 'v1', 'ResourceQuota', 'resourcequotas')
export type ControllerRevision = apps.ControllerRevision
export const ControllerRevision = kind<apps.ControllerRevision>('apps', 'v1', 'ControllerRevision', 'controllerrevisions')
export type DaemonSet = apps.DaemonSet
export const DaemonSet = kind<apps.DaemonSet>('apps', 'v1', 'DaemonSet', 'daemonsets')
export type StatefulSet = apps.StatefulSet
export const StatefulSet = kind<apps.StatefulSet>('apps', 'v1', 'StatefulSet', 'statefulsets')
export type HorizontalPodAutoscaler = HorizontalPodAutoscalerType
export const HorizontalPodAutoscaler = kind<HorizontalPodAutoscalerType>(
  'autoscaling',
  'v2',
  'HorizontalPodAutoscaler',
  'horizontalpodautoscalers',
)
export type HorizontalPodAutoscalerV1 = HorizontalPodAutoscalerV1Type
export const HorizontalPodAutoscalerV1 = kind<HorizontalPodAutoscalerV1Type>(
  'autoscaling',
  'v1',
  'HorizontalPodAutoscaler',
  'horizontalpodautoscalers',
)
export type CronJob = batch.CronJob
export const CronJob = kind<batch.CronJob>('batch', 'v1', 'CronJob', 'cronjobs')
export type Job = batch.Job
export const Job = kind<batch.Job>('batch', 'v1', 'Job', 'jobs')
export type CertificateSigningRequest = CertificateSigningRequestType
export const CertificateSigningRequest = kind<CertificateSigningRequestType>(
  'certificates.k8s.io',
  'v1',
  'CertificateSigningRequest',
  'certificatesigningrequests',
  false,
)
export type CustomResourceDefinition = CustomResourceDefinitionType
export const CustomResourceDefinition = kind<CustomResourceDefinitionType>(
  'apiextensions.k8s.io',
  'v1',
  'CustomResourceDefinition',
  'customresourcedefinitions',
  false,
)
export type APIService = APIServiceType
export const APIService = kind<APIServiceType>('apiregistration.k8s.io', 'v1', 'APIService', 'apiservices', false)
export type EventV1 = EventV1Type
export const EventV1 = kind<EventV1Type>('events.k8s.io', 'v1', 'Event', 'events')
export type NodeMetrics = NodeMetricsType
export const NodeMetrics = kind<NodeMetricsType>('metrics.k8s.io', 'v1beta1', 'NodeMetrics', 'nodes', false)
export type PodMetrics = PodMetricsType
export const PodMetrics = kind<PodMetricsType>('metrics.k8s.io', 'v1beta1', 'PodMetrics', 'pods')
export type Ingress = networking.Ingress
export const Ingress = kind<networking.Ingress>('networking.k8s.io', 'v1', 'Ingress', 'ingresses')
export type IngressClass = networking.IngressClass
export const IngressClass = kind<networking.IngressClass>('networking.k8s.io', 'v1', 'IngressClass', 'ingressclasses', false)
export type IPAddress = networking.IPAddress
export const IPAddress = kind<networking.IPAddress>('networking.k8s.io', 'v1', 'IPAddress', 'ipaddresses', false)
export type NetworkPolicy = networking.NetworkPolicy
export const NetworkPolicy = kind<networking.NetworkPolicy>('networking.k8s.io', 'v1', 'NetworkPolicy', 'networkpolicies')
export type ServiceCIDR = networking.ServiceCIDR
export const ServiceCIDR = kind<networking.ServiceCIDR>('networking.k8s.io', 'v1', 'ServiceCIDR', 'servicecidrs', false)
export type RuntimeClass = RuntimeClassType
export const RuntimeClass = kind<RuntimeClassType>('node.k8s.io', 'v1', 'RuntimeClass', 'runtimeclasses', false)
export type PodDisruptionBudget = PodDisruptionBudgetType
export const PodDisruptionBudget = kind<PodDisruptionBudgetType>('policy', 'v1', 'PodDisruptionBudget', 'poddisruptionbudgets')
export type ClusterRole = rbac.ClusterRole
export const ClusterRole = kind<rbac.ClusterRole>('rbac.authorization.k8s.io', 'v1', 'ClusterRole', 'clusterroles', false)
export type ClusterRoleBinding = rbac.ClusterRoleBinding
export const ClusterRoleBinding = kind<rbac.ClusterRoleBinding>(
  'rbac.authorization.k8s.io',
  'v1',
  'ClusterRoleBinding',
  'clusterrolebindings',
  false,
)
export type Role = rbac.Role
export const Role = kind<rbac.Role>('rbac.authorization.k8s.io', 'v1', 'Role', 'roles')
export type RoleBinding = rbac.RoleBinding
export const RoleBinding = kind<rbac.RoleBinding>('rbac.authorization.k8s.io', 'v1', 'RoleBinding', 'rolebindings')
export type PriorityClass = PriorityClassType
export const PriorityClass = kind<PriorityClassType>('scheduling.k8s.io', 'v1', 'PriorityClass', 'priorityclasses', false)
export type CSIDriver = storage.CSIDriver
export const CSIDriver = kind<storage.CSIDriver>('storage.k8s.io', 'v1', 'CSIDriver', 'csidrivers', false)
export type CSINode = storage.CSINode
export const CSINode = kind<storage.CSINode>('storage.k8s.io', 'v1', 'CSINode', 'csinodes', false)
export type CSIStorageCapacity = storage.CSIStorageCapacity
export const CSIStorageCapacity = kind<storage.CSIStorageCapacity>('storage.k8s.io', 'v1', 'CSIStorageCapacity', 'csistoragecapacities')
export type StorageClass = storage.StorageClass
export const StorageClass = kind<storage.StorageClass>('storage.k8s.io', 'v1', 'StorageClass', 'storageclasses', false)
export type VolumeAttachment = storage.VolumeAttachment
export const VolumeAttachment = kind<storage.VolumeAttachment>('storage.k8s.io', 'v1', 'VolumeAttachment', 'volumeattachments', false)
export type VolumeAttributesClass = storage.VolumeAttributesClass
export const VolumeAttributesClass = kind<storage.VolumeAttributesClass>(
  'storage.k8s.io',
  'v1',
  'VolumeAttributesClass',
  'volumeattributesclasses',
  false,
)
export type MutatingAdmissionPolicy = registration.MutatingAdmissionPolicy
export const MutatingAdmissionPolicy = kind<registration.MutatingAdmissionPolicy>(
  'admissionregistration.k8s.io',
  'v1',
  'MutatingAdmissionPolicy',
  'mutatingadmissionpolicies',
  false,
)
export type MutatingAdmissionPolicyBinding = registration.MutatingAdmissionPolicyBinding
export const MutatingAdmissionPolicyBinding = kind<registration.MutatingAdmissionPolicyBinding>(
  'admissionregistration.k8s.io',
  'v1',
  'MutatingAdmissionPolicyBinding',
  'mutatingadmissionpolicybindings',
  false,
)
export type MutatingWebhookConfiguration = registration.MutatingWebhookConfiguration
export const MutatingWebhookConfiguration = kind<registration.MutatingWebhookConfiguration>(
  'admissionregistration.k8s.io',
  'v1',
  'MutatingWebhookConfiguration',
  'mutatingwebhookconfigurations',
  false,
)
export type ValidatingAdmissionPolicy = registration.ValidatingAdmissionPolicy
export const ValidatingAdmissionPolicy = kind<registration.ValidatingAdmissionPolicy>(
  'admissionregistration.k8s.io',
  'v1',
  'ValidatingAdmissionPolicy',
  'validatingadmissionpolicies',
  false,
)
export type ValidatingAdmissionPolicyBinding = registration.ValidatingAdmissionPolicyBinding
export const ValidatingAdmissionPolicyBinding = kind<registration.ValidatingAdmissionPolicyBinding>(
  'admissionregistration.k8s.io',
  'v1',
  'ValidatingAdmissionPolicyBinding',
  'validatingadmissionpolicybindings',
  false,
)
export type ValidatingWebhookConfiguration = registration.ValidatingWebhookConfiguration
export const ValidatingWebhookConfiguration = kind<registration.ValidatingWebhookConfiguration>(
  'admissionregistration.k8s.io',
  'v1',
  'ValidatingWebhookConfiguration',
  'validatingwebhookconfigurations',
  false,
)
export type FlowSchema = flowcontrol.FlowSchema
export const FlowSchema = kind<flowcontrol.FlowSchema>('flowcontrol.apiserver.k8s.io', 'v1', 'FlowSchema', 'flowschemas', false)
export type PriorityLevelConfiguration = flowcontrol.PriorityLevelConfiguration
export const PriorityLevelConfiguration = kind<flowcontrol.PriorityLevelConfiguration>(
  'flowcontrol.apiserver.k8s.io',
  'v1',
  'PriorityLevelConfiguration',
  'prioritylevelconfigurations',
  false,
)
export type DeviceClass = resource.DeviceClass
export const DeviceClass = kind<resource.DeviceClass>('resource.k8s.io', 'v1', 'DeviceClass', 'deviceclasses', false)
export type ResourceClaim = resource.ResourceClaim
export const ResourceClaim = kind<resource.ResourceClaim>('resource.k8s.io', 'v1', 'ResourceClaim', 'resourceclaims')
export type ResourceClaimTemplate = resource.ResourceClaimTemplate
export const ResourceClaimTemplate = kind<resource.ResourceClaimTemplate>(
  'resource.k8s.io',
  'v1',
  'ResourceClaimTemplate',
  'resourceclaimtemplates',
)
export type ResourceSlice = resource.ResourceSlice
export const ResourceSlice = kind<resource.ResourceSlice>('resource.k8s.io', 'v1', 'ResourceSlice', 'resourceslices', false)
