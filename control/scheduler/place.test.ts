import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { cluster, node, pod } from './objects.fake.ts'

test('says why it fits nowhere, as Kubernetes does', () => {
  assert.equal(cluster([]).choose(pod()), 'no nodes available to schedule pods')
  const small = [node('a', { cpu: '1' }), node('b', { cpu: '1' })]
  assert.equal(
    cluster(small).choose(pod({ requests: { cpu: '1500m' } })),
    '0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.',
  )
  const both = pod({ requests: { cpu: '5', memory: '9Gi' } })
  assert.equal(
    cluster(small).choose(both),
    '0/2 nodes are available: 2 Insufficient cpu, 2 Insufficient memory. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.',
  )
  const mixed = [
    node('a', { ready: false }),
    node('b', { unschedulable: true }),
    node('c', { taints: [{ key: 'k', value: 'v', effect: 'NoExecute' }] }),
    node('d', { pods: '0' }),
    node('e'),
  ]
  assert.equal(
    cluster(mixed).choose(pod({ nodeSelector: { disk: 'ssd' } })),
    "0/5 nodes are available: 1 node(s) had untolerated taint {k: v}, 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }, 1 node(s) were unschedulable, 2 node(s) didn't match Pod's node affinity/selector. preemption: 0/5 nodes are available: 5 Preemption is not helpful for scheduling.",
  )
  assert.equal(
    cluster([node('d', { pods: '0' })]).choose(pod()),
    '0/1 nodes are available: 1 Too many pods. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.',
  )
})

test('a burst does not overcommit: what is placed counts before it is bound', () => {
  const { run, state } = cluster([node('a'), node('b')])
  const placed = Array.from({ length: 8 }, () => run(pod({ requests: { cpu: '500m' } })))
  assert.deepEqual(placed.toSorted(), ['a', 'a', 'a', 'a', 'b', 'b', 'b', 'b'])
  const extra = pod({ requests: { cpu: '1m' } })
  assert.equal(
    run(extra),
    '0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod.',
  )
  state.forget(extra.metadata.uid)
})

test('a failed binding gives back what it took', () => {
  const { run, choose, state } = cluster([node('a')])
  const big = pod({ requests: { cpu: '2' } })
  assert.equal(run(big), 'a')
  assert.match(choose(pod({ requests: { cpu: '1' } })), /Insufficient cpu/)
  state.forget(big.metadata.uid)
  assert.equal(choose(pod({ requests: { cpu: '1' } })), 'a')
})

test('finished pods need nothing, extended resources are counted, init containers by their peak', () => {
  const over = { ...pod({ requests: { cpu: '2' } }), status: { phase: 'Succeeded' } } as Pod
  assert.equal(cluster([node('a')], [['a', over]]).choose(pod({ requests: { cpu: '2' } })), 'a')
  const gpu = { more: { 'example.com/gpu': '1' } }
  const wants = () => pod({ requests: { 'example.com/gpu': '1' } })
  assert.equal(
    cluster([node('a', gpu)], [['a', wants()]]).choose(wants()),
    '0/1 nodes are available: 1 Insufficient example.com/gpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.',
  )
  const initContainers = [
    { name: 'side', image: 'i', restartPolicy: 'Always' as const, resources: { requests: { cpu: '500m' } } },
    { name: 'init', image: 'i', resources: { requests: { cpu: '1800m' } } },
  ]
  assert.equal(
    cluster([node('a')]).choose(pod({ initContainers })),
    '0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.',
  )
  assert.equal(cluster([node('a')]).choose(pod({ initContainers: initContainers.slice(0, 1), requests: { cpu: '1500m' } })), 'a')
})

