import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Cluster } from '../cluster/cluster.ts'
import { pointsOf } from '../framework/assemble.ts'
import { cluster, handleOf, node, pod } from '../objects.fake.ts'
import { registry } from '../plugins/registry.ts'
import { configurationOf, readConfiguration } from './configuration.ts'

const whole = (more: object) => ({ apiVersion: 'kubescheduler.config.k8s.io/v1', kind: 'KubeSchedulerConfiguration', ...more })
const faultsOf = (more: object): string => {
  try {
    configurationOf(whole(more))
  } catch (error) {
    return (error as Error).message
  }
  return ''
}
const profileOf = (profile: object) => configurationOf(whole({ profiles: [profile] })).profiles[0]!
const pluginsOf = (profile: object) => profileOf(profile).make(handleOf(new Cluster({ labelsOf: () => ({}) }))).plugins
const names = (list: readonly { name: string }[]) => list.map(({ name }) => name)

test('plugins extend what the registry says of them', () => {
  for (const [name, { points, make }] of Object.entries(registry))
    assert.deepEqual(pointsOf(make(handleOf(new Cluster({ labelsOf: () => ({}) })))), [...points], name)
})

test('without profiles there is the usual one, with the usual plugins and weights', () => {
  const { profiles, backoff } = configurationOf(whole({}))
  assert.deepEqual(names(profiles.map(({ schedulerName: name }) => ({ name }))), ['default-scheduler'])
  assert.deepEqual(backoff, { first: 50, longest: 10_000 })
  const { scores, filters } = profiles[0]!.make(handleOf(new Cluster({ labelsOf: () => ({}) }))).plugins
  assert.deepEqual(
    scores.map(({ plugin, weight }) => `${plugin.name} ${weight}`),
    [
      'TaintToleration 3',
      'NodeAffinity 2',
      'NodeResourcesFit 1',
      'PodTopologySpread 2',
      'InterPodAffinity 2',
      'NodeResourcesBalancedAllocation 1',
      'ImageLocality 1',
    ],
  )
  assert.equal(names(filters)[0], 'NodeUnschedulable')
})

test('plugins are enabled and disabled everywhere or at a point, with weights', () => {
  const plugins = pluginsOf({
    plugins: {
      multiPoint: { disabled: [{ name: 'ImageLocality' }, { name: 'VolumeBinding' }], enabled: [{ name: 'NodeAffinity', weight: 7 }] },
      filter: { disabled: [{ name: 'NodePorts' }] },
      score: { disabled: [{ name: 'TaintToleration' }], enabled: [{ name: 'InterPodAffinity', weight: 9 }] },
      postFilter: { disabled: [{ name: '*' }] },
    },
  })
  assert.deepEqual(plugins.postFilters, [])
  assert.ok(!names(plugins.filters).includes('NodePorts'))
  assert.ok(names(plugins.filters).includes('TaintToleration'))
  assert.deepEqual(
    plugins.scores.map(({ plugin, weight }) => `${plugin.name} ${weight}`),
    ['InterPodAffinity 9', 'NodeAffinity 7', 'NodeResourcesFit 1', 'PodTopologySpread 2', 'NodeResourcesBalancedAllocation 1'],
  )
  const only = pluginsOf({
    plugins: {
      multiPoint: { disabled: [{ name: '*' }] },
      queueSort: { enabled: [{ name: 'PrioritySort' }] },
      bind: { enabled: [{ name: 'DefaultBinder' }] },
    },
  })
  assert.deepEqual([only.filters, only.scores, names(only.binds)], [[], [], ['DefaultBinder']])
})

