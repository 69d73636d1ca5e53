// A cluster for one test file: its own addresses, its own folder, gone afterwards, and what the machine shows
// of it compared with before.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { down, upOrNothing } from './cluster.ts'
import { atEnd } from './ending.ts'
import { difference, footprint } from './footprint.ts'
import { type Kubectl, kubectlFor, kubectls } from './kubectl.ts'
import type { ClusterPlan, Stack } from './plan.ts'

const state = resolve(import.meta.dirname, '../../.coracle')

export type TestCluster = {
  plan: ClusterPlan
  /** The newest kubectl found. */
  kubectl: Kubectl
  /** Debian's, if `make test` fetched it, then the oldest and the newest of this machine. */
  kubectls: Kubectl[]
}

/** Call at the top of a test file; the cluster goes down after its last test, and must leave nothing. */
export async function testCluster({
  nodes,
  slot = 1,
  stack = 'IPv4',
}: {
  nodes: number
  slot?: number
  stack?: Stack
}): Promise<TestCluster> {
  const dir = await mkdtemp(join(state, 'test-'))
  const alone = nodes === 1
  const before = { ...(await footprint({ dir, alone })), folders: [] }
  atEnd(async () => {
    await down(dir)
    assert.deepEqual(difference(before, await footprint({ dir, alone })), [], 'the cluster left something behind')
  })
  const images = ['busybox', 'pause'].map((name) => join(state, `images/${name}.tar`))
  const plan = await upOrNothing({ dir, nodes, slot, stack, images })
  const found = kubectls()
  const debian = join(state, 'debian-kubectl/usr/bin/kubectl')
  const ends = [...new Set([existsSync(debian) ? debian : undefined, found[0], found.at(-1)])].filter((program) => program !== undefined)
  const all = ends.map((program) => kubectlFor(plan.kubeconfig, program))
  return { plan, kubectl: all.at(-1) as Kubectl, kubectls: all }
}
