// A node that comes back from a power cut while its master is off: its pods run as they did before it has reached
// anybody, and go on as they are when the master is back.

import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { killAgent, killServer, startAgent, startServer } from './cluster/cluster.ts'
import { eventually } from './cluster/eventually.ts'
import { testCluster } from './cluster/fixture.ts'
import { isReady, podsOn } from './cluster/local.ts'
import type { NodePlan } from './cluster/plan.ts'
import { boot, cutPower, remembered } from './cluster/power.ts'
import { attempt, run } from './cluster/shell.ts'

const coracle = resolve(import.meta.dirname, '../bin/coracle')
const { plan, kubectl } = await testCluster({ nodes: 2 })
const node = plan.nodes[0] as NodePlan

const world = `
apiVersion: v1
kind: ConfigMap
metadata: { name: page }
data: { index.html: hello from the config }
---
apiVersion: v1
kind: Secret
metadata: { name: word }
stringData: { word: swordfish }
---
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: { name: usual }
handler: runc
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ port: 80, targetPort: http }] }
---
apiVersion: v1
kind: Pod
metadata: { name: web, labels: { app: web } }
spec:
  nodeName: node-1
  terminationGracePeriodSeconds: 1
  containers:
    - name: httpd
      image: busybox:1.35
      command: [httpd, -f, -p, '8080', -h, /srv]
      ports: [{ name: http, containerPort: 8080 }]
      env: [{ name: WORD, valueFrom: { secretKeyRef: { name: word, key: word } } }]
      readinessProbe: { httpGet: { port: http }, periodSeconds: 1 }
      volumeMounts:
        - { name: page, mountPath: /srv }
        - { name: word, mountPath: /secret }
        - { name: scratch, mountPath: /scratch }
  volumes:
    - { name: page, configMap: { name: page } }
    - { name: word, secret: { secretName: word } }
    - { name: scratch, emptyDir: {} }
---
apiVersion: v1
kind: Pod
metadata: { name: guest, labels: { app: guest } }
spec:
  nodeName: node-1
  runtimeClassName: usual
  terminationGracePeriodSeconds: 1
  containers: [{ name: main, image: 'busybox:1.35', command: [sh, -c, 'echo began; trap exit TERM; while :; do sleep 0.2; done'] }]
`

const onNode = (command: string, ...args: string[]) => run(coracle, 'node', command, `--data-dir=${node.dir}`, ...args)
const podsHere = () => podsOn(node)
const apply = async (yaml: string) => {
  const { code, stderr } = await kubectl.attempt(['apply', '-f', '-'], yaml)
  assert.equal(code, 0, stderr)
}
const masterIsBack = async () => {
  await startServer(plan)
  await eventually(() => kubectl('get', 'nodes'))
  await kubectl('wait', 'node', 'node-1', '--for=condition=Ready', '--timeout=60s')
}
const allReady = (count = 2) =>
  eventually(async () => {
    const pods = await podsHere()
    assert.equal(
      pods.filter(isReady).length,
      count,
      JSON.stringify(pods.map(({ metadata, status }) => [metadata.name, status?.containerStatuses])),
    )
    return pods
  })
const byName = (a: unknown, b: unknown) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)
const addresses = (pods: Pod[]) => pods.map(({ metadata, status }) => [metadata.name, status?.podIP]).toSorted(byName)
const states = (pods: Pod[]) =>
  pods
    .map(({ metadata, status }) => [metadata.name, status?.podIP, status?.containerStatuses?.map((c) => [c.containerID, c.restartCount])])
    .toSorted(byName)

test('after a power cut, with the master off, the node runs its pods as before', async () => {
  await apply(world)
  await kubectl('wait', 'pod', '--all', '--for=condition=Ready', '--timeout=60s')
  await allReady()
  const before = await podsHere()
  await remembered(plan, node, before)

  await killServer(plan)
  await cutPower(plan, node)
  await boot(plan, node)

  const after = await allReady()
  assert.deepEqual(addresses(after), addresses(before), 'the same addresses')
  assert.deepEqual(
    after.map(({ status }) => status?.containerStatuses?.[0]?.restartCount),
    [1, 1],
  )
  const said = await onNode('exec', 'web', '--', 'sh', '-c', 'cat /srv/index.html /secret/word; echo $WORD')
  assert.equal(said, 'hello from the configswordfishswordfish\n')
  // By its name, through the service, from another pod.
  await eventually(async () => assert.equal(await onNode('exec', 'guest', '--', 'wget', '-qO-', 'http://web/'), 'hello from the config'))

  assert.equal(await onNode('logs', 'guest', '--tail=1'), 'began\n')
  assert.equal(await onNode('logs', 'guest', '--previous', '--tail=1'), 'began\n')
  assert.match(await onNode('pods'), /^default +web +1\/1 +Running +1 /m)
  const failing = await attempt(coracle, [
    'node',
    'exec',
    `--data-dir=${node.dir}`,
    'guest',
    '--',
    'sh',
    '-c',
    'echo to stderr >&2; exit 7',
  ])
  assert.deepEqual([failing.code, failing.stderr], [7, 'to stderr\n'])
  const given = await attempt(coracle, ['node', 'exec', '-i', `--data-dir=${node.dir}`, 'guest', '--', 'wc', '-c'], {
    input: 'x'.repeat(300_000),
  })
  assert.deepEqual([given.code, given.stdout.trim()], [0, '300000'])
  const nobody = await attempt(coracle, ['node', 'logs', `--data-dir=${node.dir}`, 'nobody'])
  assert.deepEqual([nobody.code, nobody.stderr], [1, 'coracle: pods "nobody" not found on this node in namespace default\n'])

  await masterIsBack()
  await eventually(async () => {
    const told = (JSON.parse(await kubectl('get', 'pods', '-o', 'json')) as { items: Pod[] }).items
    assert.deepEqual(states(told), states(after), 'nothing restarted, and all is told')
  })
  assert.deepEqual(states(await podsHere()), states(after))
})

