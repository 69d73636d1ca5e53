// From the start of the agent after a power cut, with the master off, to ten Ready pods; and what a node at rest
// writes to its disk.

import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ConfigMap, Pod } from '#api/kinds/index.ts'
import { agentPid, killServer } from '../cluster/cluster.ts'
import { eventually } from '../cluster/eventually.ts'
import { isReady, podsOn } from '../cluster/local.ts'
import type { NodePlan } from '../cluster/plan.ts'
import { boot, cutPower, remembered } from '../cluster/power.ts'
import { benchCluster } from './cluster.ts'
import { type Figure, figure, quantile } from './figure.ts'
import { runcRuns } from './pod-start.ts'

const pods = 10
const settleMs = 5_000
const restMs = 30_000

export async function* rebootBench(): AsyncGenerator<Figure> {
  await using cluster = await benchCluster({ nodes: 2 })
  const { plan, client } = cluster
  const node = plan.nodes[0] as NodePlan
  const reference = { name: 'ten times `runc run` of busybox true', value: (quantile(await runcRuns(), 0.5) * pods) / 1000 }
  const namespace = 'default'
  await client.create(ConfigMap, { metadata: { name: 'page', namespace }, data: { text: 'hello' } })
  for (let i = 0; i < pods; i++) {
    await client.create(Pod, {
      metadata: { name: `bench-${i}`, namespace },
      spec: {
        nodeName: node.name,
        terminationGracePeriodSeconds: 0,
        volumes: [{ name: 'page', configMap: { name: 'page' } }],
        containers: [
          { name: 'main', image: 'busybox:1.35', command: ['sleep', '100000'], volumeMounts: [{ name: 'page', mountPath: '/page' }] },
        ],
      },
    })
  }
  const allReady = async () => {
    const here = await podsOn(node)
    if (here.filter(isReady).length < pods) throw new Error(`of ${pods} pods ${here.filter(isReady).length} are Ready`)
    return here
  }
  await remembered(plan, node, await eventually(allReady, { withinMs: 60_000 }))

  // What follows a start has come to its end.
  await sleep(settleMs)
  const before = await written(node)
  await sleep(restMs)
  const after = await written(node)
  yield figure(
    'files of the record that a node at rest writes in 30 s',
    after.files.filter((file) => !before.files.includes(file)).length,
    'files',
  )
  yield figure('bytes that its agent writes to the disk in 30 s', after.bytes - before.bytes, 'B')

  await killServer(plan)
  await cutPower(plan, node)
  const started = performance.now()
  await boot(plan, node)
  await eventually(allReady, { withinMs: 60_000, everyMs: 20 })
  yield figure('ten pods Ready after a power cut, master off', (performance.now() - started) / 1000, 's', reference)
}

/** Each file of the record with its time, and what the agent's process has had written by the kernel. */
async function written(node: NodePlan): Promise<{ files: string[]; bytes: number }> {
  const folder = join(node.dir, 'record/files')
  const files = (await readdir(folder)).map(async (name) => `${name} ${(await stat(join(folder, name))).mtimeMs}`)
  const io = await readFile(`/proc/${await agentPid(node)}/io`, 'utf8')
  return { files: await Promise.all(files), bytes: Number(/^write_bytes: (\d+)/m.exec(io)?.[1]) }
}
