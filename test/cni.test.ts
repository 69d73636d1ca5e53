// A node whose pods' network Debian's plugins make, beside one with our own.

import assert from 'node:assert/strict'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { inside, killAgent, startAgent } from './cluster/cluster.ts'
import { eventually } from './cluster/eventually.ts'
import { testCluster } from './cluster/fixture.ts'
import type { NodePlan } from './cluster/plan.ts'
import { attempt } from './cluster/shell.ts'

const { plan, kubectl } = await testCluster({ nodes: 2 })
const [node1, node2] = plan.nodes as [NodePlan, NodePlan]
const conf = join(plan.dir, 'cni')
const leases = join(plan.dir, 'leases')
const file = join(conf, '10-bridge.conflist')

const subnet = await kubectl('get', 'node', node2.name, '-o', 'jsonpath={.spec.podCIDR}')
const bridge = {
  type: 'bridge',
  bridge: 'cni0',
  isGateway: true,
  hairpinMode: true,
  ipam: { type: 'host-local', dataDir: leases, ranges: [[{ subnet }]], routes: [{ dst: '0.0.0.0/0' }] },
}
const portmap = { type: 'portmap', capabilities: { portMappings: true }, snat: true }
const network = (cniVersion: string, plugins: object[]) => JSON.stringify({ cniVersion, name: 'debian', plugins })

const restart = async () => {
  await killAgent(node2)
  await startAgent(plan, node2, `--cni-conf-dir=${conf}`, '--cni-bin-dir=/usr/lib/cni')
}
const readiness = () =>
  kubectl(
    'get',
    'node',
    node2.name,
    '-o',
    'jsonpath={.status.conditions[?(@.type=="Ready")].status} {.status.conditions[?(@.type=="Ready")].message}',
  )

const pod = (name: string) => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: { app: ${name} } }
spec:
  terminationGracePeriodSeconds: 1
  nodeSelector: { kubernetes.io/hostname: ${node2.name} }
  containers:
    - name: main
      image: busybox:1.35
      command: [sh, -c, 'mkdir /www && echo ${name} > /www/index.html && exec httpd -f -p 8080 -h /www']
      ports: [{ containerPort: 8080, hostPort: 8088 }]
`
const apply = async (yaml: string) => {
  const { code, stderr } = await kubectl.attempt(['apply', '-f', '-'], yaml)
  assert.equal(code, 0, stderr)
}
const status = (path: string) => kubectl('get', 'pod', 'web', '-o', `jsonpath={.status.${path}}`)
const wget = async (node: NodePlan, url: string) => {
  const [program, ...args] = [...inside(node), 'timeout', '2', 'busybox', 'wget', '-q', '-O', '-', url]
  return (await attempt(program, args)).stdout.trim()
}
const held = async () => (await readdir(join(leases, 'debian'))).filter((name) => /^\d+\.\d+\.\d+\.\d+$/.test(name))

test('without a configuration the node is not Ready, and says so in Kubernetes’ words', async () => {
  await mkdir(conf)
  await restart()
  await eventually(async () =>
    assert.match(
      await readiness(),
      /^False .*container runtime network not ready: .*cni plugin not initialized: no valid network config found/,
    ),
  )
  await writeFile(file, network('1.0.0', [bridge, portmap]))
  await eventually(async () => assert.match(await readiness(), /^True /))
})

test('a pod is attached by the plugins: its address, a Service, a host port, names', async () => {
  await apply(pod('web'))
  await kubectl('wait', '--for=condition=Ready', 'pod/web', '--timeout=60s')
  const address = await status('podIP')
  assert.deepEqual(await held(), [address])
  await kubectl('expose', 'pod', 'web', '--port=80', '--target-port=8080')
  const service = await kubectl('get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}')
  await eventually(async () => assert.equal(await wget(node1, `http://${service}/`), 'web'))
  assert.equal(await wget(node1, `http://${address}:8080/`), 'web')
  assert.equal(await wget(node1, `http://${node2.addresses[0]}:8088/`), 'web')
  assert.equal(await kubectl('exec', 'web', '--', 'wget', '-q', '-O', '-', 'http://web.default.svc.cluster.local/'), 'web\n')
})

test('an agent that is killed finds the pod; what it was attached with is taken back when it goes', async () => {
  const [address, container] = [await status('podIP'), await status('containerStatuses[0].containerID')]
  await restart()
  // The new agent has opened the network once it attaches another pod.
  await apply(pod('second').replace('8088', '8090'))
  await kubectl('wait', '--for=condition=Ready', 'pod/second', '--timeout=60s')
  assert.equal(await wget(node1, `http://${address}:8080/`), 'web')
  assert.deepEqual([await status('podIP'), await status('containerStatuses[0].containerID')], [address, container])

  // The failure of a plugin is the pod's event, in its own words.
  await writeFile(file, network('1.0.0', [bridge, { type: 'no-such-plugin' }]))
  await apply(pod('broken').replace('8088', '8089'))
  await eventually(async () => {
    const events = await kubectl(
      'get',
      'events',
      '--field-selector',
      'involvedObject.name=broken,reason=FailedCreatePodSandBox',
      '-o',
      'jsonpath={.items[*].message}',
    )
    assert.match(
      events,
      /^Failed to create pod sandbox: failed to setup network for sandbox ".*": plugin type="no-such-plugin" name="debian" failed \(.*\): failed to find plugin "no-such-plugin" in path \[\/usr\/lib\/cni\]/,
    )
  })
  await writeFile(file, network('1.0.0', [bridge, portmap]))
  await kubectl('wait', '--for=condition=Ready', 'pod/broken', '--timeout=60s')
  assert.equal((await held()).length, 3)

  await rm(file)
  await kubectl('delete', 'pod', 'web', 'second', 'broken', '--wait')
  await eventually(async () => assert.deepEqual(await held(), []))
  const { stdout } = await attempt('nsenter', [`--net=/run/netns/${node2.netns}`, 'iptables-save', '-t', 'nat'])
  assert.doesNotMatch(stdout, /dport 80(88|89|90)/)
})
