// NetworkPolicies on a cluster of two nodes: who reaches whom, from a pod's own node, from the other and
// from outside, and how soon after kubectl returned.

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, test } from 'node:test'
import { killAgent, startAgent } from './cluster/cluster.ts'
import { eventually } from './cluster/eventually.ts'
import { testCluster } from './cluster/fixture.ts'
import type { NodePlan } from './cluster/plan.ts'
import { attempt } from './cluster/shell.ts'

const { plan, kubectl } = await testCluster({ nodes: 2 })
const [node1, node2] = plan.nodes as [NodePlan, NodePlan]

/** A pod that serves on the named ports `web` (8080) and `metrics` (9100), and counts aloud on 9000. */
const pod = (name: string, node: string, namespace = 'default') => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: ${namespace}, labels: { app: ${name} } }
spec:
  terminationGracePeriodSeconds: 1
  nodeSelector: { kubernetes.io/hostname: ${node} }
  containers:
    - name: main
      image: busybox:1.35
      command: [sh, -c]
      args:
        - |
          mkdir /www && echo ${name} > /www/index.html
          httpd -p 8080 -h /www && httpd -p 9100 -h /www
          while :; do (while :; do echo tick; sleep 0.1; done) | nc -l -p 9000; done
      ports: [{ name: web, containerPort: 8080 }, { name: metrics, containerPort: 9100 }]
      readinessProbe: { httpGet: { path: /, port: web }, periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 1 }
---
`
const policy = (name: string, spec: object) =>
  `${JSON.stringify({ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name }, spec })}\n`

const apply = async (yaml: string) => {
  const { code, stderr } = await kubectl.attempt(['apply', '-f', '-'], yaml)
  assert.equal(code, 0, stderr)
}
const clear = () => kubectl('delete', 'networkpolicy', '--all')
const address = (name: string, namespace = 'default') => kubectl('get', 'pod', name, '-n', namespace, '-o', 'jsonpath={.status.podIP}')

/** What a change brings takes milliseconds; four kubectls that look at it, on a busy machine, seconds. */
const SOON = { withinMs: 5000, everyMs: 50 }

await kubectl('create', 'namespace', 'team-a')
await kubectl('label', 'namespace', 'team-a', 'team=a')
await apply(pod('web', node1.name) + pod('near', node1.name) + pod('far', node2.name) + pod('friend', node2.name, 'team-a'))
await kubectl('wait', '--for=condition=Ready', 'pod', '--all', '-A', '--timeout=60s')
await kubectl('expose', 'pod', 'web', '--port=80', '--target-port=web')
const web = await address('web')
const host = plan.server.address

type Who = 'near' | 'far' | 'friend' | 'host' | 'web'
const wget = (url: string) => ['timeout', '1', 'busybox', 'wget', '-q', '-O', '-', url]

/** What it got, or nothing. */
const ask = async (who: Who, url = `http://${web}:8080/`): Promise<string> => {
  if (who === 'host') {
    const [program = '', ...args] = wget(url)
    return (await attempt(program, args)).stdout.trim()
  }
  const { stdout } = await kubectl.attempt(['exec', who, '-n', who === 'friend' ? 'team-a' : 'default', '--', ...wget(url)])
  return stdout.trim()
}
const reaches = async (url: string | undefined, expected: Partial<Record<Who, boolean>>) => {
  const whom = Object.keys(expected) as Who[]
  const found = await Promise.all(whom.map(async (who) => [who, (await ask(who, url)) !== ''] as const))
  assert.deepEqual(Object.fromEntries(found), expected)
}

test('without policies everyone reaches everyone', async () => {
  await reaches(undefined, { near: true, far: true, friend: true, host: true })
  await eventually(() => reaches('http://web/', { near: true, far: true }))
})

test('default deny: nobody gets in, the node still probes, and it takes effect soon', async () => {
  await apply(policy('deny', { podSelector: {}, policyTypes: ['Ingress'] }))
  await eventually(() => reaches(undefined, { near: false, far: false, friend: false, host: false }), SOON)
  await reaches('http://web/', { near: false, far: false })
  const ready = ['get', 'pods', '-o', 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}']
  for (let i = 0; i < 3; i += 1) {
    assert.equal(await kubectl(...ready), 'True True True')
    await new Promise((resolve) => setTimeout(resolve, 700))
  }
})

test('a label lets in, on both nodes, through the service too', async () => {
  await apply(
    policy('labelled', {
      podSelector: { matchLabels: { app: 'web' } },
      ingress: [{ from: [{ podSelector: { matchLabels: { role: 'client' } } }], ports: [{ port: 8080 }] }],
    }),
  )
  await kubectl('label', 'pods', 'near', 'far', 'role=client')
  await kubectl('label', 'pod', 'friend', '-n', 'team-a', 'role=client')
  await eventually(() => reaches(undefined, { near: true, far: true, friend: false, host: false }), SOON)
  await reaches('http://web/', { near: true, far: true })
  await reaches(`http://${web}:9100/`, { near: false, far: false })
  await kubectl('label', 'pod', 'near', 'role-')
  await eventually(() => reaches(undefined, { near: false, far: true }), SOON)
})

