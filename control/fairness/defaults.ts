// The flow schemas and priority levels that every cluster has: Kubernetes' mandatory and suggested ones,
// so that nodes, leader elections and people each have seats of their own.

import type {
  FlowSchemaSpec,
  NonResourcePolicyRule,
  PriorityLevelConfigurationSpec,
  ResourcePolicyRule,
  Subject,
} from '#api/types/flowcontrol-v1.gen.ts'
import { authenticated, masters, nodesGroup } from '../auth/user.ts'

/** While it says `true`, a default keeps the specification that is written here. */
export const autoupdate = 'apf.kubernetes.io/autoupdate-spec'
/** Without these the server cannot place every request: they are always as they are here. */
export const mandatory: readonly string[] = ['exempt', 'catch-all']

type Queuing = { queues: number; handSize: number; queueLengthLimit: number }

const limited = (shares: number, lendablePercent: number, queuing?: Queuing): PriorityLevelConfigurationSpec => ({
  type: 'Limited',
  limited: {
    nominalConcurrencyShares: shares,
    lendablePercent,
    limitResponse: queuing ? { type: 'Queue', queuing } : { type: 'Reject' },
  },
})
const narrow = { queues: 64, handSize: 6, queueLengthLimit: 50 }
const wide = { queues: 128, handSize: 6, queueLengthLimit: 50 }

export const defaultLevels: ReadonlyMap<string, PriorityLevelConfigurationSpec> = new Map([
  ['exempt', { type: 'Exempt', exempt: { nominalConcurrencyShares: 0, lendablePercent: 0 } }],
  ['catch-all', limited(5, 0)],
  ['system', limited(30, 33, narrow)],
  ['node-high', limited(40, 25, narrow)],
  ['leader-election', limited(10, 0, { queues: 16, handSize: 4, queueLengthLimit: 50 })],
  ['workload-high', limited(40, 50, wide)],
  ['workload-low', limited(100, 90, wide)],
  ['global-default', limited(20, 50, wide)],
])

const group = (name: string): Subject => ({ kind: 'Group', group: { name } })
const user = (name: string): Subject => ({ kind: 'User', user: { name } })
const account = (name: string): Subject => ({ kind: 'ServiceAccount', serviceAccount: { namespace: 'kube-system', name } })
const everybody = [group('system:unauthenticated'), group(authenticated)]

const anyResource: ResourcePolicyRule = { verbs: ['*'], apiGroups: ['*'], resources: ['*'], namespaces: ['*'], clusterScope: true }
const anyPath: NonResourcePolicyRule = { verbs: ['*'], nonResourceURLs: ['*'] }
const some = (verbs: string[], apiGroup: string, ...resources: string[]): ResourcePolicyRule => ({
  verbs,
  apiGroups: [apiGroup],
  resources,
  namespaces: ['*'],
})
const renewing = ['get', 'create', 'update']

type Rules = { subjects: Subject[]; resourceRules?: ResourcePolicyRule[]; nonResourceRules?: NonResourcePolicyRule[] }
const everything = (...subjects: Subject[]): Rules => ({ subjects, resourceRules: [anyResource], nonResourceRules: [anyPath] })

const schema = (
  level: string,
  matchingPrecedence: number,
  by: 'ByUser' | 'ByNamespace' | undefined,
  ...rules: Rules[]
): FlowSchemaSpec => ({
  priorityLevelConfiguration: { name: level },
  matchingPrecedence,
  ...(by && { distinguisherMethod: { type: by } }),
  rules,
})

const leases = some(renewing, 'coordination.k8s.io', 'leases')

export const defaultSchemas: ReadonlyMap<string, FlowSchemaSpec> = new Map([
  ['exempt', schema('exempt', 1, undefined, everything(group(masters)))],
  ['catch-all', schema('catch-all', 10_000, 'ByUser', everything(...everybody))],
  [
    'probes',
    schema('exempt', 2, undefined, {
      subjects: everybody,
      nonResourceRules: [{ verbs: ['get'], nonResourceURLs: ['/healthz', '/readyz', '/livez'] }],
    }),
  ],
  [
    'system-leader-election',
    schema('leader-election', 100, 'ByUser', {
      subjects: [user('system:kube-controller-manager'), user('system:kube-scheduler'), account('*')],
      resourceRules: [leases],
    }),
  ],
  [
    'endpoint-controller',
    schema('workload-high', 150, 'ByUser', {
      subjects: [
        user('system:kube-controller-manager'),
        account('endpoint-controller'),
        account('endpointslice-controller'),
        account('endpointslicemirroring-controller'),
      ],
      resourceRules: [some(renewing, '', 'endpoints'), some(renewing, 'discovery.k8s.io', 'endpointslices')],
    }),
  ],
  ['workload-leader-election', schema('leader-election', 200, 'ByUser', { subjects: [account('*')], resourceRules: [leases] })],
  [
    'system-node-high',
    schema('node-high', 400, 'ByUser', {
      subjects: [group(nodesGroup)],
      resourceRules: [{ ...some(['*'], '', 'nodes', 'nodes/status'), clusterScope: true }, some(['*'], 'coordination.k8s.io', 'leases')],
    }),
  ],
  ['system-nodes', schema('system', 500, 'ByUser', everything(group(nodesGroup)))],
  ['kube-controller-manager', schema('workload-high', 800, 'ByNamespace', everything(user('system:kube-controller-manager')))],
  ['kube-scheduler', schema('workload-high', 800, 'ByNamespace', everything(user('system:kube-scheduler')))],
  ['kube-system-service-accounts', schema('workload-high', 900, 'ByNamespace', everything(account('*')))],
  ['service-accounts', schema('workload-low', 9000, 'ByUser', everything(group('system:serviceaccounts')))],
  ['global-default', schema('global-default', 9900, 'ByUser', everything(...everybody))],
])
