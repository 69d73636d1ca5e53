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

export const Namespace = kind<core.Namespace>('', 'v1', 'Namespace', 'namespaces', false)
export const Node = kind<core.Node>('', 'v1', 'Node', 'nodes', false)
export const Pod = kind<core.Pod>('', 'v1', 'Pod', 'pods')
export const Service = kind<core.Service>('', 'v1', 'Service', 'services')
export const Endpoints = kind<core.Endpoints>('', 'v1', 'Endpoints', 'endpoints')
export const ConfigMap = kind<core.ConfigMap>('', 'v1', 'ConfigMap', 'configmaps')
export const Secret = kind<core.Secret>('', 'v1', 'Secret', 'secrets')
export const ServiceAccount = kind<core.ServiceAccount>('', 'v1', 'ServiceAccount', 'serviceaccounts')
export const Event = kind<core.Event>('', 'v1', 'Event', 'events')
export const Deployment = kind<apps.Deployment>('apps', 'v1', 'Deployment', 'deployments')
export const ReplicaSet = kind<apps.ReplicaSet>('apps', 'v1', 'ReplicaSet', 'replicasets')
export const EndpointSlice = kind<EndpointSliceType>('discovery.k8s.io', 'v1', 'EndpointSlice', 'endpointslices')
export const Lease = kind<LeaseType>('coordination.k8s.io', 'v1', 'Lease', 'leases')

