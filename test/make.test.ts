// The two commands of the README on a fresh checkout: up, use, up again, down; the machine is as before.

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { recorded } from './cluster/cluster.ts'
import { atEnd } from './cluster/ending.ts'
import { difference, footprint } from './cluster/footprint.ts'
import { kubectlFor } from './cluster/kubectl.ts'
import { attempt, run } from './cluster/shell.ts'

const root = resolve(import.meta.dirname, '..')
const running = await recorded(join(root, '.coracle/cluster'))
if (running?.nodes.length === 1) throw new Error("this machine is the node of the cluster of this checkout: 'make down' first")

const clone = await mkdtemp(join(tmpdir(), 'coracle-clone-'))
await run('git', 'clone', '-q', root, join(clone, 'coracle'))
const dir = join(clone, 'coracle')
const cluster = join(dir, '.coracle/cluster')
// The packages are the ones already fetched here, so that the test does not depend on a network.
process.env['npm_config_prefer_offline'] = 'true'
const make = (...args: string[]) => attempt('make', ['-s', '-C', dir, ...args], { timeout: 300_000 })
atEnd(async () => {
  await make('down')
  await rm(clone, { recursive: true })
})

test('make up NODES=2 on a fresh clone, kubectl, make up again, make down: nothing is left', async () => {
  await run('cp', '-a', join(root, 'node_modules'), join(dir, 'node_modules'))
  const before = await footprint({ dir: cluster, alone: false })
  const up = await make('up', 'NODES=2')
  assert.equal(up.code, 0, up.stderr)
  assert.match(up.stdout, /2 node\(s\) Ready/)
  assert.match(up.stdout, /export KUBECONFIG=/)
  const kubectl = kubectlFor(join(dir, '.coracle/kubeconfig'))
  assert.match(await kubectl('get', 'nodes'), /node-1 +Ready [\s\S]*node-2 +Ready /)
  await kubectl('apply', '-f', join(dir, 'examples/hello.yaml'))
  await kubectl('rollout', 'status', 'deployment/hello', '--timeout=60s')
  const pids = await run('sh', '-c', `cat ${dir}/.coracle/cluster/*/*.pid`)
  const again = await make('up', 'NODES=2')
  assert.equal(again.code, 0, again.stderr)
  assert.equal(await run('sh', '-c', `cat ${dir}/.coracle/cluster/*/*.pid`), pids, 'the second make up started nothing')
  const other = await make('up', 'NODES=3')
  assert.notEqual(other.code, 0)
  assert.match(other.stderr, /a cluster of 2 node\(s\) is there already/)
  const down = await make('down')
  assert.equal(down.code, 0, down.stderr)
  assert.deepEqual(difference(before, await footprint({ dir: cluster, alone: false })), [])
  assert.equal((await make('down')).code, 0, 'make down twice is harmless')
})

test('make up on one node shares the namespace of the machine, and leaves it as it was', async () => {
  const before = await footprint({ dir: cluster, alone: true })
  const up = await make('up')
  assert.equal(up.code, 0, up.stderr)
  const kubectl = kubectlFor(join(dir, '.coracle/kubeconfig'))
  await kubectl('run', 'one', '--image=busybox:1.35', '--', 'sleep', '1000')
  await kubectl('wait', '--for=condition=Ready', 'pod/one', '--timeout=30s')
  await make('down')
  assert.deepEqual(difference(before, await footprint({ dir: cluster, alone: true })), [])
})

test('make down after kill -9 of everything still cleans up', async () => {
  const before = await footprint({ dir: cluster, alone: false })
  const up = await make('up', 'NODES=2')
  assert.equal(up.code, 0, up.stderr)
  const kubectl = kubectlFor(join(dir, '.coracle/kubeconfig'))
  await kubectl('create', 'deployment', 'left', '--image=busybox:1.35', '--replicas=3', '--', 'sleep', '1000')
  await kubectl('rollout', 'status', 'deployment/left', '--timeout=60s')
  for (const file of (await run('sh', '-c', `ls ${dir}/.coracle/cluster/*/*.pid`)).split('\n').filter(Boolean)) {
    process.kill(Number((await readFile(file, 'utf8')).split(' ')[0]), 'SIGKILL')
  }
  const down = await make('down')
  assert.equal(down.code, 0, down.stderr)
  assert.deepEqual(difference(before, await footprint({ dir: cluster, alone: false })), [])
})
