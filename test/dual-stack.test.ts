// A cluster whose pods, services and nodes have addresses of both families, IPv6 first: everything that the
// example does, over each, between nodes; then a node moves to other addresses.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inside } from './cluster/cluster.ts'
import { eventually } from './cluster/eventually.ts'
import { testCluster } from './cluster/fixture.ts'
import { attempt, run } from './cluster/shell.ts'

const { plan, kubectl, kubectls } = await testCluster({ nodes: 2, slot: 2, stack: 'IPv6,IPv4' })
const [one, two] = plan.nodes as [(typeof plan.nodes)[0], (typeof plan.nodes)[0]]
const isSix = (address: string) => address.includes(':')
const host = (address: string) => (isSix(address) ? `[${address}]` : address)
const of = async (object: string, path: string) =>
  (await kubectl('get', ...object.split(' '), '-o', `jsonpath={${path}}`)).split(' ').filter(Boolean)
const curl = ['curl', '-sS', '--fail', '--max-time', '3']
/** What answers there, as asked on a node, or on this machine. */
const ask = async (url: string, node?: (typeof plan.nodes)[0]) =>
  (await run('/usr/bin/env', ...(node ? inside(node) : []), ...curl, url)).trim()

/** A pod on each node that tells who asks; `client` asks. */
const pod = (name: string, node: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { app: 'who' } },
  spec: {
    nodeName: node,
    terminationGracePeriodSeconds: 0,
    containers: [
      {
        name: 'web',
        image: 'busybox:1.35',
        imagePullPolicy: 'IfNotPresent',
        command: ['sh', '-c'],
        args: [
          `mkdir -p /www/cgi-bin; printf '#!/bin/sh\\nprintf "\\n%%s asked by %%s\\n" ${name} "$REMOTE_ADDR"\\n' > /www/cgi-bin/who; chmod +x /www/cgi-bin/who; exec httpd -f -p 8080 -h /www`,
        ],
        env: [
          { name: 'POD_IPS', valueFrom: { fieldRef: { fieldPath: 'status.podIPs' } } },
          { name: 'HOST_IPS', valueFrom: { fieldRef: { fieldPath: 'status.hostIPs' } } },
        ],
        readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
        ports: [{ containerPort: 8080, ...(name === 'pod-2' && { hostPort: 8088 }) }],
      },
    ],
  },
})
const service = (name: string, spec: object) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { selector: { app: 'who' }, ports: [{ port: 80, targetPort: 8080 }], ipFamilyPolicy: 'RequireDualStack', ...spec },
})
const who = (answer: string) => {
  const [, name, client = ''] = /(pod-\d) asked by \[?(?:::ffff:)?([\da-f.:]+?)\]?$/.exec(answer) ?? assert.fail(answer)
  return { name, client }
}
const ips: Record<string, string[]> = {}

test('nodes, pods and services have addresses of both families', async () => {
  const items = [
    pod('pod-1', 'node-1'),
    pod('pod-2', 'node-2'),
    service('who', { type: 'NodePort' }),
    service('local', { type: 'NodePort', externalTrafficPolicy: 'Local' }),
    service('headless', { clusterIP: 'None' }),
    service('single', { ipFamilyPolicy: 'SingleStack' }),
  ]
  assert.equal((await kubectl.attempt(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))).code, 0)
  await kubectl('wait', '--for=condition=Ready', 'pod', '--all', '--timeout=60s')
  for (const [i, node] of plan.nodes.entries()) {
    assert.deepEqual(await of(`node node-${i + 1}`, '.status.addresses[?(@.type=="InternalIP")].address'), node.addresses)
    assert.equal((await of(`node node-${i + 1}`, '.spec.podCIDRs[*]')).map(isSix).join(), 'true,false')
    ips[`pod-${i + 1}`] = await of(`pod pod-${i + 1}`, '.status.podIPs[*].ip')
    assert.equal(ips[`pod-${i + 1}`]?.map(isSix).join(), 'true,false')
    const env = await kubectl('exec', `pod-${i + 1}`, '--', 'env')
    assert.match(env, new RegExp(`^POD_IPS=${ips[`pod-${i + 1}`]?.join()}$`, 'm'))
    assert.match(env, new RegExp(`^HOST_IPS=${node.addresses.join()}$`, 'm'))
    assert.match(
      await kubectl('exec', `pod-${i + 1}`, '--', 'cat', '/etc/resolv.conf'),
      new RegExp(plan.clusterDNS.replace(',', '\nnameserver ')),
    )
  }
  assert.deepEqual((await of('service single', '.spec.clusterIPs[*]')).map(isSix), [true])
  for (const k of kubectls) assert.match(await k('get', 'service', 'who'), /who +NodePort +fd\d+::/)
  const slices = await of('endpointslice -l kubernetes.io/service-name=who', '.items[*].addressType')
  assert.deepEqual(slices.sort(), ['IPv4', 'IPv6'])
})

