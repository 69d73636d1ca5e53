// A cluster without IPv4: the example, from the host, from a node and by name from a pod.

import assert from 'node:assert/strict'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { inside } from './cluster/cluster.ts'
import { testCluster } from './cluster/fixture.ts'
import { run } from './cluster/shell.ts'

const { plan, kubectl, kubectls } = await testCluster({ nodes: 2, slot: 4, stack: 'IPv6' })

test('the example answers from all its pods, on both nodes', async () => {
  await kubectl('apply', '-f', join(resolve(import.meta.dirname, '..'), 'examples/hello.yaml'))
  await kubectl('rollout', 'status', 'deployment/hello', '--timeout=60s')
  const address = await kubectl('get', 'service', 'hello', '-o', 'jsonpath={.spec.clusterIP}')
  assert.match(address, /^fd/)
  for (const k of kubectls) assert.match(await k('get', 'nodes', '-o', 'wide'), /node-1 +Ready .* fd99:/)
  const pods = (await kubectl('get', 'pods', '-o', 'jsonpath={.items[*].metadata.name}')).split(' ')
  const answering = async (ask: () => Promise<string>) => {
    const seen = new Set<string>()
    for (let i = 0; i < 100 && seen.size < pods.length; i += 1) seen.add(/hello from (\S+)/.exec(await ask())?.[1] ?? 'nobody')
    return [...seen].sort()
  }
  const curl = ['curl', '-sS', '--fail', '--max-time', '3', `http://[${address}]/`]
  assert.deepEqual(await answering(() => run('/usr/bin/env', ...curl)), pods)
  for (const node of plan.nodes) assert.deepEqual(await answering(() => run('/usr/bin/env', ...inside(node), ...curl)), pods)
  for (const pod of pods)
    assert.deepEqual(
      await answering(() => kubectl('exec', pod, '--', 'wget', '-q', '-O', '-', 'http://hello/')),
      pods,
      `by name from ${pod}`,
    )
  assert.match(await kubectl('logs', pods[0] ?? ''), /serving as/)
  await kubectl('exec', pods[0] ?? '', '--', 'nc', '-w', '3', 'kubernetes.default', '443', '-e', 'true')
})
