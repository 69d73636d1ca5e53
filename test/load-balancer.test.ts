// A service's address of a configured range, on a network of three nodes and a client that belongs to no
// cluster: who answers for it, and how soon another does.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { killAgent, killServer, startAgent, startServer } from './cluster/cluster.ts'
import { eventually } from './cluster/eventually.ts'
import { testCluster } from './cluster/fixture.ts'
import { attempt, run } from './cluster/shell.ts'

const { plan, kubectl } = await testCluster({ nodes: 3 })
const range = plan.server.address.replace(/\d+$/, '24')
const address = `${range}0`
const lease = `load-balancer-${address}`

const apply = async (...objects: object[]) => {
  const { code, stderr } = await kubectl.attempt(['apply', '-f', '-'], objects.map((object) => JSON.stringify(object)).join('\n'))
  assert.equal(code, 0, stderr)
}
const settings = (addresses: string) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'coracle-load-balancer', namespace: 'kube-system' },
  data: { addresses },
})
const pod = (node: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: `on-${node}`, labels: { app: 'web', on: node } },
  spec: {
    terminationGracePeriodSeconds: 1,
    nodeSelector: { 'kubernetes.io/hostname': node },
    containers: [
      {
        name: 'main',
        image: 'busybox:1.35',
        command: ['sh', '-c', `mkdir /www; echo ${node} >/www/index.html; exec httpd -f -p 8080 -h /www`],
      },
    ],
  },
})
const service = (name: string, spec: object) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { type: 'LoadBalancer', selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }], ...spec },
})

/** A host on the nodes' network. */
async function clientHost(t: TestContext) {
  const netns = `${plan.name}-client`
  const link = `${plan.name}-cl`
  t.after(async () => {
    await attempt('ip', ['netns', 'delete', netns])
    // The kernel would take it too, when it finds time.
    await attempt('ip', ['link', 'delete', link])
  })
  await run('ip', 'netns', 'add', netns)
  await run('ip', 'link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', netns)
  await run('ip', 'link', 'set', link, 'master', plan.bridge!.link, 'up')
  const inside = (...command: string[]) => attempt('ip', ['netns', 'exec', netns, ...command])
  await inside('ip', 'address', 'add', `${range.slice(0, -1)}00/24`, 'dev', 'eth0')
  await inside('ip', 'link', 'set', 'eth0', 'up')
  return {
    inside,
    get: async () => (await inside('curl', '-s', '-m', '1', `http://${address}/`)).stdout.trim(),
    mac: async () => /lladdr (\S+)/.exec((await inside('ip', 'neigh', 'show', address)).stdout)?.[1],
  }
}

const macOf = async (node: string) => {
  const { netns = '' } = plan.nodes.find(({ name }) => name === node)!
  return /link\/ether (\S+)/.exec(await run('ip', '-netns', netns, 'link', 'show', 'eth0'))?.[1]
}
const nodeOf = (name: string) => plan.nodes.find((node) => node.name === name)!
const holder = () => kubectl('get', 'lease', '-n', 'kube-node-lease', lease, '-o', 'jsonpath={.spec.holderIdentity}')

