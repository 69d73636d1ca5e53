// Memory of an idle server and agent, with the cluster's own objects and three pods.
//
// PSS divides a shared page among all that map it. This process runs the same Node binary and would
// take a share that it does not take on a device: the binary's pages are counted as if only the
// measured processes mapped them.

import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { Deployment } from '#api/kinds/index.ts'
import { agentPid, serverPid } from '../cluster/cluster.ts'
import { benchCluster } from './cluster.ts'
import { type Figure, figure } from './figure.ts'

export async function* memoryBench(): AsyncGenerator<Figure> {
  const bare = [0, 1].map(() => spawn(process.execPath, ['--eval', 'setInterval(() => {}, 60_000)'], { stdio: 'ignore' }))
  await sleep(1000)
  const reference = await together(bare.map((child) => child.pid as number))
  for (const child of bare) child.kill()

  await using cluster = await benchCluster()
  await cluster.client.create(Deployment, {
    metadata: { name: 'idle', namespace: 'default' },
    spec: {
      replicas: 3,
      selector: { matchLabels: { app: 'idle' } },
      template: {
        metadata: { labels: { app: 'idle' } },
        spec: { terminationGracePeriodSeconds: 0, containers: [{ name: 'main', image: 'busybox:1.35', command: ['sleep', '100000'] }] },
      },
    },
  })
  await sleep(30_000) // idle means after the garbage of the start is collected
  const [server, agent] = await Promise.all([serverPid(cluster.plan), agentPid(cluster.plan.nodes[0]!)])
  if (!server || !agent) throw new Error('the server or the agent does not run')
  const sum = await together([server, agent])
  yield figure('memory, server and agent idle (PSS)', sum, 'MB', { name: 'two idle bare Node processes', value: reference })
  yield figure('memory, server alone of it', (await pss(server, 3)) / 1e6, 'MB')
  yield figure('memory, agent alone of it', (await pss(agent, 3)) / 1e6, 'MB')
}

/** MB of the processes together; this process maps the binary too, hence one more. */
async function together(pids: number[]): Promise<number> {
  const sizes = await Promise.all(pids.map((pid) => pss(pid, pids.length + 1)))
  return sizes.reduce((a, b) => a + b, 0) / 1e6
}

/** Bytes; `sharers` processes map the Node binary, one of which does not count. */
export async function pss(pid: number, sharers: number): Promise<number> {
  let total = 0
  let file = ''
  let shared = 0
  for (const line of (await readFile(`/proc/${pid}/smaps`, 'utf8')).split('\n')) {
    const mapping = /^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+\s*(.*)$/.exec(line)
    if (mapping) {
      file = mapping[1] ?? ''
      shared = 0
    }
    const value = Number(/(\d+) kB$/.exec(line)?.[1] ?? 0) * 1024
    if (line.startsWith('Pss:')) shared = value
    if (line.startsWith('Private_Dirty:') && shared > 0) {
      total += file === process.execPath ? (shared - value) * (sharers / (sharers - 1)) + value : shared
      shared = 0
    }
  }
  return total
}