test('pods reach pods, services and node ports over both, and are seen as who they are', async () => {
  const clusterIPs = await of('service who', '.spec.clusterIPs[*]')
  const [nodePort = ''] = await of('service who', '.spec.ports[0].nodePort')
  const [localPort = ''] = await of('service local', '.spec.ports[0].nodePort')
  const fromPod = async (url: string) => who((await kubectl('exec', 'pod-1', '--', 'wget', '-q', '-O', '-', url)).trim())
  for (const [family, ip] of (ips['pod-2'] ?? []).entries()) {
    const own = ips['pod-1']?.[family] ?? ''
    assert.deepEqual(await fromPod(`http://${host(ip)}:8080/cgi-bin/who`), { name: 'pod-2', client: own })
    // Both answer; the one on the other node sees the pod itself.
    const seen = new Map<string, string>()
    for (let i = 0; i < 50 && seen.size < 2; i += 1) {
      const { name = '', client } = await fromPod(`http://${host(clusterIPs[family] ?? '')}/cgi-bin/who`)
      seen.set(name, client)
    }
    assert.equal(seen.get('pod-2'), own)
    assert.ok(seen.has('pod-1'), 'through its own service')
    for (const node of plan.nodes) {
      const at = node.addresses[family] ?? ''
      assert.ok(who(await ask(`http://${host(at)}:${nodePort}/cgi-bin/who`)).name)
      const local = who(await ask(`http://${host(at)}:${localPort}/cgi-bin/who`))
      assert.deepEqual(local, { name: node === one ? 'pod-1' : 'pod-2', client: plan.bridge?.addresses[family] })
      assert.ok(who(await ask(`http://${host(clusterIPs[family] ?? '')}/cgi-bin/who`, node)).name)
    }
    assert.deepEqual(who(await ask(`http://${host(two.addresses[family] ?? '')}:8088/cgi-bin/who`)).name, 'pod-2')
    assert.ok(who(await ask(`http://${host(clusterIPs[family] ?? '')}/cgi-bin/who`)).name, 'from outside')
  }
  await kubectl('exec', 'pod-1', '--', 'nc', '-w', '3', 'kubernetes.default', '443', '-e', 'true')
})

test('names have both kinds of addresses, and addresses of both kinds names', async () => {
  const dig = async (server: string, ...question: string[]) =>
    (await run('/usr/bin/env', ...inside(two), 'dig', '+short', '+time=2', '+tries=1', `@${server}`, ...question)).trim().split('\n').sort()
  const clusterIPs = await of('service who', '.spec.clusterIPs[*]')
  const sorted = (family: number) => ['pod-1', 'pod-2'].map((name) => ips[name]?.[family] ?? '').sort()
  for (const server of plan.clusterDNS.split(',')) {
    for (const ip of clusterIPs) {
      assert.deepEqual(await dig(server, 'who.default.svc.cluster.local', isSix(ip) ? 'AAAA' : 'A'), [ip])
      assert.deepEqual(await dig(server, '-x', ip), ['who.default.svc.cluster.local.'])
    }
    assert.deepEqual(await dig(server, 'headless.default.svc.cluster.local', 'AAAA'), sorted(0))
    assert.deepEqual(await dig(server, 'headless.default.svc.cluster.local', 'A'), sorted(1))
  }
})