test('one node answers for the address; when its agent or its cable goes, another does within seconds', async (t) => {
  const client = await clientHost(t)
  await apply(settings(`${address}-${range}1`), ...plan.nodes.map(({ name }) => pod(name)), service('web', {}))
  await kubectl('wait', '--for=condition=Ready', 'pod', '--all', '--timeout=60s')
  assert.match(await kubectl('get', 'service', 'web'), new RegExp(`LoadBalancer +\\S+ +${address} `))
  assert.equal(
    await kubectl('get', 'service', 'web', '-o', 'jsonpath={.status.loadBalancer.ingress}'),
    `[{"ip":"${address}","ipMode":"VIP"}]`,
  )
  const names = plan.nodes.map(({ name }) => name)
  await eventually(async () => assert(names.includes(await client.get())), { withinMs: 5_000 })
  const first = await holder()
  assert.equal(await client.mac(), await macOf(first))
  await eventually(async () =>
    assert.match(await kubectl('describe', 'service', 'web'), new RegExp(`NodeAssigned.*announcing ${address} from node ${first}`)),
  )

  await killAgent(nodeOf(first))
  const killed = performance.now()
  await eventually(async () => assert.notEqual(await holder(), first), { withinMs: 8_000 })
  const second = await holder()
  await eventually(async () => assert.equal(await client.mac(), await macOf(second)), { withinMs: 2_000 })
  assert(names.includes(await client.get()))
  t.diagnostic(`the agent was killed: another answers after ${Math.round(performance.now() - killed)} ms`)

  const [third = ''] = names.filter((name) => name !== first && name !== second)
  await kubectl('patch', 'service', 'web', '-p', JSON.stringify({ spec: { selector: { on: third } } }))
  await eventually(async () => assert.equal(await client.get(), third))
  await run('ip', 'link', 'set', nodeOf(second).link, 'down')
  const cut = performance.now()
  await eventually(async () => assert.equal(await client.get(), third), { withinMs: 8_000 })
  assert.equal(await holder(), third)
  assert.equal(await client.mac(), await macOf(third))
  t.diagnostic(`the cable was cut: another answers after ${Math.round(performance.now() - cut)} ms`)

  // Back again, who has lost it leaves it to whom it is now.
  await run('ip', 'link', 'set', nodeOf(second).link, 'up')
  await startAgent(plan, nodeOf(first))
  await kubectl('wait', '--for=condition=Ready', 'node', '--all', '--timeout=60s')
  assert.equal(await holder(), third)
  assert.equal(await client.mac(), await macOf(third))

  // Traffic policy Local: only where there are endpoints.
  await kubectl('patch', 'service', 'web', '-p', JSON.stringify({ spec: { externalTrafficPolicy: 'Local', selector: { on: first } } }))
  await eventually(async () => assert.equal(await holder(), first), { withinMs: 5_000 })
  await eventually(async () => assert.equal(await client.get(), first), { withinMs: 5_000 })
  assert.equal(await client.mac(), await macOf(first))
})

test('while the API server is gone the same node goes on, also when it comes back without its leases', async (t) => {
  const client = await clientHost(t)
  const before = await holder()
  assert.notEqual(await client.get(), '')
  const mac = await client.mac()
  await killServer(plan)
  const gone = performance.now()
  // Longer than a lease lasts.
  while (performance.now() - gone < 6_000) {
    await client.inside('ip', 'neigh', 'flush', 'to', address)
    assert.notEqual(await client.get(), '')
    assert.equal(await client.mac(), mac)
  }
  await startServer(plan)
  await eventually(async () => assert.equal(await holder(), before), { withinMs: 10_000 })
  assert.equal(await client.mac(), mac)
})

test('an address that a host of the network has is not announced', async (t) => {
  const client = await clientHost(t)
  await client.inside('ip', 'address', 'add', `${range}1/24`, 'dev', 'eth0')
  await apply(service('taken', { loadBalancerIP: `${range}1`, ports: [{ port: 82, targetPort: 8080 }] }))
  await eventually(async () =>
    assert.match(await kubectl('describe', 'service', 'taken'), /AddressInUse.*a host of the network has it, \S+:\S+/),
  )
  assert.doesNotMatch(await kubectl('get', 'lease', '-n', 'kube-node-lease'), new RegExp(`load-balancer-${range}1`))
  await client.inside('ip', 'address', 'delete', `${range}1/24`, 'dev', 'eth0')
  await eventually(async () => assert.match(await kubectl('describe', 'service', 'taken'), /NodeAssigned/), { withinMs: 8_000 })
  await kubectl('delete', 'service', 'taken')
})

test('a range that is used up is an event on the service; an address that is freed goes to who waits', async () => {
  await apply(service('second', { loadBalancerIP: `${range}1` }), service('third', { ports: [{ port: 81, targetPort: 8080 }] }))
  await eventually(async () =>
    assert.match(await kubectl('describe', 'service', 'third'), /AllocationFailed.*no IPv4 address is left in the ranges/),
  )
  assert.match(await kubectl('get', 'service', 'third'), /LoadBalancer +\S+ +<pending>/)
  assert.match(await kubectl('get', 'service', 'second'), new RegExp(`LoadBalancer +\\S+ +${range}1 `))
  await kubectl('delete', 'service', 'web')
  await eventually(async () => assert.match(await kubectl('get', 'service', 'third'), new RegExp(`LoadBalancer +\\S+ +${address} `)))
  await kubectl('delete', 'service', 'second', 'third')
  await eventually(async () =>
    assert.equal(await kubectl('get', 'lease', '-n', 'kube-node-lease', '-l', 'coracle/load-balancer', '-o', 'name'), ''),
  )
})
