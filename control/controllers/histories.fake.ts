// Random histories of a Deployment, a StatefulSet and a DaemonSet, and what each must be in the end.

import assert from 'node:assert/strict'
import { ControllerRevision, DaemonSet, Deployment, PersistentVolumeClaim, Pod, ReplicaSet, StatefulSet } from '#api/kinds/index.ts'
import type { Kind } from '#api/kinds/kind.ts'
import type { Harness } from './harness.fake.ts'
import { type Random, runHistory } from './history.fake.ts'

const namespace = 'default'
const name = 'web'
const ref = { namespace, name }
const images = ['web:1', 'web:2', 'web:bad', 'web:3']
const template = (image: string) => ({ metadata: { labels: { app: name } }, spec: { containers: [{ name: 'c', image }] } })
const selector = { matchLabels: { app: name } }

const podsOf = async ({ client }: Harness) => (await client.list(Pod, { namespace })).items
const imageOf = ({ spec }: Pod) => spec.containers[0]?.image
const isActive = ({ metadata, status }: Pod) => !metadata.deletionTimestamp && status.phase !== 'Failed' && status.phase !== 'Succeeded'
const change = (h: Harness, kind: Kind, spec: object) => h.client.patch(kind, ref, 'merge', { spec })
const changeTemplate = (h: Harness, kind: Kind, random: Random) => change(h, kind, { template: template(random.of(images)!) })

async function assertHistory({ client }: Harness, limit: number): Promise<void> {
  const numbers = (await client.list(ControllerRevision, { namespace })).items.map(({ revision }) => revision)
  assert.equal(new Set(numbers).size, numbers.length, `revisions ${numbers.join(' ')}`)
  const templates = (await client.list(ControllerRevision, { namespace })).items.map(({ data }) => JSON.stringify(data))
  assert.equal(new Set(templates).size, templates.length, 'no template twice')
  // Those that pods are made of stay beside the limit, also of pods that a lost node never ends.
  const live = new Set((await client.list(Pod, { namespace })).items.map(({ metadata }) => metadata.labels?.['controller-revision-hash']))
  assert.ok(numbers.length <= limit + live.size, `revisions ${numbers.join(' ')}`)
  const newest = (await client.list(ControllerRevision, { namespace })).items.find(({ revision }) => revision === Math.max(...numbers))
  assert.match(JSON.stringify(newest?.data), /web:2/)
}

/** The most that each set has asked for, by uid. */
const most = new Map<string, number>()

export const deploymentHistory = (seed: number, steps = 60): Promise<void> =>
  runHistory({
    seed,
    steps,
    nodes: ['node-1', 'node-2', 'node-3'],
    async begin(h) {
      h.sick = (pod) => imageOf(pod) === 'web:bad'
      await h.client.create(Deployment, {
        metadata: { name, namespace },
        spec: { replicas: 4, selector, template: template('web:1'), revisionHistoryLimit: 2, strategy: { type: 'RollingUpdate' } },
      })
    },
    spoil: (h) => change(h, Deployment, { template: template('web:bad') }),
    async change(h, random) {
      const changes = [
        () => changeTemplate(h, Deployment, random),
        () => change(h, Deployment, { replicas: random.below(7) }),
        () => change(h, Deployment, { paused: random.below(2) === 0 }),
        () => change(h, Deployment, { minReadySeconds: random.below(2) * 10 }),
        () => change(h, Deployment, { strategy: { rollingUpdate: { maxSurge: random.below(3), maxUnavailable: 1 + random.below(2) } } }),
      ]
      await random.of(changes)!()
    },
    settleOn: (h) => change(h, Deployment, { template: template('web:2'), replicas: 3, paused: false, minReadySeconds: 5 }),
    async always(h) {
      // Nobody makes a pod more than a set asks for: what was made is always known.
      const sets = (await h.client.list(ReplicaSet, { namespace })).items
      for (const set of sets) most.set(set.metadata.uid, Math.max(set.spec.replicas ?? 1, most.get(set.metadata.uid) ?? 0))
      for (const [uid, pods] of Map.groupBy((await podsOf(h)).filter(isActive), ({ metadata }) => metadata.ownerReferences?.[0]?.uid ?? ''))
        assert.ok(pods.length <= (most.get(uid) ?? 7), `${pods.length} pods of one set`)
    },
    async end(h) {
      const pods = await podsOf(h)
      assert.deepEqual(pods.filter(isActive).map(imageOf), ['web:2', 'web:2', 'web:2'])
      const sets = (await h.client.list(ReplicaSet, { namespace })).items
      assert.deepEqual(
        sets.flatMap(({ spec }) => spec.replicas || []),
        [3],
      )
      assert.ok(sets.length <= 3, `${sets.length} sets`)
      const { status, metadata } = await h.client.get(Deployment, ref)
      assert.deepEqual(
        [status.replicas, status.updatedReplicas, status.readyReplicas, status.availableReplicas, status.unavailableReplicas],
        [3, 3, 3, 3, 0],
      )
      assert.equal(status.observedGeneration, metadata.generation)
      assert.equal(status.conditions?.find(({ type }) => type === 'Progressing')?.reason, 'NewReplicaSetAvailable')
      assert.equal(status.conditions?.find(({ type }) => type === 'Available')?.status, 'True')
    },
  })

