// What use leaves in memory: on two nodes pods, services, config maps, execs and logs come and go for
// SOAK_SECONDS (ten minutes), and the server and the agents are measured before, at the end, and one minute after.

import { setTimeout as sleep } from 'node:timers/promises'
import { ConfigMap, Namespace, Pod, Service } from '#api/kinds/index.ts'
import { agentPid, serverPid } from '../cluster/cluster.ts'
import { kubectlFor } from '../cluster/kubectl.ts'
import { type BenchCluster, benchCluster } from './cluster.ts'
import { type Figure, figure } from './figure.ts'
import { pss } from './memory.ts'

const seconds = Number(process.env['SOAK_SECONDS'] ?? 600)
/** After the garbage of the start is collected, as the bench of idle memory has it. */
const SETTLE_MS = 30_000
const AFTER_MS = 60_000
const namespace = 'soak'
const PODS = 6

type Sizes = { server: number; agents: number }

export async function* soakBench(): AsyncGenerator<Figure> {
  await using cluster = await benchCluster({ nodes: 2 })
  await cluster.client.create(Namespace, { metadata: { name: namespace } })
  await sleep(SETTLE_MS)
  const before = await sizes(cluster)

  const until = AbortSignal.timeout(seconds * 1000)
  const done: Record<string, number> = {}
  const count = (what: string) => {
    done[what] = (done[what] ?? 0) + 1
  }
  const load = [
    ...Array.from({ length: PODS }, (_, i) => forever(until, (round) => onePod(cluster, `pod-${i}-${round}`, count))),
    ...Array.from({ length: 4 }, (_, i) => forever(until, (round) => oneConfigMap(cluster, `settings-${i}-${round}`, count))),
    forever(until, (round) => oneService(cluster, `service-${round}`, count)),
  ]
  await Promise.all(load)
  const end = await sizes(cluster)
  await sleep(AFTER_MS)
  const after = await sizes(cluster)

  for (const [what, n] of Object.entries(done)) yield figure(`soak, ${what} in ${seconds} s`, n, '')
  for (const who of ['server', 'agents'] as const) {
    const reference = { name: 'before', value: before[who] }
    yield figure(`soak, ${who === 'server' ? 'server' : 'two agents'} at the end (PSS)`, end[who], 'MB', reference)
    yield figure(`soak, ${who === 'server' ? 'server' : 'two agents'} a minute after (PSS)`, after[who], 'MB', reference)
  }
}

/** Round by round until it is time; the round under way is finished. */
async function forever(until: AbortSignal, work: (round: number) => Promise<void>): Promise<void> {
  for (let round = 0; !until.aborted; round++) await work(round)
}

type Count = (what: string) => void

/** Starts, is asked for its logs and an exec by the oldest road there is, and goes. */
async function onePod({ plan, client }: BenchCluster, name: string, count: Count): Promise<void> {
  const ref = { namespace, name }
  await client.create(Pod, {
    metadata: { ...ref, labels: { app: 'soak' } },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [
        { name: 'main', image: 'busybox:1.35', command: ['sh', '-c', 'seq 1000; exec sleep 1000'], ports: [{ containerPort: 80 }] },
      ],
    },
  })
  const kubectl = kubectlFor(plan.kubeconfig)
  await kubectl('-n', namespace, 'wait', '--for=condition=Ready', `pod/${name}`, '--timeout=120s')
  count('pods')
  for (let i = 0; i < 3; i++) {
    await kubectl('-n', namespace, 'exec', name, '--', 'seq', '1000')
    count('execs')
    await kubectl('-n', namespace, 'logs', name)
    count('logs')
  }
  await client.delete(Pod, ref)
  await kubectl('-n', namespace, 'wait', '--for=delete', `pod/${name}`, '--timeout=120s')
}

async function oneConfigMap({ client }: BenchCluster, name: string, count: Count): Promise<void> {
  const metadata = { namespace, name }
  let object = await client.create(ConfigMap, { metadata, data: { text: 'x'.repeat(10_000) } })
  for (let i = 0; i < 10; i++) {
    object = await client.update(ConfigMap, { ...object, data: { text: String(i).repeat(10_000) } })
    count('updates of a config map of 10 kB')
    await sleep(20)
  }
  await client.delete(ConfigMap, metadata)
}

async function oneService({ client }: BenchCluster, name: string, count: Count): Promise<void> {
  const metadata = { namespace, name }
  await client.create(Service, { metadata, spec: { selector: { app: 'soak' }, ports: [{ port: 80 }] } })
  count('services')
  await sleep(500)
  await client.delete(Service, metadata)
}

/** MB; three of ours and this process share the binary. */
async function sizes({ plan }: BenchCluster): Promise<Sizes> {
  const [server, ...agents] = await Promise.all([serverPid(plan), ...plan.nodes.map(agentPid)])
  const of = async (pid: number | undefined) => {
    if (!pid) throw new Error('the server or an agent does not run')
    return (await pss(pid, plan.nodes.length + 2)) / 1e6
  }
  const each = await Promise.all(agents.map(of))
  return { server: await of(server), agents: each.reduce((a, b) => a + b, 0) }
}
