// Where pods go, on a cluster of two nodes, as kubectl shows it: preemption, spreading, affinity, gates, others' schedulers.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from './cluster/eventually.ts'
import { testCluster } from './cluster/fixture.ts'

const { plan, kubectl } = await testCluster({ nodes: 2 })
const names = plan.nodes.map(({ name }) => name).sort()

const pod = (name: string, spec: object = {}, { labels = {}, cpu = '10m' }: { labels?: Record<string, string>; cpu?: string } = {}) =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels },
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [{ name: 'main', image: 'busybox:1.35', command: ['sleep', '1000'], resources: { requests: { cpu } } }],
      ...spec,
    },
  })
const apply = async (...objects: string[]) => {
  const { code, stderr } = await kubectl.attempt(['apply', '-f', '-'], objects.join('\n---\n'))
  assert.equal(code, 0, stderr)
}
const nodeOf = (name: string) => kubectl('get', 'pod', name, '-o', 'jsonpath={.spec.nodeName}')
const why = (name: string) =>
  kubectl(
    'get',
    'pod',
    name,
    '-o',
    `jsonpath={.status.conditions[?(@.type=="PodScheduled")].reason}: {.status.conditions[?(@.type=="PodScheduled")].message}`,
  )
const bound = (name: string) => eventually(async () => assert.notEqual(await nodeOf(name), ''), { withinMs: 30_000 })
const remove = (...pods: string[]) => kubectl('delete', 'pod', ...pods, '--now')

test('an important pod drives a less important one away, and kubectl shows how', async () => {
  await kubectl('create', 'priorityclass', 'vital', '--value=1000')
  const cpu = await kubectl('get', 'nodes', '-o', 'jsonpath={.items[0].status.allocatable.cpu}')
  const most = `${Math.floor((cpu.endsWith('m') ? Number(cpu.slice(0, -1)) : Number(cpu) * 1000) * 0.6)}m`
  await apply(pod('low-1', {}, { cpu: most }), pod('low-2', {}, { cpu: most }))
  await kubectl('wait', '--for=condition=Ready', 'pod/low-1', 'pod/low-2', '--timeout=30s')
  await apply(pod('low-3', {}, { cpu: most }))
  await eventually(async () =>
    assert.equal(
      await why('low-3'),
      'Unschedulable: 0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod.',
    ),
  )
  await apply(pod('vital', { priorityClassName: 'vital' }, { cpu: most }))
  await kubectl('wait', '--for=condition=Ready', 'pod/vital', '--timeout=60s')
  const left = (await kubectl('get', 'pods', '-o', 'name')).split('\n').filter(Boolean).sort()
  assert.equal(left.length, 3, 'one has gone')
  assert.ok(left.includes('pod/vital') && left.includes('pod/low-3'), 'and the youngest still waits')
  const events = await kubectl('get', 'events', '-o', 'jsonpath={range .items[*]}{.involvedObject.name} {.reason} {.message}{"\\n"}{end}')
  assert.match(events, new RegExp(`^low-[12] Preempted Preempted by pod [-0-9a-f]{36} on node (${names.join('|')})$`, 'm'))
  assert.match(events, /^vital FailedScheduling 0\/2 nodes are available: 2 Insufficient cpu\.$/m)
  await remove(...left.map((name) => name.slice('pod/'.length)))
})

test('pods keep away from their like, and spread over domains', async () => {
  const chosen = (app: string) => ({ labelSelector: { matchLabels: { app } }, topologyKey: 'kubernetes.io/hostname' })
  const affinity = { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [chosen('alone')] } }
  for (const i of [1, 2, 3]) await apply(pod(`alone-${i}`, { affinity }, { labels: { app: 'alone' } }))
  const topologySpreadConstraints = [{ ...chosen('spread'), maxSkew: 1, whenUnsatisfiable: 'DoNotSchedule' }]
  for (const i of [1, 2, 3, 4]) await apply(pod(`spread-${i}`, { topologySpreadConstraints }, { labels: { app: 'spread' } }))
  for (const i of [1, 2, 3, 4]) await bound(`spread-${i}`)
  const spread = await Promise.all([1, 2, 3, 4].map((i) => nodeOf(`spread-${i}`)))
  assert.deepEqual(spread.sort(), [names[0], names[0], names[1], names[1]])
  assert.deepEqual((await Promise.all([nodeOf('alone-1'), nodeOf('alone-2')])).sort(), names)
  await eventually(async () =>
    assert.match(
      await why('alone-3'),
      /^Unschedulable: 0\/2 nodes are available: 2 node\(s\) didn't match pod anti-affinity rules\. preemption: /,
    ),
  )
  const near = {
    podAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: [{ ...chosen('alone'), labelSelector: { matchLabels: { role: 'main' } } }],
    },
  }
  await apply(pod('follows', { affinity: near }))
  await eventually(async () => assert.match(await why('follows'), /2 node\(s\) didn't match pod affinity rules/))
  await kubectl('label', 'pod', 'alone-2', 'role=main')
  await bound('follows')
  assert.equal(await nodeOf('follows'), await nodeOf('alone-2'))
  await remove('alone-1')
  await bound('alone-3')
  await remove('alone-2', 'alone-3', 'follows', 'spread-1', 'spread-2', 'spread-3', 'spread-4')
})

test('a pod with gates waits until the last is gone; one of another scheduler is left to it', async () => {
  await apply(pod('gated', { schedulingGates: [{ name: 'example.com/check' }] }), pod('theirs', { schedulerName: 'mine' }), pod('plain'))
  await bound('plain')
  assert.match(await kubectl('get', 'pod', 'gated'), /SchedulingGated/)
  assert.equal(await why('gated'), 'SchedulingGated: Scheduling is blocked due to non-empty scheduling gates')
  await kubectl('patch', 'pod', 'gated', '--type=json', '-p', '[{"op":"remove","path":"/spec/schedulingGates"}]')
  await bound('gated')
  assert.equal(await kubectl('get', 'pod', 'theirs', '-o', 'jsonpath={.spec.nodeName}{.status.conditions}'), '')
  const binding = {
    apiVersion: 'v1',
    kind: 'Binding',
    metadata: { name: 'theirs' },
    target: { apiVersion: 'v1', kind: 'Node', name: names[0] },
  }
  const { code, stderr } = await kubectl.attempt(
    ['create', '--raw', '/api/v1/namespaces/default/pods/theirs/binding', '-f', '-'],
    JSON.stringify(binding),
  )
  assert.equal(code, 0, stderr)
  await kubectl('wait', '--for=condition=Ready', 'pod/theirs', 'pod/gated', '--timeout=30s')
  assert.equal(await nodeOf('theirs'), names[0])
  await remove('gated', 'theirs', 'plain')
})
