// The roles and bindings that every cluster has, with the names and the rights that Kubernetes gives
// them, so that manifests which bind them work (https://kubernetes.io/docs/reference/access-authn-authz/rbac/).
// Those of Kubernetes' controllers are not among them: our controllers do not act as service accounts.

import { rbacGroup } from '#api/kinds/rules/rbac-rules.ts'
import type { ClusterRole, ClusterRoleBinding, PolicyRule, Subject } from '#api/types/rbac-v1.gen.ts'

type Meta = { name: string; labels: Record<string, string>; annotations: Record<string, string> }
type Default<T> = Omit<T, 'apiVersion' | 'kind' | 'metadata'> & { metadata: Meta }

/** A role that carries this, and does not say `false`, gets back what it lost when the server starts. */
export const autoupdate = 'rbac.authorization.kubernetes.io/autoupdate'
const aggregateTo = (role: string) => `rbac.authorization.k8s.io/aggregate-to-${role}`

const words = (text: string): string[] => text.split(' ')
/** Lists are words; the core group is `core`. */
const rule = (verbs: string, groups: string, resources: string, names?: string): PolicyRule => ({
  verbs: words(verbs),
  apiGroups: words(groups).map((group) => (group === 'core' ? '' : group)),
  resources: words(resources),
  ...(names && { resourceNames: words(names) }),
})
const paths = (urls: string): PolicyRule => ({ verbs: ['get'], nonResourceURLs: words(urls) })

const read = 'get list watch'
const write = 'create delete deletecollection patch update'
const all = 'create delete deletecollection get list patch update watch'
const report = 'create patch update'
const events = rule(report, 'core events.k8s.io', 'events')

const workloads = 'deployments deployments/scale replicasets replicasets/scale statefulsets statefulsets/scale'

/** By the role that gathers them: what people may do in a namespace. */
const gathered: Record<string, PolicyRule[]> = {
  admin: [rule('create', 'authorization.k8s.io', 'localsubjectaccessreviews'), rule(all, rbacGroup, 'rolebindings roles')],
  edit: [
    rule(read, 'core', 'pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy'),
    rule('impersonate', 'core', 'serviceaccounts'),
    rule(write, 'core', 'pods pods/attach pods/exec pods/portforward pods/proxy'),
    rule('create', 'core', 'pods/eviction'),
    rule(
      write,
      'core',
      'configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets serviceaccounts services services/proxy',
    ),
    rule('create', 'core', 'serviceaccounts/token'),
    rule(write, 'apps', `daemonsets deployments/rollback ${workloads}`),
    rule(write, 'autoscaling', 'horizontalpodautoscalers'),
    rule(write, 'batch', 'cronjobs jobs'),
    rule(write, 'policy', 'poddisruptionbudgets'),
    rule(write, 'networking.k8s.io', 'ingresses networkpolicies'),
    rule(all, 'coordination.k8s.io', 'leases'),
    rule(write, 'resource.k8s.io', 'resourceclaims resourceclaimtemplates'),
  ],
  view: [
    rule(
      read,
      'core',
      'configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status',
    ),
    rule(
      read,
      'core',
      'bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas resourcequotas/status',
    ),
    rule(read, 'core', 'namespaces'),
    rule(read, 'discovery.k8s.io', 'endpointslices'),
    rule(
      read,
      'apps',
      `controllerrevisions daemonsets daemonsets/status ${workloads} deployments/status replicasets/status statefulsets/status`,
    ),
    rule(read, 'autoscaling', 'horizontalpodautoscalers horizontalpodautoscalers/status'),
    rule(read, 'batch', 'cronjobs cronjobs/status jobs jobs/status'),
    rule(read, 'policy', 'poddisruptionbudgets poddisruptionbudgets/status'),
    rule(read, 'networking.k8s.io', 'ingresses ingresses/status networkpolicies'),
    rule(read, 'resource.k8s.io', 'resourceclaims resourceclaims/status resourceclaimtemplates'),
  ],
}

const reviews = [rule('create', 'authentication.k8s.io', 'tokenreviews'), rule('create', 'authorization.k8s.io', 'subjectaccessreviews')]
const signerApprover = (signer: string) => [rule('approve', 'certificates.k8s.io', 'signers', `kubernetes.io/${signer}`)]

