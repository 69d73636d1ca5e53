// Claims of the class that every cluster has, from the claim to its end, with real containers.

import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { killAgent, killServer, startAgent, startServer } from './cluster/cluster.ts'
import { eventually } from './cluster/eventually.ts'
import { testCluster } from './cluster/fixture.ts'

const { plan, kubectl } = await testCluster({ nodes: 2 })

const apply = async (yaml: string) => {
  const { code, stderr } = await kubectl.attempt(['apply', '-f', '-'], yaml)
  assert.equal(code, 0, stderr)
}

const claim = (name: string, storage: string) => `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: ${name} }
spec:
  accessModes: [ReadWriteOnce]
  resources: { requests: { storage: ${storage} } }
`
const pod = (name: string, claimName: string, more = '') => `
apiVersion: v1
kind: Pod
metadata: { name: ${name} }
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: main
      image: busybox:1.35
      command: [sleep, "1000000"]
      volumeMounts: [{ name: data, mountPath: /data }]
  volumes: [{ name: data, persistentVolumeClaim: { claimName: ${claimName} } }]
  ${more}
`

test('a claim waits for its pod, holds its data and its size, and is gone when it is deleted', async () => {
  await apply(claim('data', '32Mi'))
  await eventually(async () =>
    assert.match(await kubectl('describe', 'pvc', 'data'), /WaitForFirstConsumer.*waiting for first consumer to be created before binding/),
  )
  await apply(pod('writer', 'data', 'securityContext: { runAsUser: 1000, fsGroup: 2000 }'))
  await kubectl('wait', '--for=condition=Ready', 'pod/writer', '--timeout=60s')
  assert.match(await kubectl('get', 'pvc', 'data'), /data +Bound +pvc-\S+ +32Mi +RWO +local /)
  assert.match(await kubectl('get', 'pv'), /pvc-\S+ +32Mi +RWO +Delete +Bound +default\/data +local /)
  assert.match(await kubectl('describe', 'pvc', 'data'), /ProvisioningSucceeded/)
  assert.match(await kubectl('exec', 'writer', '--', 'stat', '-c', '%a %u:%g', '/data'), /^2775 0:2000$/m)
  await kubectl('exec', 'writer', '--', 'sh', '-c', 'echo kept > /data/file')
  const full = await kubectl.attempt(['exec', 'writer', '--', 'dd', 'if=/dev/zero', 'of=/data/big', 'bs=1M', 'count=64'])
  assert.notEqual(full.code, 0)
  assert.match(full.stderr, /No space left on device/)
  await kubectl('exec', 'writer', '--', 'rm', '/data/big')

  await kubectl('delete', 'pod', 'writer', '--wait')
  await apply(pod('reader', 'data'))
  await kubectl('wait', '--for=condition=Ready', 'pod/reader', '--timeout=60s')
  assert.equal(await kubectl('exec', 'reader', '--', 'cat', '/data/file'), 'kept\n')

  await kubectl('delete', 'pvc', 'data', '--wait=false')
  assert.match(await kubectl('get', 'pvc', 'data'), /Terminating/)
  await kubectl('delete', 'pod', 'reader', '--wait')
  await eventually(async () => assert.equal(await kubectl('get', 'pvc,pv', '-o', 'name'), ''))
})

test('a volume grows while a pod writes to it; one that no class lets grow does not', async () => {
  await apply(claim('growing', '16Mi') + '---' + pod('grower', 'growing'))
  await kubectl('wait', '--for=condition=Ready', 'pod/grower', '--timeout=60s')
  const sizeInPod = async () =>
    Number((await kubectl('exec', 'grower', '--', 'df', '-k', '/data')).trim().split('\n').at(-1)?.split(/ +/)[1])
  const before = await sizeInPod()
  await kubectl('patch', 'pvc', 'growing', '--type=merge', '-p', '{"spec":{"resources":{"requests":{"storage":"64Mi"}}}}')
  const pending = await eventually(async () => {
    const text = await kubectl('describe', 'pvc', 'growing')
    assert.match(text, /FileSystemResizeSuccessful|FileSystemResizePending/)
    return !text.includes('FileSystemResizeSuccessful')
  })
  // Where the agent may not grow what is mounted (CAP_SYS_RESOURCE), the next pod finds it grown.
  if (pending) {
    await kubectl('delete', 'pod', 'grower', '--wait')
    await apply(pod('grower', 'growing'))
    await kubectl('wait', '--for=condition=Ready', 'pod/grower', '--timeout=60s')
  }
  await eventually(async () => assert.match(await kubectl('get', 'pvc', 'growing'), /growing +Bound +pvc-\S+ +64Mi /), { withinMs: 40_000 })
  assert.ok((await sizeInPod()) > 3 * before)
  assert.match(await kubectl('describe', 'pvc', 'growing'), /FileSystemResizeSuccessful/)
  const node = (await kubectl('get', 'pod', 'grower', '-o', 'jsonpath={.spec.nodeName}')).trim()
  const metrics = await kubectl('get', '--raw', `/api/v1/nodes/${node}/proxy/metrics`)
  assert.match(metrics, /kubelet_volume_stats_capacity_bytes\{namespace="default",persistentvolumeclaim="growing"\} \d+/)

  await kubectl('patch', 'storageclass', 'local', '--type=merge', '-p', '{"allowVolumeExpansion":false}')
  const refused = await kubectl.attempt([
    'patch',
    'pvc',
    'growing',
    '--type=merge',
    '-p',
    '{"spec":{"resources":{"requests":{"storage":"96Mi"}}}}',
  ])
  assert.match(refused.stderr, /only dynamically provisioned pvc can be resized/)
  await kubectl('patch', 'storageclass', 'local', '--type=merge', '-p', '{"allowVolumeExpansion":true}')
  await kubectl('delete', 'pod/grower', 'pvc/growing', '--wait')
})

