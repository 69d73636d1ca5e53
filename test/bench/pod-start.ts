// From the create call to the Ready condition, image cached: one pod after another.

import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { HttpsClient } from '#api/client/https.ts'
import { Pod } from '#api/kinds/index.ts'
import { run } from '../cluster/shell.ts'
import { benchCluster } from './cluster.ts'
import { type Figure, figure, quantile } from './figure.ts'

const rounds = 20

export async function* podStartBench(): AsyncGenerator<Figure> {
  await using cluster = await benchCluster()
  const reference = quantile(await runcRuns(), 0.5)
  const samples: number[] = []
  for (let i = 0; i < rounds + 2; i += 1) {
    const took = await startPod(cluster.client, `bench-${i}`)
    if (i >= 2) samples.push(took)
  }
  yield figure('pod create → Ready, cached image, p50', quantile(samples, 0.5), 'ms', {
    name: 'runc run of busybox true',
    value: reference,
  })
  yield figure('pod create → Ready, cached image, p95', quantile(samples, 0.95), 'ms', {
    name: 'runc run of busybox true',
    value: reference,
  })
}

async function startPod(client: HttpsClient, name: string): Promise<number> {
  const stop = new AbortController()
  const { metadata } = await client.list(Pod, { namespace: 'default' })
  const started = performance.now()
  await client.create(Pod, {
    metadata: { name, namespace: 'default' },
    spec: { terminationGracePeriodSeconds: 0, containers: [{ name: 'main', image: 'busybox:1.35', command: ['sleep', '100000'] }] },
  })
  for await (const { object } of client.watch(Pod, {
    namespace: 'default',
    resourceVersion: metadata.resourceVersion,
    signal: stop.signal,
  })) {
    if (object.metadata.name === name && object.status.conditions?.some((c) => c.type === 'Ready' && c.status === 'True')) break
  }
  const took = performance.now() - started
  stop.abort()
  await client.delete(Pod, { namespace: 'default', name }, { gracePeriodSeconds: 0 })
  return took
}

/** Milliseconds of `runc run` of busybox's `true`, namespaces and all, without any of ours around it. */
export async function runcRuns(): Promise<number[]> {
  const bundle = await mkdtemp(join(tmpdir(), 'coracle-bench-'))
  try {
    await mkdir(join(bundle, 'rootfs/bin'), { recursive: true })
    await run('cp', (await run('sh', '-c', 'command -v busybox')).trim(), join(bundle, 'rootfs/bin/busybox'))
    await run('runc', 'spec', '--bundle', bundle)
    const spec = JSON.parse(await readFile(join(bundle, 'config.json'), 'utf8'))
    spec.process.terminal = false
    spec.process.args = ['/bin/busybox', 'true']
    spec.process.rlimits = []
    await writeFile(join(bundle, 'config.json'), JSON.stringify(spec))
    const samples: number[] = []
    for (let i = 0; i < rounds + 2; i += 1) {
      const started = performance.now()
      const { status, stderr } = spawnSync('runc', ['run', '--bundle', bundle, `coracle-bench-${process.pid}-${i}`], { encoding: 'utf8' })
      if (status !== 0) throw new Error(`runc run: ${stderr}`)
      if (i >= 2) samples.push(performance.now() - started)
    }
    return samples
  } finally {
    await rm(bundle, { recursive: true })
  }
}