const guest = (name: string, on: string) => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: { app: ${name} } }
spec:
  nodeName: ${on}
  terminationGracePeriodSeconds: 1
  containers: [{ name: main, image: 'busybox:1.35', command: [sh, -c, 'trap exit TERM; while :; do sleep 0.2; done'] }]
`
const policy = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: web }
spec:
  podSelector: { matchLabels: { app: web } }
  ingress: [{ from: [{ podSelector: { matchLabels: { app: friend } } }] }]
`

test('policies are in force from the beginning, containers are restarted and counted, and what was deleted meanwhile goes', async () => {
  await apply([policy, guest('friend', 'node-1'), guest('leaving', 'node-1')].join('---'))
  await kubectl('wait', 'pod', '--all', '--for=condition=Ready', '--timeout=60s')
  await remembered(plan, node, await allReady(4))
  await cutPower(plan, node)
  await kubectl('delete', 'pod', 'leaving', '--wait=false')
  await kubectl('delete', 'pod', 'guest', '--force', '--grace-period=0')
  await killServer(plan)
  await boot(plan, node)

  // One of them is gone from the cluster, and one is to go: nobody here can know.
  await allReady(4)
  const fetch = (from: string) => onNode('exec', from, '--', 'timeout', '3', 'wget', '-qO-', 'http://web/')
  await eventually(async () => assert.equal(await fetch('friend'), 'hello from the config'))
  await assert.rejects(fetch('guest'), /exit 143/)
  const restarts = async () =>
    (await podsHere()).find(({ metadata }) => metadata.name === 'friend')?.status?.containerStatuses?.[0]?.restartCount
  const before = (await restarts()) ?? 0
  await run(coracle, 'node', 'exec', `--data-dir=${node.dir}`, 'friend', '--', 'kill', '-TERM', '1').catch(() => {})
  await eventually(async () => assert.equal(await restarts(), before + 1))

  const web = (await podsHere()).filter(({ metadata }) => metadata.name === 'web')
  await masterIsBack()
  await eventually(async () => {
    const here = await podsHere()
    assert.deepEqual(here.map(({ metadata }) => metadata.name).toSorted(byName), ['friend', 'web'])
    assert.deepEqual(states(here.filter(({ metadata }) => metadata.name === 'web')), states(web))
  })
  await eventually(async () => {
    const told = await kubectl('get', 'pod', 'friend', '-o', 'jsonpath={.status.containerStatuses[0].restartCount}')
    assert.equal(told, String(before + 1), 'what happened meanwhile is told')
  })
})

test('an agent that is killed and started while the master is off finds its pods, and restarts none', async () => {
  const other = plan.nodes[1] as NodePlan
  await apply(guest('other', 'node-2'))
  await kubectl('wait', 'pod', 'other', '--for=condition=Ready', '--timeout=60s')
  await remembered(plan, other, await podsOn(other))
  const before = states(await podsOn(other))
  await killServer(plan)
  await killAgent(other)
  await startAgent(plan, other)
  await eventually(async () => {
    const pods = await podsOn(other)
    assert.ok(pods.length === 1 && pods.every(isReady))
    assert.deepEqual(states(pods), before)
  })
  await masterIsBack()
  await kubectl('wait', 'pod', 'other', '--for=condition=Ready', '--timeout=60s')
  assert.deepEqual(states(await podsOn(other)), before)
})

test('a machine that comes back after another has taken its name runs nothing of that', async () => {
  await apply(guest('here', 'node-1'))
  await kubectl('wait', 'pod', 'here', '--for=condition=Ready', '--timeout=60s')
  await cutPower(plan, node)
  await kubectl('annotate', 'node', 'node-1', '--overwrite', 'coracle/instance=another')
  const names = async () => (await readdir(join(node.dir, 'containers/by-id'))).length
  assert.ok((await names()) > 0)
  await boot(plan, node)
  await eventually(async () => assert.equal(await names(), 0))
  assert.deepEqual((await podsHere()).filter(isReady), [])
  await killServer(plan)
  await cutPower(plan, node)
  await boot(plan, node)
  assert.deepEqual(await eventually(podsHere), [])
  assert.equal(await names(), 0, 'nor after another boot, with nobody to ask')
})