export const statefulSetHistory = (seed: number, steps = 60): Promise<void> =>
  runHistory({
    seed,
    steps,
    nodes: ['node-1', 'node-2'],
    async begin(h) {
      h.sick = (pod) => imageOf(pod) === 'web:bad'
      await h.client.create(StatefulSet, {
        metadata: { name, namespace },
        spec: {
          replicas: 3,
          selector,
          serviceName: name,
          template: template('web:1'),
          revisionHistoryLimit: 2,
          podManagementPolicy: seed % 2 ? 'OrderedReady' : 'Parallel',
          updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } },
          volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'] } }],
        },
      })
    },
    async spoil(h) {
      const updateStrategy = { type: 'RollingUpdate', rollingUpdate: { partition: 0, maxUnavailable: null } }
      await change(h, StatefulSet, { template: template('web:bad'), replicas: 3, ordinals: { start: 1 }, updateStrategy })
    },
    async change(h, random) {
      const rolling = (rollingUpdate: object) => ({ updateStrategy: { type: 'RollingUpdate', rollingUpdate } })
      const changes = [
        () => changeTemplate(h, StatefulSet, random),
        () => change(h, StatefulSet, { replicas: random.below(6) }),
        () => change(h, StatefulSet, { ordinals: { start: random.below(3) } }),
        () => change(h, StatefulSet, rolling({ partition: random.below(4), maxUnavailable: 1 + random.below(2) })),
        () => change(h, StatefulSet, { updateStrategy: { type: 'OnDelete', rollingUpdate: null } }),
        () => change(h, StatefulSet, { minReadySeconds: random.below(2) * 10 }),
        () => change(h, StatefulSet, { persistentVolumeClaimRetentionPolicy: { whenScaled: random.of(['Retain', 'Delete']) } }),
      ]
      await random.of(changes)!()
    },
    async settleOn(h) {
      const updateStrategy = { type: 'RollingUpdate', rollingUpdate: { partition: 0, maxUnavailable: null } }
      const retention = { whenScaled: 'Delete', whenDeleted: 'Retain' }
      const spec = { template: template('web:2'), replicas: 3, ordinals: { start: 1 }, updateStrategy, minReadySeconds: 5 }
      await change(h, StatefulSet, { ...spec, persistentVolumeClaimRetentionPolicy: retention })
    },
    async end(h) {
      const pods = await podsOf(h)
      assert.deepEqual(
        pods.map((pod) => `${pod.metadata.name} ${imageOf(pod)}`),
        ['web-1 web:2', 'web-2 web:2', 'web-3 web:2'],
      )
      const claims = new Set((await h.client.list(PersistentVolumeClaim, { namespace })).items.map(({ metadata }) => metadata.name))
      for (const claim of ['data-web-1', 'data-web-2', 'data-web-3']) assert.ok(claims.has(claim), claim)
      const { status, metadata } = await h.client.get(StatefulSet, ref)
      const counts = [status.replicas, status.readyReplicas, status.availableReplicas, status.currentReplicas, status.updatedReplicas]
      assert.deepEqual(counts, [3, 3, 3, 3, 3])
      assert.deepEqual([status.observedGeneration, status.currentRevision], [metadata.generation, status.updateRevision])
      assert.ok(pods.every((pod) => pod.metadata.labels?.['controller-revision-hash'] === status.updateRevision))
      await assertHistory(h, 2)
    },
  })