test('plugins do as their arguments say', () => {
  const nodes = [node('empty', { cpu: '4', memory: '4Gi' }), node('used', { cpu: '4', memory: '4Gi' })]
  const there = [['used', pod({ requests: { cpu: '1', memory: '1Gi' } })]] as const
  const choose = (args: object[]) =>
    cluster(nodes, there, (handle) => profileOf({ pluginConfig: args }).make(handle)).choose(pod({ requests: { cpu: '1', memory: '1Gi' } }))
  const fit = (args: object) => [{ name: 'NodeResourcesFit', args }]
  assert.equal(choose([]), 'empty')
  assert.equal(choose(fit({ kind: 'NodeResourcesFitArgs', scoringStrategy: { type: 'MostAllocated' } })), 'used')
  const shape = (...scores: number[]) => ({ shape: scores.map((score, i) => ({ utilization: i * 50, score })) })
  const ratio = (...scores: number[]) =>
    choose(fit({ scoringStrategy: { type: 'RequestedToCapacityRatio', requestedToCapacityRatio: shape(...scores) } }))
  assert.equal(ratio(0, 5, 10), 'used')
  assert.equal(ratio(10, 5, 0), 'empty')
  const gpu = pod({ requests: { 'example.com/gpu': '1' } })
  const ignoring = cluster(nodes, [], (handle) => profileOf({ pluginConfig: fit({ ignoredResourceGroups: ['example.com'] }) }).make(handle))
  assert.match(ignoring.choose(gpu), /empty|used/)
  assert.match(cluster(nodes).choose(gpu), /Insufficient example.com\/gpu/)
  const terms = [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: ['used'] }] }]
  const addedAffinity = { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } }
  assert.equal(choose([{ name: 'NodeAffinity', args: { addedAffinity } }]), 'used')
  const defaultConstraints = [{ maxSkew: 1, topologyKey: 'kubernetes.io/hostname', whenUnsatisfiable: 'DoNotSchedule' }]
  const spreading = cluster(nodes.slice(0, 1), [], (handle) =>
    profileOf({ pluginConfig: [{ name: 'PodTopologySpread', args: { defaultingType: 'List', defaultConstraints } }] }).make(handle),
  )
  const owned = () => pod({ owner: 'rs' })
  assert.deepEqual([spreading.run(owned()), spreading.run(owned())], ['empty', 'empty'])
  spreading.state.setNode(node('full', { cpu: '0' }))
  assert.match(spreading.run(pod({ owner: 'rs', requests: { cpu: '100m' } })), /didn't match pod topology spread constraints/)
})