test('what a StatefulSet on two nodes wrote survives its pods, the agents and the server', async () => {
  await apply(`
apiVersion: apps/v1
kind: StatefulSet
metadata: { name: db }
spec:
  serviceName: db
  replicas: 2
  podManagementPolicy: Parallel
  selector: { matchLabels: { app: db } }
  template:
    metadata: { labels: { app: db } }
    spec:
      terminationGracePeriodSeconds: 0
      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            - { topologyKey: kubernetes.io/hostname, labelSelector: { matchLabels: { app: db } } }
      containers:
        - name: main
          image: busybox:1.35
          command: [sh, -c, "hostname >> /data/log; exec sleep 1000000"]
          volumeMounts: [{ name: data, mountPath: /data }]
  volumeClaimTemplates:
    - metadata: { name: data }
      spec: { accessModes: [ReadWriteOncePod], resources: { requests: { storage: 16Mi } } }
`)
  await kubectl('rollout', 'status', 'statefulset/db', '--timeout=90s')
  const logOf = async (name: string) => (await kubectl('exec', name, '--', 'cat', '/data/log')).trim().split('\n')
  const nodeOf = async (name: string) => (await kubectl('get', 'pod', name, '-o', 'jsonpath={.spec.nodeName}')).trim()
  const where = await Promise.all(['db-0', 'db-1'].map(nodeOf))
  assert.notEqual(where[0], where[1])

  await Promise.all([killServer(plan), ...plan.nodes.map((node) => killAgent(node))])
  await startServer(plan)
  await Promise.all(plan.nodes.map((node) => startAgent(plan, node)))
  await eventually(() => kubectl('delete', 'pod', 'db-0', 'db-1', '--wait'))
  await kubectl('rollout', 'status', 'statefulset/db', '--timeout=90s')
  await eventually(async () =>
    assert.deepEqual(await Promise.all(['db-0', 'db-1'].map(logOf)), [
      ['db-0', 'db-0'],
      ['db-1', 'db-1'],
    ]),
  )
  assert.deepEqual(await Promise.all(['db-0', 'db-1'].map(nodeOf)), where)

  await kubectl('delete', 'statefulset', 'db', '--wait')
  assert.match(await kubectl('get', 'pvc'), /data-db-0 +Bound[\s\S]*data-db-1 +Bound/)
  await eventually(() => kubectl('delete', 'pvc', 'data-db-0', 'data-db-1', '--wait', '--timeout=20s'))
  await eventually(async () => assert.equal(await kubectl('get', 'pv', '-o', 'name'), ''))
  for (const { dir } of plan.nodes) assert.deepEqual(await readdir(join(dir, 'local')), [], 'nothing is left on the disk')
})

test('an ephemeral claim comes and goes with its pod', async () => {
  const template = '{ spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 8Mi } } } }'
  await apply(pod('brief', 'none').replace('persistentVolumeClaim: { claimName: none }', `ephemeral: { volumeClaimTemplate: ${template} }`))
  await kubectl('wait', '--for=condition=Ready', 'pod/brief', '--timeout=60s')
  assert.match(await kubectl('get', 'pvc'), /brief-data +Bound/)
  await kubectl('delete', 'pod', 'brief', '--wait')
  await eventually(async () => assert.equal(await kubectl('get', 'pvc,pv', '-o', 'name'), ''))
})
