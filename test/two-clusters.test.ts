// Two clusters of one machine: neither takes what is the other's, and what cannot be for both is refused.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { down, up } from './cluster/cluster.ts'
import { atEnd } from './cluster/ending.ts'
import { testCluster } from './cluster/fixture.ts'
import { footprint } from './cluster/footprint.ts'
import { kubectlFor } from './cluster/kubectl.ts'
import { attempt } from './cluster/shell.ts'

const state = resolve(import.meta.dirname, '../.coracle')
const images = ['busybox', 'pause'].map((name) => join(state, `images/${name}.tar`))
const { plan, kubectl } = await testCluster({ nodes: 1 })
await kubectl('create', 'deployment', 'stays', '--image=busybox:1.35', '--', 'sleep', '1000')
await kubectl('rollout', 'status', 'deployment/stays', '--timeout=60s')

const beside = async () => {
  const dir = await mkdtemp(join(state, 'test-'))
  atEnd(async () => {
    await down(dir)
    await rm(dir, { recursive: true, force: true })
  })
  return dir
}
const ours = { dir: plan.dir, alone: true }

test('a cluster that asks for the same place gets another, and its end leaves this one as it is', async () => {
  const before = await footprint(ours)
  const dir = await beside()
  const other = await up({ dir, nodes: 2, slot: plan.slot, images })
  assert.notEqual(other.slot, plan.slot)
  const theirs = kubectlFor(other.kubeconfig)
  await theirs('create', 'deployment', 'goes', '--image=busybox:1.35', '--replicas=2', '--', 'sleep', '1000')
  await theirs('rollout', 'status', 'deployment/goes', '--timeout=60s')
  await down(dir)
  assert.deepEqual(await footprint(ours), before)
  const running = await kubectl(
    'get',
    'pods',
    '-o',
    'jsonpath={.items[*].status.phase} {.items[*].status.containerStatuses[*].restartCount}',
  )
  assert.equal(running, 'Running 0')
})

test('a second node in the network of this machine is refused in clear words, and its cleanup takes nothing', async () => {
  const dir = await beside()
  await assert.rejects(up({ dir, nodes: 1, images }), /this machine is a node already: coracle agent, --data-dir .*node-1/)
  const before = await footprint(ours)
  const coracle = resolve(import.meta.dirname, '../bin/coracle')
  const agent = await attempt(coracle, ['agent', `--data-dir=${dir}/agent`, `--server=${plan.server.url}`, '--token=K10x::y', '--cleanup'])
  assert.equal(agent.code, 0, agent.stderr)
  assert.deepEqual(await footprint(ours), before)
})

test('the folder of an agent that runs is its own: no other starts with it, and nothing is cleaned up from under it', async () => {
  const before = await footprint(ours)
  const coracle = resolve(import.meta.dirname, '../bin/coracle')
  const folder = plan.nodes[0]?.dir
  const again = ['agent', `--data-dir=${folder}`, `--server=${plan.server.url}`, '--agent-port=10299']
  const second = await attempt(coracle, again)
  assert.deepEqual([second.code, second.stderr.trim()], [1, `coracle: an agent runs with ${folder} already: stop it first`])
  const cleanup = await attempt(coracle, [...again, '--cleanup'])
  assert.deepEqual([cleanup.code, cleanup.stderr.trim()], [1, `coracle: the agent of ${folder} is running: stop it first`])
  assert.deepEqual(await footprint(ours), before)
})