test('selectors, required and preferred affinity', () => {
  const nodes = [node('a', { labels: { disk: 'hdd', n: '3' } }), node('b', { labels: { disk: 'ssd', n: '10' } })]
  const term = (key: string, operator: 'In' | 'NotIn' | 'Gt' | 'DoesNotExist', values: string[]) => ({
    matchExpressions: [{ key, operator, values }],
  })
  const require = (...nodeSelectorTerms: ReturnType<typeof term>[]) =>
    pod({ affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } } })
  const { choose } = cluster(nodes)
  assert.equal(choose(pod({ nodeSelector: { disk: 'ssd' } })), 'b')
  assert.equal(choose(require(term('n', 'Gt', ['5']))), 'b')
  assert.equal(choose(require(term('disk', 'In', ['nvme']), term('disk', 'NotIn', ['ssd']))), 'a')
  assert.match(choose(require(term('disk', 'DoesNotExist', []))), /didn't match Pod's node affinity/)
  const preferred = [{ weight: 50, preference: term('disk', 'In', ['ssd']) }]
  assert.equal(choose(pod({ affinity: { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: preferred } } })), 'b')
})

test('taints keep away those who do not tolerate them, soft ones only if there is better', () => {
  const tainted = node('a', { taints: [{ key: 'k', value: 'v', effect: 'NoSchedule' }] })
  assert.match(cluster([tainted]).choose(pod()), /untolerated taint \{k: v\}/)
  assert.equal(cluster([tainted]).choose(pod({ tolerations: [{ key: 'k', operator: 'Equal', value: 'v', effect: 'NoSchedule' }] })), 'a')
  assert.match(cluster([tainted]).choose(pod({ tolerations: [{ key: 'k', operator: 'Equal', value: 'w' }] })), /untolerated/)
  assert.equal(cluster([tainted]).choose(pod({ tolerations: [{ operator: 'Exists' }] })), 'a')
  const soft = node('a', { taints: [{ key: 'k', effect: 'PreferNoSchedule' }] })
  assert.equal(cluster([soft, node('b')]).choose(pod()), 'b')
  assert.equal(cluster([soft]).choose(pod()), 'a')
  assert.equal(
    cluster([node('a', { unschedulable: true })]).choose(
      pod({ tolerations: [{ key: 'node.kubernetes.io/unschedulable', operator: 'Exists' }] }),
    ),
    'a',
  )
})

