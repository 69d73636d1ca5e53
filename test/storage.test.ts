// Claims of the class that every cluster has, from the claim to its end, with real containers.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from './cluster/eventually.ts'
import { testCluster } from './cluster/fixture.ts'

const { kubectl } = await testCluster({ nodes: 2 })

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
