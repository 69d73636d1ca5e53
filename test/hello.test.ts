// The newcomer's path: the example, through every kubectl command that the README shows.

import assert from 'node:assert/strict'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { inside } from './cluster/cluster.ts'
import { eventually } from './cluster/eventually.ts'
import { testCluster } from './cluster/fixture.ts'
import type { Kubectl } from './cluster/kubectl.ts'
import { attempt, run } from './cluster/shell.ts'

const example = join(resolve(import.meta.dirname, '..'), 'examples/hello.yaml')
const { plan, kubectl, kubectls } = await testCluster({ nodes: 2 })

/** In a pod, busybox; outside, curl: Debian's static busybox crashes on its own `wget -T`. */
const wget = ['wget', '-q', '-O', '-']
const curl = ['curl', '-sS', '--fail', '--max-time', '3']
const names = async (k: Kubectl) =>
  (await k('get', 'pods', '-l', 'app=hello', '-o', 'jsonpath={.items[*].metadata.name}')).split(' ').filter(Boolean)
const address = () => kubectl('get', 'service', 'hello', '-o', 'jsonpath={.spec.clusterIP}')

/** Asks until every pod has answered; returns the names that did. */
async function answering(ask: () => Promise<string>, expected: number): Promise<Set<string>> {
  const seen = new Set<string>()
  for (let i = 0; i < 200 && seen.size < expected; i += 1) seen.add(/hello from (\S+)/.exec(await ask())?.[1] ?? 'nobody')
  return seen
}

for (const k of kubectls) {
  const version = (await k('version', '--client', '-o', 'json')).match(/"gitVersion": "([^"]+)"/)?.[1]

  test(`${version}: apply, rollout status, pods on both nodes`, async () => {
    assert.match(await k('apply', '-f', example), /deployment.apps\/hello created\nservice\/hello created/)
    assert.match(await k('rollout', 'status', 'deployment/hello', '--timeout=60s'), /successfully rolled out/)
    assert.match(await k('apply', '-f', example), /deployment.apps\/hello unchanged\nservice\/hello unchanged/)
    const nodes = (await k('get', 'pods', '-l', 'app=hello', '-o', 'jsonpath={.items[*].spec.nodeName}')).split(' ')
    assert.deepEqual([...new Set(nodes)].sort(), ['node-1', 'node-2'])
    assert.match(await k('get', 'pods', '-o', 'wide'), /NAME +READY +STATUS +RESTARTS +AGE +IP +NODE/)
    assert.match(await k('get', 'deployment', 'hello'), /hello +3\/3 +3 +3 /)
    assert.match(await k('get', 'all'), /service\/hello/)
  })

  test(`${version}: logs, exec, describe`, async () => {
    const [pod = ''] = await names(k)
    assert.match(await k('logs', pod), new RegExp(`serving as ${pod}`))
    assert.equal((await k('exec', pod, '--', 'hostname')).trim(), pod)
    assert.equal((await k.attempt(['exec', '-i', pod, '--', 'sh', '-c', 'cat; exit 7'], 'through stdin')).stdout, 'through stdin')
    assert.match((await k.attempt(['exec', pod, '--', 'sh', '-c', 'exit 7'])).stderr, /exit code 7/)
    const text = await k('describe', 'pod', pod)
    for (const part of [/Status: +Running/, /Successfully assigned default\/\S+ to node-\d/, /Started container web/, /Ready +True/])
      assert.match(text, part)
    assert.match(await k('describe', 'deployment', 'hello'), /Scaled up replica set hello-\S+/)
    assert.match(await k('describe', 'service', 'hello'), /Endpoints: +10\.\d+\.\d+\.\d+:8080/)
    assert.match(await k('describe', 'node', 'node-1'), /InternalIP: +10\.99\./)
  })

  test(`${version}: the service answers from all pods: from the host, from a node, and by name from a pod`, async () => {
    const pods = await names(k)
    const ip = await address()
    const host = await answering(() => run('curl', ...curl.slice(1), `http://${ip}/`), 3)
    assert.deepEqual([...host].sort(), [...pods].sort())
    for (const node of plan.nodes) {
      const fromNode = await answering(() => run('nsenter', ...inside(node).slice(1), ...curl, `http://${ip}/`), 3)
      assert.deepEqual([...fromNode].sort(), [...pods].sort(), `from ${node.name}`)
    }
    for (const pod of pods) {
      const ask = ['exec', pod, '--', 'sh', '-c', `for i in $(seq 60); do ${wget.join(' ')} http://hello.default.svc.cluster.local/; done`]
      const seen = new Set((await k(...ask)).match(/hello-\S+/g))
      assert.deepEqual([...seen].sort(), [...pods].sort(), `by name from ${pod}, through its own service too`)
    }
    const [pod = ''] = pods
    assert.match(await k('exec', pod, '--', ...wget, 'http://hello/'), /hello from/, 'the search path completes a short name')
  })

  test(`${version}: deleting a pod moves its traffic within a second, and no request fails`, async () => {
    const ip = await address()
    const [victim = ''] = await names(k)
    const deleting = k('delete', 'pod', victim)
    const failures: string[] = []
    let last = 0
    const started = performance.now()
    while (performance.now() - started < 4000) {
      const at = performance.now() - started
      const { code, stdout, stderr } = await attempt('curl', [...curl.slice(1), `http://${ip}/`])
      if (code !== 0) failures.push(`after ${Math.round(at)} ms: ${stderr.trim()}`)
      if (stdout.includes(victim)) last = at
    }
    await deleting
    assert.deepEqual(failures, [])
    assert.ok(last < 1500, `the deleted pod still answered after ${Math.round(last)} ms`)
    await k('rollout', 'status', 'deployment/hello', '--timeout=60s')
    assert.equal((await names(k)).length, 3)
  })

  test(`${version}: scale up and down, roll out a change, undo it, delete`, async () => {
    await k('scale', 'deployment/hello', '--replicas=5')
    await k('rollout', 'status', 'deployment/hello', '--timeout=60s')
    assert.equal((await names(k)).length, 5)
    await k('scale', 'deployment/hello', '--replicas=2')
    await eventually(async () => assert.equal((await names(k)).length, 2))
    await k('set', 'env', 'deployment/hello', 'COLOUR=blue')
    await k('rollout', 'status', 'deployment/hello', '--timeout=60s')
    // The old ones are still on their way out.
    const [pod = ''] = await eventually(async () => {
      const left = await names(k)
      assert.equal(left.length, 2)
      return left
    })
    assert.equal((await k('exec', pod, '--', 'sh', '-c', 'echo $COLOUR')).trim(), 'blue')
    assert.match(await k('rollout', 'history', 'deployment/hello'), /\n1 .*\n2 /)
    await k('rollout', 'undo', 'deployment/hello')
    await k('rollout', 'status', 'deployment/hello', '--timeout=60s')
    await k('delete', '-f', example)
    await eventually(async () => assert.deepEqual(await names(k), []))
    assert.equal((await k('get', 'replicasets', '-o', 'name')).trim(), '')
    await eventually(async () =>
      assert.equal((await k('get', 'endpointslices', '-l', 'kubernetes.io/service-name=hello', '-o', 'name')).trim(), ''),
    )
  })
}