test('host ports clash by address and protocol', () => {
  const ports = (hostPort: number, hostIP?: string, protocol: 'TCP' | 'UDP' = 'TCP') => [
    { containerPort: 80, hostPort, protocol, ...(hostIP && { hostIP }) },
  ]
  const { choose } = cluster([node('a')], [['a', pod({ ports: ports(80, '10.0.0.1') })]])
  assert.match(choose(pod({ ports: ports(80) })), /didn't have free ports/)
  assert.match(choose(pod({ ports: ports(80, '10.0.0.1') })), /didn't have free ports/)
  assert.equal(choose(pod({ ports: ports(80, '10.0.0.2') })), 'a')
  assert.equal(choose(pod({ ports: ports(80, '10.0.0.1', 'UDP') })), 'a')
  assert.equal(choose(pod({ ports: [{ containerPort: 80, protocol: 'TCP' }] })), 'a')
})

test('pods of one owner spread, however much one node has more room', () => {
  const { run } = cluster([node('a', { cpu: '16', memory: '16Gi' }), node('b'), node('c')])
  assert.deepEqual(Array.from({ length: 3 }, () => run(pod({ owner: 'rs', requests: { cpu: '100m' } }))).toSorted(), ['a', 'b', 'c'])
})

test('an image that is there is worth little, but something', () => {
  const nodes = [node('a'), node('b', { images: ['docker.io/library/web:1'] })]
  assert.equal(cluster(nodes).choose(pod()), 'b')
  assert.equal(cluster(nodes, [['b', pod({ owner: 'rs' })]]).choose(pod({ owner: 'rs' })), 'a')
})

test('required pod affinity and anti-affinity, also against those already there', () => {
  const nodes = [node('a', { labels: { zone: '1' } }), node('b', { labels: { zone: '1' } }), node('c', { labels: { zone: '2' } })]
  const near = (app: string, topologyKey: string) => ({
    requiredDuringSchedulingIgnoredDuringExecution: [{ labelSelector: { matchLabels: { app } }, topologyKey }],
  })
  const db = pod({ labels: { app: 'db' } })
  const there = cluster(nodes, [['b', db]])
  assert.equal(there.choose(pod({ affinity: { podAffinity: near('db', 'kubernetes.io/hostname') } })), 'b')
  assert.equal(there.choose(pod({ affinity: { podAntiAffinity: near('db', 'zone') } })), 'c')
  assert.match(there.choose(pod({ affinity: { podAffinity: near('cache', 'zone') } })), /didn't match pod affinity rules/)
  assert.match(there.choose(pod({ namespace: 'other', affinity: { podAffinity: near('db', 'zone') } })), /didn't match pod affinity rules/)
  // The first of a group that wants to be together finds nobody and goes anywhere.
  assert.match(there.choose(pod({ labels: { app: 'cache' }, affinity: { podAffinity: near('cache', 'zone') } })), /^[abc]$/)
  const shy = pod({ labels: { app: 'shy' }, affinity: { podAntiAffinity: near('web', 'zone') } })
  assert.equal(cluster(nodes, [['a', shy]]).choose(pod({ labels: { app: 'web' } })), 'c')
  assert.match(
    cluster(nodes.slice(0, 2), [['a', shy]]).choose(pod({ labels: { app: 'web' } })),
    /didn't satisfy existing pods anti-affinity rules/,
  )
})

test('topology spread: hard limits hold, soft ones steer', () => {
  const nodes = [node('a', { labels: { zone: '1' } }), node('b', { labels: { zone: '2' } }), node('bare')]
  const constraint = (whenUnsatisfiable: 'DoNotSchedule' | 'ScheduleAnyway') => [
    { maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable, labelSelector: { matchLabels: { app: 'web' } } },
  ]
  const labels = { app: 'web' }
  const hard = () => pod({ labels, topologySpreadConstraints: constraint('DoNotSchedule') })
  const { run, choose, state } = cluster(nodes)
  assert.deepEqual(Array.from({ length: 4 }, () => run(hard())).toSorted(), ['a', 'a', 'b', 'b'])
  state.setNode(node('a', { labels: { zone: '1' }, pods: '2' }))
  assert.equal(run(hard()), 'b')
  assert.equal(
    choose(hard()),
    "0/3 nodes are available: 1 Too many pods, 1 node(s) didn't match pod topology spread constraints, 1 node(s) didn't match pod topology spread constraints (missing required label). preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, 2 No preemption victims found for incoming pod.",
  )
  const soft = cluster(nodes.slice(0, 2), [['a', pod({ labels })]])
  assert.equal(soft.choose(pod({ labels, topologySpreadConstraints: constraint('ScheduleAnyway') })), 'b')
})

test('a pod that names its node by affinity, as those of a DaemonSet do, asks no other node', () => {
  const named = (name: string, cpu: string) => {
    const nodeSelectorTerms = [{ matchFields: [{ key: 'metadata.name', operator: 'In' as const, values: [name] }] }]
    return pod({ requests: { cpu }, affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } } })
  }
  const { choose, state } = cluster([node('a'), node('b')], [['b', pod({ requests: { cpu: '2' } })]])
  assert.equal(choose(named('a', '1')), 'a')
  assert.equal(
    choose(named('b', '1')),
    "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't satisfy plugin(s) [NodeAffinity]. preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling.",
  )
  assert.equal(
    choose(named('gone', '1')),
    "0/2 nodes are available: 2 node(s) didn't satisfy plugin(s) [NodeAffinity]. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.",
  )
  state.removeNode('a')
  assert.match(choose(named('a', '1')), /^0\/1 nodes are available: 1 node\(s\) didn't satisfy plugin/)
})