/** On nodes that do not answer too. */
const everywhere = ({ metadata, spec }: ReturnType<typeof template>) => ({
  metadata,
  spec: { ...spec, tolerations: [{ operator: 'Exists' as const }] },
})

export const daemonSetHistory = (seed: number, steps = 60): Promise<void> =>
  runHistory({
    seed,
    steps,
    nodes: ['node-1', 'node-2', 'node-3'],
    ...(seed % 2 && { gone: 'node-1' }),
    async begin(h) {
      h.sick = (pod) => imageOf(pod) === 'web:bad'
      await h.client.create(DaemonSet, {
        metadata: { name, namespace },
        spec: { selector, template: everywhere(template('web:1')), revisionHistoryLimit: 2, updateStrategy: { type: 'RollingUpdate' } },
      })
    },
    async spoil(h) {
      const updateStrategy = { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } }
      await change(h, DaemonSet, { template: { spec: { ...template('web:bad').spec, nodeSelector: null } }, updateStrategy })
    },
    async change(h, random) {
      const rolling = (rollingUpdate: object) => ({ updateStrategy: { type: 'RollingUpdate', rollingUpdate } })
      const changes = [
        () => changeTemplate(h, DaemonSet, random),
        () => changeTemplate(h, DaemonSet, random),
        () => change(h, DaemonSet, rolling({ maxUnavailable: 1 + random.below(2), maxSurge: 0 })),
        () => change(h, DaemonSet, rolling({ maxUnavailable: 0, maxSurge: 1 + random.below(2) })),
        () => change(h, DaemonSet, { updateStrategy: { type: 'OnDelete', rollingUpdate: null } }),
        () => change(h, DaemonSet, { minReadySeconds: random.below(2) * 10 }),
        () => change(h, DaemonSet, { template: { spec: { nodeSelector: { 'kubernetes.io/hostname': random.of(['node-1', null]) } } } }),
      ]
      await random.of(changes)!()
    },
    async settleOn(h) {
      const spec = { ...template('web:2').spec, nodeSelector: null }
      const updateStrategy = { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } }
      await change(h, DaemonSet, { template: { ...template('web:2'), spec }, minReadySeconds: 5, updateStrategy })
    },
    async always(h) {
      for (const [node, pods] of Map.groupBy((await podsOf(h)).filter(isActive), ({ spec }) => spec.nodeName ?? ''))
        assert.ok(node === '' || pods.length <= 2, `${pods.length} pods on ${node}`)
    },
    async end(h) {
      const live = ['node-1', 'node-2', 'node-3'].filter((node) => !h.lost.has(node))
      const pods = (await podsOf(h))
        .map((pod) => `${pod.spec.nodeName} ${imageOf(pod)}`)
        .filter((line) => live.some((node) => line.startsWith(node)))
      assert.deepEqual(
        pods.sort(),
        live.map((node) => `${node} web:2`),
      )
      const { status, metadata } = await h.client.get(DaemonSet, ref)
      assert.ok((status.updatedNumberScheduled ?? 0) >= live.length, `updated on ${status.updatedNumberScheduled} nodes`)
      assert.deepEqual(status, {
        currentNumberScheduled: 3,
        numberMisscheduled: 0,
        desiredNumberScheduled: 3,
        numberReady: live.length,
        observedGeneration: metadata.generation,
        updatedNumberScheduled: status.updatedNumberScheduled,
        numberAvailable: live.length,
        numberUnavailable: 3 - live.length,
      })
      await assertHistory(h, 2)
    },
  })