const plain: Record<string, PolicyRule[]> = {
  'cluster-admin': [rule('*', '*', '*'), { verbs: ['*'], nonResourceURLs: ['*'] }],
  'system:discovery': [paths('/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/')],
  'system:basic-user': [
    rule('create', 'authorization.k8s.io', 'selfsubjectaccessreviews selfsubjectrulesreviews'),
    rule('create', 'authentication.k8s.io', 'selfsubjectreviews'),
  ],
  'system:public-info-viewer': [paths('/healthz /livez /readyz /version /version/')],
  'system:service-account-issuer-discovery': [paths('/.well-known/openid-configuration /openid/v1/jwks')],
  'system:monitoring': [paths('/healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*')],
  'system:auth-delegator': reviews,
  'system:kubelet-api-admin': [
    rule(read, 'core', 'nodes'),
    rule('proxy', 'core', 'nodes'),
    rule('*', 'core', 'nodes/log nodes/metrics nodes/proxy nodes/stats'),
  ],
  'system:certificates.k8s.io:certificatesigningrequests:nodeclient': [
    rule('create', 'certificates.k8s.io', 'certificatesigningrequests/nodeclient'),
  ],
  'system:certificates.k8s.io:certificatesigningrequests:selfnodeclient': [
    rule('create', 'certificates.k8s.io', 'certificatesigningrequests/selfnodeclient'),
  ],
  'system:certificates.k8s.io:kube-apiserver-client-approver': signerApprover('kube-apiserver-client'),
  'system:certificates.k8s.io:kube-apiserver-client-kubelet-approver': signerApprover('kube-apiserver-client-kubelet'),
  'system:certificates.k8s.io:kubelet-serving-approver': signerApprover('kubelet-serving'),
  'system:certificates.k8s.io:legacy-unknown-approver': signerApprover('legacy-unknown'),
  'system:node': [
    rule('create', 'authentication.k8s.io', 'tokenreviews'),
    rule('create', 'authorization.k8s.io', 'localsubjectaccessreviews subjectaccessreviews'),
    rule(read, 'core', 'services'),
    rule('create get list watch', 'core', 'nodes'),
    rule('patch update', 'core', 'nodes nodes/status'),
    rule(report, 'core', 'events'),
    rule(read, 'core', 'pods'),
    rule('create delete', 'core', 'pods'),
    rule('patch update', 'core', 'pods/status'),
    rule('create', 'core', 'pods/eviction'),
    rule(read, 'core', 'configmaps secrets'),
    rule('get', 'core', 'persistentvolumeclaims persistentvolumes endpoints'),
    rule('create get list watch', 'certificates.k8s.io', 'certificatesigningrequests'),
    rule('create delete get patch update', 'coordination.k8s.io', 'leases'),
    rule('get', 'storage.k8s.io', 'volumeattachments'),
    rule('create', 'core', 'serviceaccounts/token'),
    rule('get patch update', 'core', 'persistentvolumeclaims/status'),
    rule(read, 'storage.k8s.io', 'csidrivers'),
    rule('create delete get patch update', 'storage.k8s.io', 'csinodes'),
    rule(read, 'node.k8s.io', 'runtimeclasses'),
    rule('get', 'resource.k8s.io', 'resourceclaims'),
    rule('create delete deletecollection get list patch update watch', 'resource.k8s.io', 'resourceslices'),
  ],
  'system:node-bootstrapper': [rule('create get list watch', 'certificates.k8s.io', 'certificatesigningrequests')],
  'system:node-problem-detector': [rule('get', 'core', 'nodes'), rule('patch', 'core', 'nodes/status'), events],
  'system:node-proxier': [
    rule('list watch', 'core', 'endpoints services'),
    rule(read, 'core', 'nodes'),
    events,
    rule('list watch', 'discovery.k8s.io', 'endpointslices'),
    rule('list watch', 'networking.k8s.io', 'servicecidrs'),
  ],
  'system:kube-dns': [rule('list watch', 'core', 'endpoints services')],
  'system:kube-controller-manager': [
    events,
    rule('create', 'coordination.k8s.io', 'leases'),
    rule('get update', 'coordination.k8s.io', 'leases', 'kube-controller-manager'),
    rule('create update', 'core', 'secrets serviceaccounts'),
    rule('delete', 'core', 'secrets'),
    rule('get', 'core', 'configmaps namespaces secrets serviceaccounts'),
    ...reviews,
    rule('list watch', '*', '*'),
    rule('create', 'core', 'serviceaccounts/token'),
  ],
  'system:kube-scheduler': [
    events,
    rule('create', 'coordination.k8s.io', 'leases'),
    rule('get update', 'coordination.k8s.io', 'leases', 'kube-scheduler'),
    rule(read, 'core', 'nodes namespaces replicationcontrollers services persistentvolumeclaims persistentvolumes'),
    rule('delete get list watch', 'core', 'pods'),
    rule('create', 'core', 'bindings pods/binding'),
    rule('patch update', 'core', 'pods/status'),
    rule(read, 'apps extensions', 'replicasets'),
    rule(read, 'apps', 'statefulsets'),
    rule(read, 'policy', 'poddisruptionbudgets'),
    ...reviews,
    rule(read, 'storage.k8s.io', 'csinodes csidrivers csistoragecapacities'),
    rule(read, 'resource.k8s.io', 'deviceclasses resourceclaims resourceslices'),
    rule('patch update', 'resource.k8s.io', 'resourceclaims/status'),
  ],
  'system:volume-scheduler': [
    rule('get list patch update watch', 'core', 'persistentvolumes persistentvolumeclaims'),
    rule(read, 'storage.k8s.io', 'storageclasses'),
  ],
  'system:persistent-volume-provisioner': [
    rule('create delete get list watch', 'core', 'persistentvolumes'),
    rule('get list update watch', 'core', 'persistentvolumeclaims'),
    rule(read, 'storage.k8s.io', 'storageclasses'),
    rule('watch', 'core', 'events'),
    events,
  ],
}