export const ComponentStatus = kind<core.ComponentStatus>('', 'v1', 'ComponentStatus', 'componentstatuses', false)
export const LimitRange = kind<core.LimitRange>('', 'v1', 'LimitRange', 'limitranges')
export const PersistentVolume = kind<core.PersistentVolume>('', 'v1', 'PersistentVolume', 'persistentvolumes', false)
export const PersistentVolumeClaim = kind<core.PersistentVolumeClaim>('', 'v1', 'PersistentVolumeClaim', 'persistentvolumeclaims')
export const PodTemplate = kind<core.PodTemplate>('', 'v1', 'PodTemplate', 'podtemplates')
export const ReplicationController = kind<core.ReplicationController>('', 'v1', 'ReplicationController', 'replicationcontrollers')
export const ResourceQuota = kind<core.ResourceQuota>('', 'v1', 'ResourceQuota', 'resourcequotas')
export const ControllerRevision = kind<apps.ControllerRevision>('apps', 'v1', 'ControllerRevision', 'controllerrevisions')
export const DaemonSet = kind<apps.DaemonSet>('apps', 'v1', 'DaemonSet', 'daemonsets')
export const StatefulSet = kind<apps.StatefulSet>('apps', 'v1', 'StatefulSet', 'statefulsets')
export const HorizontalPodAutoscaler = kind<HorizontalPodAutoscalerType>(
  'autoscaling',
  'v2',
  'HorizontalPodAutoscaler',
  'horizontalpodautoscalers',
)
export const HorizontalPodAutoscalerV1 = kind<HorizontalPodAutoscalerV1Type>(
  'autoscaling',
  'v1',
  'HorizontalPodAutoscaler',
  'horizontalpodautoscalers',
)
export const CronJob = kind<batch.CronJob>('batch', 'v1', 'CronJob', 'cronjobs')
export const Job = kind<batch.Job>('batch', 'v1', 'Job', 'jobs')
export const CertificateSigningRequest = kind<CertificateSigningRequestType>(
  'certificates.k8s.io',
  'v1',
  'CertificateSigningRequest',
  'certificatesigningrequests',
  false,
)
export const CustomResourceDefinition = kind<CustomResourceDefinitionType>(
  'apiextensions.k8s.io',
  'v1',
  'CustomResourceDefinition',
  'customresourcedefinitions',
  false,
)
export const APIService = kind<APIServiceType>('apiregistration.k8s.io', 'v1', 'APIService', 'apiservices', false)
export const EventV1 = kind<EventV1Type>('events.k8s.io', 'v1', 'Event', 'events')
export const NodeMetrics = kind<NodeMetricsType>('metrics.k8s.io', 'v1beta1', 'NodeMetrics', 'nodes', false)
export const PodMetrics = kind<PodMetricsType>('metrics.k8s.io', 'v1beta1', 'PodMetrics', 'pods')
export const Ingress = kind<networking.Ingress>('networking.k8s.io', 'v1', 'Ingress', 'ingresses')
export const IngressClass = kind<networking.IngressClass>('networking.k8s.io', 'v1', 'IngressClass', 'ingressclasses', false)
export const IPAddress = kind<networking.IPAddress>('networking.k8s.io', 'v1', 'IPAddress', 'ipaddresses', false)
export const NetworkPolicy = kind<networking.NetworkPolicy>('networking.k8s.io', 'v1', 'NetworkPolicy', 'networkpolicies')
export const ServiceCIDR = kind<networking.ServiceCIDR>('networking.k8s.io', 'v1', 'ServiceCIDR', 'servicecidrs', false)
export const RuntimeClass = kind<RuntimeClassType>('node.k8s.io', 'v1', 'RuntimeClass', 'runtimeclasses', false)
export const PodDisruptionBudget = kind<PodDisruptionBudgetType>('policy', 'v1', 'PodDisruptionBudget', 'poddisruptionbudgets')
export const ClusterRole = kind<rbac.ClusterRole>('rbac.authorization.k8s.io', 'v1', 'ClusterRole', 'clusterroles', false)
export const ClusterRoleBinding = kind<rbac.ClusterRoleBinding>(
  'rbac.authorization.k8s.io',
  'v1',
  'ClusterRoleBinding',
  'clusterrolebindings',
  false,
)
export const Role = kind<rbac.Role>('rbac.authorization.k8s.io', 'v1', 'Role', 'roles')
export const RoleBinding = kind<rbac.RoleBinding>('rbac.authorization.k8s.io', 'v1', 'RoleBinding', 'rolebindings')
export const PriorityClass = kind<PriorityClassType>('scheduling.k8s.io', 'v1', 'PriorityClass', 'priorityclasses', false)
export const CSIDriver = kind<storage.CSIDriver>('storage.k8s.io', 'v1', 'CSIDriver', 'csidrivers', false)
export const CSINode = kind<storage.CSINode>('storage.k8s.io', 'v1', 'CSINode', 'csinodes', false)
export const CSIStorageCapacity = kind<storage.CSIStorageCapacity>('storage.k8s.io', 'v1', 'CSIStorageCapacity', 'csistoragecapacities')
export const StorageClass = kind<storage.StorageClass>('storage.k8s.io', 'v1', 'StorageClass', 'storageclasses', false)
export const VolumeAttachment = kind<storage.VolumeAttachment>('storage.k8s.io', 'v1', 'VolumeAttachment', 'volumeattachments', false)
export const VolumeAttributesClass = kind<storage.VolumeAttributesClass>(
  'storage.k8s.io',
  'v1',
  'VolumeAttributesClass',
  'volumeattributesclasses',
  false,
)
export const MutatingAdmissionPolicy = kind<registration.MutatingAdmissionPolicy>(
  'admissionregistration.k8s.io',
  'v1',
  'MutatingAdmissionPolicy',
  'mutatingadmissionpolicies',
  false,
)
export const MutatingAdmissionPolicyBinding = kind<registration.MutatingAdmissionPolicyBinding>(
  'admissionregistration.k8s.io',
  'v1',
  'MutatingAdmissionPolicyBinding',
  'mutatingadmissionpolicybindings',
  false,
)
export const MutatingWebhookConfiguration = kind<registration.MutatingWebhookConfiguration>(
  'admissionregistration.k8s.io',
  'v1',
  'MutatingWebhookConfiguration',
  'mutatingwebhookconfigurations',
  false,
)
export const ValidatingAdmissionPolicy = kind<registration.ValidatingAdmissionPolicy>(
  'admissionregistration.k8s.io',
  'v1',
  'ValidatingAdmissionPolicy',
  'validatingadmissionpolicies',
  false,
)
export const ValidatingAdmissionPolicyBinding = kind<registration.ValidatingAdmissionPolicyBinding>(
  'admissionregistration.k8s.io',
  'v1',
  'ValidatingAdmissionPolicyBinding',
  'validatingadmissionpolicybindings',
  false,
)
export const ValidatingWebhookConfiguration = kind<registration.ValidatingWebhookConfiguration>(
  'admissionregistration.k8s.io',
  'v1',
  'ValidatingWebhookConfiguration',
  'validatingwebhookconfigurations',
  false,
)
export const FlowSchema = kind<flowcontrol.FlowSchema>('flowcontrol.apiserver.k8s.io', 'v1', 'FlowSchema', 'flowschemas', false)
export const PriorityLevelConfiguration = kind<flowcontrol.PriorityLevelConfiguration>(
  'flowcontrol.apiserver.k8s.io',
  'v1',
  'PriorityLevelConfiguration',
  'prioritylevelconfigurations',
  false,
)
export const DeviceClass = kind<resource.DeviceClass>('resource.k8s.io', 'v1', 'DeviceClass', 'deviceclasses', false)
export const ResourceClaim = kind<resource.ResourceClaim>('resource.k8s.io', 'v1', 'ResourceClaim', 'resourceclaims')
export const ResourceClaimTemplate = kind<resource.ResourceClaimTemplate>(
  'resource.k8s.io',
  'v1',
  'ResourceClaimTemplate',
  'resourceclaimtemplates',
)
export const ResourceSlice = kind<resource.ResourceSlice>('resource.k8s.io', 'v1', 'ResourceSlice', 'resourceslices', false)