test('a namespace and a named port', async () => {
  await apply(
    policy('namespace', {
      podSelector: { matchLabels: { app: 'web' } },
      ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: 'a' } } }], ports: [{ port: 'metrics' }] }],
    }),
  )
  const metrics = `http://${web}:9100/`
  await eventually(() => reaches(metrics, { near: false, far: false, friend: true }), SOON)
  await reaches(undefined, { friend: false })
  await kubectl('label', 'namespace', 'team-a', 'team-')
  await eventually(() => reaches(metrics, { friend: false }), SOON)
  await kubectl('label', 'namespace', 'team-a', 'team=a')
})

test('a block of addresses, with an exception', async () => {
  await apply(
    policy('block', {
      podSelector: { matchLabels: { app: 'web' } },
      ingress: [{ from: [{ ipBlock: { cidr: '0.0.0.0/0', except: [plan.clusterCIDR] } }] }],
    }),
  )
  await eventually(() => reaches(undefined, { host: true, near: false, friend: false }), SOON)
  await clear()
  await eventually(() => reaches(undefined, { near: true, far: true, friend: true, host: true }), SOON)
})

test('egress: denied but to the name server, then to a pod, then out of the cluster', async () => {
  const outside = createServer((_, response) => response.end('outside')).listen(0, host)
  after(() => outside.close())
  await new Promise((resolve) => outside.once('listening', resolve))
  const { port } = outside.address() as { port: number }
  const url = `http://${host}:${port}/`
  assert.equal(await ask('far', url), 'outside')

  const far = { podSelector: { matchLabels: { app: 'far' } } }
  await apply(policy('egress', { ...far, policyTypes: ['Egress'] }))
  await eventually(() => reaches(undefined, { far: false, near: true }), SOON)
  await reaches(url, { far: false, near: true })
  assert.match(await kubectl('exec', 'far', '--', 'nslookup', 'web.default.svc.cluster.local'), /10\.\d+\.\d+\.\d+/)

  await apply(policy('egress', { ...far, egress: [{ to: [{ podSelector: { matchLabels: { app: 'web' } } }], ports: [{ port: 'web' }] }] }))
  await eventually(() => reaches(undefined, { far: true }), SOON)
  await reaches('http://web/', { far: true })
  await reaches(url, { far: false })
  await reaches(`http://${web}:9100/`, { far: false })

  await apply(
    policy('egress', { ...far, policyTypes: ['Egress'], egress: [{ to: [{ ipBlock: { cidr: `${host}/32` } }], ports: [{ port }] }] }),
  )
  await eventually(() => reaches(url, { far: true }), SOON)
  await reaches(undefined, { far: false })
  await clear()
})

test('a connection that is established falls silent, and goes on when it is allowed again', async () => {
  const heard = async () => Number(await kubectl('exec', 'far', '--', 'sh', '-c', 'wc -c < /tmp/heard'))
  const listening = kubectl.attempt(['exec', 'far', '--', 'sh', '-c', `sleep 15 | nc ${web} 9000 > /tmp/heard`])
  await eventually(async () => assert.ok((await heard()) > 20))
  await apply(policy('deny', { podSelector: { matchLabels: { app: 'web' } }, policyTypes: ['Ingress'] }))
  let silent = 0
  await eventually(async () => {
    silent = await heard()
    await new Promise((resolve) => setTimeout(resolve, 1000))
    assert.equal(await heard(), silent)
  }, SOON)
  await clear()
  await eventually(async () => assert.ok((await heard()) > silent), { withinMs: 10_000 })
  await listening
})

test('a pod is isolated from its first packet, and an agent that was killed changes nothing', async () => {
  await apply(policy('deny', { podSelector: { matchLabels: { app: 'late' } }, policyTypes: ['Egress'] }))
  const asksOnce = (name: string) => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: { app: ${name} } }
spec:
  restartPolicy: Never
  nodeSelector: { kubernetes.io/hostname: ${node2.name} }
  containers: [{ name: main, image: "busybox:1.35", command: [sh, -c, "${wget(`http://${web}:8080/`).join(' ')}; exit $?"] }]
---
`
  await apply(asksOnce('late') + asksOnce('free'))
  await kubectl('wait', '--for=jsonpath={.status.phase}=Failed', 'pod/late', '--timeout=30s')
  await kubectl('wait', '--for=jsonpath={.status.phase}=Succeeded', 'pod/free', '--timeout=30s')
  await apply(policy('deny', { podSelector: {}, policyTypes: ['Ingress'] }))
  await eventually(() => reaches(undefined, { near: false, far: false }), SOON)
  await killAgent(node1)
  await reaches(undefined, { host: false })
  await startAgent(plan, node1)
  await eventually(() => kubectl('exec', 'near', '--', 'true'))
  await reaches(undefined, { near: false, far: false, host: false })
})

test('what a policy gets wrong is refused, and what the API server lets through is told', async () => {
  const { code, stderr } = await kubectl.attempt(
    ['apply', '-f', '-'],
    policy('bad', { podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/33' } }] }] }),
  )
  assert.equal(code, 1)
  assert.match(stderr, /ipBlock\.cidr: Invalid value/)
  assert.match(await kubectl('get', 'networkpolicies'), /NAME +POD-SELECTOR +AGE/)
  assert.match(await kubectl('describe', 'networkpolicy', 'deny'), /Allowing ingress traffic:\n +<none>/)
})