const meta = (name: string, labels: Record<string, string> = {}): Meta => ({
  name,
  labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults', ...labels },
  annotations: { [autoupdate]: 'true' },
})

/** admin gathers what edit gathers, which gathers what view gathers. */
const gatherers = { admin: undefined, edit: 'admin', view: 'edit' }

export const defaultRoles = (): Default<ClusterRole>[] => [
  ...Object.entries(plain).map(([name, rules]) => ({ metadata: meta(name), rules })),
  ...Object.entries(gathered).map(([role, rules]) => ({
    metadata: meta(`system:aggregate-to-${role}`, { [aggregateTo(role)]: 'true' }),
    rules,
  })),
  {
    metadata: meta(
      'system:aggregated-metrics-reader',
      Object.fromEntries(Object.keys(gatherers).map((role) => [aggregateTo(role), 'true'])),
    ),
    rules: [rule(read, 'metrics.k8s.io', 'pods nodes')],
  },
  ...Object.entries(gatherers).map(([role, larger]) => ({
    metadata: meta(role, larger ? { [aggregateTo(larger)]: 'true' } : {}),
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { [aggregateTo(role)]: 'true' } }] },
    rules: [],
  })),
]

const group = (name: string): Subject => ({ kind: 'Group', apiGroup: rbacGroup, name })
const user = (name: string): Subject => ({ kind: 'User', apiGroup: rbacGroup, name })

/** By the role's name, which is the binding's, too. */
const bound: Record<string, Subject[]> = {
  'cluster-admin': [group('system:masters')],
  'system:monitoring': [group('system:monitoring')],
  'system:discovery': [group('system:authenticated')],
  'system:basic-user': [group('system:authenticated')],
  'system:public-info-viewer': [group('system:authenticated'), group('system:unauthenticated')],
  'system:service-account-issuer-discovery': [group('system:serviceaccounts')],
  'system:node-proxier': [user('system:kube-proxy')],
  'system:kube-controller-manager': [user('system:kube-controller-manager')],
  'system:kube-dns': [{ kind: 'ServiceAccount', name: 'kube-dns', namespace: 'kube-system' }],
  'system:kube-scheduler': [user('system:kube-scheduler')],
  'system:volume-scheduler': [user('system:kube-scheduler')],
  // What a node may do depends on its pods: node-authorizer.ts.
  'system:node': [],
}

export const defaultBindings = (): Default<ClusterRoleBinding>[] =>
  Object.entries(bound).map(([name, subjects]) => ({
    metadata: meta(name),
    roleRef: { apiGroup: rbacGroup, kind: 'ClusterRole', name },
    ...(subjects.length > 0 && { subjects }),
  }))