test('a service becomes single-stack and dual-stack again', async () => {
  const [first = '', second = ''] = await of('service who', '.spec.clusterIPs[*]')
  await kubectl('patch', 'service', 'who', '-p', '{"spec":{"ipFamilyPolicy":"SingleStack"}}')
  assert.deepEqual(await of('service who', '.spec.clusterIPs[*]'), [first])
  await eventually(async () => assert.notEqual((await attempt('curl', [...curl.slice(1), `http://${host(second)}/cgi-bin/who`])).code, 0))
  await kubectl('patch', 'service', 'who', '-p', '{"spec":{"ipFamilyPolicy":"PreferDualStack"}}')
  const [, third = ''] = await of('service who', '.spec.clusterIPs[*]')
  await eventually(() => ask(`http://${host(third)}/cgi-bin/who`))
})

test('a policy closes both families', async () => {
  const policy = {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'closed' },
    spec: { podSelector: {}, policyTypes: ['Ingress'] },
  }
  const reached = () =>
    Promise.all(
      (ips['pod-2'] ?? []).map(
        async (ip) => (await kubectl.attempt(['exec', 'pod-1', '--', 'nc', '-w', '1', ip, '8080', '-e', 'true'])).code === 0,
      ),
    )
  assert.deepEqual(await reached(), [true, true])
  assert.equal((await kubectl.attempt(['apply', '-f', '-'], JSON.stringify(policy))).code, 0)
  await eventually(async () => assert.deepEqual(await reached(), [false, false]))
  await kubectl('delete', 'networkpolicy', 'closed')
  await eventually(async () => assert.deepEqual(await reached(), [true, true]))
})

test('a node that gets other addresses is reached at them within seconds, and no pod is restarted', async () => {
  const started = await kubectl('get', 'pods', '-o', 'jsonpath={.items[*].status.containerStatuses[*].containerID}')
  const later = two.addresses.map((address) => address.replace(/12$/, '77'))
  for (const [i, address] of two.addresses.entries()) {
    const prefix = isSix(address) ? 64 : 24
    const ip = (...args: string[]) => run('ip', '-netns', two.netns ?? '', ...args)
    await ip('address', 'delete', `${address}/${prefix}`, 'dev', 'eth0')
    await ip('address', 'add', `${later[i]}/${prefix}`, 'dev', 'eth0', ...(isSix(address) ? ['nodad'] : []))
    await ip('route', 'replace', 'default', 'via', plan.bridge?.addresses[i] ?? '')
  }
  const moved = performance.now()
  const reach = (ip: string, port: string) => kubectl('exec', 'pod-1', '--', 'nc', '-w', '1', ip, port, '-e', 'true')
  for (const ip of ips['pod-2'] ?? []) await eventually(() => reach(ip, '8080'))
  const [nodePort = ''] = await of('service local', '.spec.ports[0].nodePort')
  for (const address of later) await eventually(() => reach(address, nodePort))
  const seconds = (performance.now() - moved) / 1000
  assert.ok(seconds < 10, `pods reach each other again after ${seconds.toFixed(1)} s`)
  assert.deepEqual(await of('node node-2', '.status.addresses[?(@.type=="InternalIP")].address'), later)
  assert.deepEqual(await of('pod pod-2', '.status.hostIPs[*].ip'), later)
  assert.equal((await kubectl('exec', 'pod-2', '--', 'echo', 'reached')).trim(), 'reached')
  assert.equal(await kubectl('get', 'pods', '-o', 'jsonpath={.items[*].status.containerStatuses[*].containerID}'), started)
})