test('what is wrong is named by its field, and what cannot be done is refused', () => {
  const known = Object.keys(registry)
    .map((name) => JSON.stringify(name))
    .join(', ')
  const config = (name: string, args: object) => ({ profiles: [{ pluginConfig: [{ name, args }] }] })
  const args = 'profiles[0].pluginConfig[0].args'
  const table: [object, string][] = [
    [
      { apiVersion: 'kubescheduler.config.k8s.io/v1beta3' },
      'apiVersion: Unsupported value: "kubescheduler.config.k8s.io/v1beta3": supported values: "kubescheduler.config.k8s.io/v1"',
    ],
    [{ kind: 'Pod' }, 'kind: Unsupported value: "Pod": supported values: "KubeSchedulerConfiguration"'],
    [{ profile: [] }, 'profile: Forbidden: unknown field'],
    [{ extenders: [{ urlPrefix: 'http://x' }] }, 'extenders: Forbidden: extenders are not supported'],
    [{ profiles: {} }, 'profiles: Invalid value: {}: must be a list'],
    [{ percentageOfNodesToScore: 101 }, 'percentageOfNodesToScore: Invalid value: 101: must be a whole number from 0 to 100'],
    [
      { podInitialBackoffSeconds: 20 },
      'podMaxBackoffSeconds: Invalid value: 10: must be greater than or equal to PodInitialBackoffSeconds',
    ],
    [{ profiles: [{}, {}] }, 'profiles[1].schedulerName: Duplicate value: "default-scheduler"'],
    [{ profiles: [{ schedulerName: 7 }] }, 'profiles[0].schedulerName: Invalid value: 7: must be a string'],
    [{ profiles: [{ plugins: { scores: {} } }] }, 'profiles[0].plugins.scores: Forbidden: unknown field'],
    [
      { profiles: [{ plugins: { score: { enabled: [{ name: 'Foo' }] } } }] },
      `profiles[0].plugins.score.enabled[0].name: Unsupported value: "Foo": supported values: ${known}`,
    ],
    [
      { profiles: [{ plugins: { score: { enabled: [{ name: 'constructor' }] } } }] },
      `profiles[0].plugins.score.enabled[0].name: Unsupported value: "constructor": supported values: ${known}`,
    ],
    [
      config('toString', {}),
      'profiles[0].pluginConfig[0].name: Unsupported value: "toString": supported values: "NodeAffinity", "NodeResourcesFit", "PodTopologySpread", "InterPodAffinity", "DefaultPreemption", "NodeResourcesBalancedAllocation"',
    ],
    [
      { profiles: [{ plugins: { score: { enabled: [{ name: 'NodeName' }] } } }] },
      'profiles[0].plugins.score.enabled[0].name: Invalid value: "NodeName": does not extend score',
    ],
    [
      { profiles: [{ plugins: { score: { enabled: [{ name: 'ImageLocality', weight: -1 }] } } }] },
      'profiles[0].plugins.score.enabled[0].weight: Invalid value: -1: must be a whole number from 0 to 2147483647',
    ],
    [
      { profiles: [{ plugins: { bind: { disabled: [{ name: '*' }] } } }] },
      'profiles[0].plugins.bind: Required value: at least one plugin must be enabled',
    ],
    [
      { profiles: [{ plugins: { queueSort: { disabled: [{ name: '*' }] } } }] },
      'profiles[0].plugins.queueSort: Invalid value: exactly one plugin must be enabled, and there are 0',
    ],
    [
      config('NodeName', {}),
      'profiles[0].pluginConfig[0].name: Unsupported value: "NodeName": supported values: "NodeAffinity", "NodeResourcesFit", "PodTopologySpread", "InterPodAffinity", "DefaultPreemption", "NodeResourcesBalancedAllocation"',
    ],
    [
      config('InterPodAffinity', { hardPodAffinityWeight: 101 }),
      `${args}.hardPodAffinityWeight: Invalid value: 101: must be a whole number from 0 to 100`,
    ],
    [
      config('InterPodAffinity', { kind: 'PodAffinityArgs' }),
      `${args}.kind: Unsupported value: "PodAffinityArgs": supported values: "InterPodAffinityArgs"`,
    ],
    [
      config('NodeResourcesFit', { scoringStrategy: { type: 'Best' } }),
      `${args}.scoringStrategy.type: Unsupported value: "Best": supported values: "LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"`,
    ],
    [
      config('NodeResourcesFit', { scoringStrategy: { type: 'RequestedToCapacityRatio' } }),
      `${args}.scoringStrategy.requestedToCapacityRatio.shape: Required value: at least one point must be specified`,
    ],
    [
      config('NodeResourcesFit', { ignoredResourceGroups: ['a/b'] }),
      `${args}.ignoredResourceGroups[0]: Invalid value: "a/b": resource group name can't contain '/'`,
    ],
    [
      config('DefaultPreemption', { minCandidateNodesPercentage: 200 }),
      `${args}.minCandidateNodesPercentage: Invalid value: 200: must be a whole number from 0 to 100`,
    ],
    [
      config('PodTopologySpread', { defaultConstraints: [{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule' }] }),
      `${args}.defaultingType: Invalid value: "System": when .defaultConstraints are not empty, it must be "List"`,
    ],
    [
      config('NodeAffinity', { addedAffinity: { requiredDuringSchedulingIgnoredDuringExecution: {} } }),
      `${args}.addedAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: must have at least one node selector term`,
    ],
  ]
  for (const [more, text] of table) assert.equal(faultsOf(more), text)
})

test('a file that cannot be read, or is no YAML, is named', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'scheduler-'))
  t.after(() => rm(dir, { recursive: true }))
  const file = join(dir, 'scheduler.yaml')
  await assert.rejects(readConfiguration(file), { message: new RegExp(`^scheduler configuration ${file}: ENOENT`) })
  await writeFile(file, 'a: [')
  await assert.rejects(readConfiguration(file), { message: new RegExp(`^scheduler configuration ${file}: `) })
  await writeFile(file, '7')
  await assert.rejects(readConfiguration(file), { message: `scheduler configuration ${file}: it is no object` })
  await writeFile(
    file,
    'apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\nleaderElection: {leaderElect: true}\nprofiles: [{schedulerName: packer}]\n',
  )
  assert.equal((await readConfiguration(file)).profiles[0]!.schedulerName, 'packer')
})
