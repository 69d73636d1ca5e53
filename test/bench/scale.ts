// One real server with hundreds of hollow nodes and thousands of pods: what a node and a pod cost it in
// memory, what a change of a pod costs with all nodes listening, and how long others wait meanwhile.

import { mkdtemp } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadKubeconfig } from '#api/client/kubeconfig.ts'
import { serverPid } from '../cluster/cluster.ts'
import { startControlPlane } from '../cluster/control-plane.ts'
import { type HollowNodes, hollowNodes } from '../hollow/nodes.ts'
import { cpu } from './api.ts'
import { type Figure, figure, quantile } from './figure.ts'
import { pss } from './memory.ts'
import { openSession, type Session } from './session.ts'

const state = resolve(import.meta.dirname, '../../.coracle')
const replicas = 1000
/** Changes of pods whose cost and way are measured. */
const changes = 500
/** Milliseconds between the requests of the bystander whose wait is measured. */
const askEvery = 20
const settleMs = 20_000

/** Milliseconds at rest over which the processor's time is measured. */
const restMs = 20_000

type Size = { nodes: number; pods: number }
/** Of the bench, unless the environment has others. */
const size: Size = { nodes: Number(process.env.SCALE_NODES ?? 500), pods: Number(process.env.SCALE_PODS ?? 5000) }

export async function* scaleBench({ nodes, pods }: Size = size): AsyncGenerator<Figure> {
  await using plane = await startControlPlane({ dir: await mkdtemp(join(state, 'bench-scale-')), slot: 4, clusterCIDR: '10.128.0.0/12' })
  const { plan } = plane
  const target = await loadKubeconfig(plan.kubeconfig)
  const session = await openSession(target.server, target.credentials as { ca: string; cert: string; key: string })
  const pid = (await serverPid(plan)) as number
  await sleep(settleMs)
  const idle = await pss(pid, 2)

  const arrivals = new Map<string, number>()
  const [from, before] = [performance.now(), await cpu(pid)]
  await using hollow = await hollowNodes(plan, nodes, (_, { metadata }) => {
    const mark = metadata.annotations?.mark
    if (mark && !arrivals.has(mark)) arrivals.set(mark, performance.now())
  })
  yield figure(`${nodes} nodes joined`, (performance.now() - from) / 1000, 's')
  await sleep(2000)
  yield figure('of it for a node, server CPU', ((await cpu(pid)) - before) / nodes, 'ms')
  yield figure('the same, sent to it by then', hollow.received / nodes / 1e3, 'kB')
  await sleep(settleMs)
  const withNodes = await pss(pid, 2)
  yield figure(`server with ${nodes} nodes (PSS)`, withNodes / 1e6, 'MB', { name: 'without any', value: idle / 1e6 })
  yield figure('of it for a node', (withNodes - idle) / nodes / 1e6, 'MB')

  const began = performance.now()
  await deploy(session, pods)
  await running(hollow, pods)
  yield figure(`${pods} pods created, bound and running`, (pods / (performance.now() - began)) * 1000, '/s')
  await sleep(settleMs)
  const withPods = await pss(pid, 2)
  yield figure(`server with ${pods} pods on them (PSS)`, withPods / 1e6, 'MB', { name: 'without pods', value: withNodes / 1e6 })
  yield figure('of it for a pod', (withPods - withNodes) / pods / 1e3, 'kB')

  const [at, spent] = [performance.now(), await cpu(pid)]
  await sleep(restMs)
  yield figure('at rest with all of them, server CPU', (((await cpu(pid)) - spent) / (performance.now() - at)) * 100, '%')

  yield* fanOut(session, pid, arrivals)
  yield* bystander(session, hollow, pods)
  session.close()
}

const apps = '/apis/apps/v1/namespaces/default/deployments'
const json = (value: object) => Buffer.from(JSON.stringify(value))
const merge = { 'content-type': 'application/merge-patch+json' }
const template = (app: string, version: string) => ({
  metadata: { labels: { app }, annotations: { version } },
  spec: { containers: [{ name: 'main', image: 'example.com/app:1', resources: { requests: { cpu: '50m', memory: '32Mi' } } }] },
})

async function deploy(session: Session, pods: number): Promise<void> {
  for (let i = 0; i * replicas < pods; i += 1) {
    const app = `app-${i}`
    const spec = { replicas: Math.min(replicas, pods - i * replicas), selector: { matchLabels: { app } }, template: template(app, '1') }
    await session.request('POST', apps, json({ metadata: { name: app }, spec }))
  }
}

async function running(hollow: HollowNodes, pods: number): Promise<void> {
  while (hollow.running < pods) await sleep(50)
}

/** One pod after the other is changed; against the same changes to an object that no node watches. */
async function* fanOut(session: Session, pid: number, arrivals: ReadonlyMap<string, number>): AsyncGenerator<Figure> {
  const { items } = JSON.parse((await session.request('GET', `/api/v1/namespaces/default/pods?limit=${changes}`)).toString()) as {
    items: { metadata: { name: string } }[]
  }
  await session.request('POST', '/api/v1/namespaces/default/configmaps', json({ metadata: { name: 'unwatched' } }))
  const sent = new Map<string, number>()
  const change = async (path: string, mark: string) => {
    sent.set(mark, performance.now())
    await session.request('PATCH', path, json({ metadata: { annotations: { mark } } }), merge)
  }
  const cost = async (pathOf: (i: number) => string, prefix: string) => {
    const before = await cpu(pid)
    for (let i = 0; i < changes; i += 1) await change(pathOf(i), `${prefix}-${i}`)
    await sleep(1000)
    return ((await cpu(pid)) - before) / changes
  }
  const unwatched = await cost(() => '/api/v1/namespaces/default/configmaps/unwatched', 'map')
  const watched = await cost((i) => `/api/v1/namespaces/default/pods/${items[i % items.length]?.metadata.name}`, 'pod')
  const reference = { name: 'of an object that no node watches', value: unwatched }
  yield figure('a change of a pod, server CPU', watched, 'ms', reference)
  const delays = [...arrivals].flatMap(([mark, at]) => (sent.has(mark) ? [at - (sent.get(mark) as number)] : []))
  yield figure('a change of a pod, until its node hears, p50', quantile(delays, 0.5), 'ms')
  yield figure('the same, p99', quantile(delays, 0.99), 'ms')
}

/** Somebody reads and writes a small object while the first Deployment is restarted; against the same at rest. */
async function* bystander(session: Session, hollow: HollowNodes, pods: number): AsyncGenerator<Figure> {
  type Times = { reads: number[]; writes: number[] }
  const ask = async ({ reads, writes }: Times, over: () => boolean) => {
    for (let i = 0; !over(); i += 1) {
      const from = performance.now()
      const path = '/api/v1/namespaces/default/configmaps/unwatched'
      await (i % 2 ? session.request('PATCH', path, json({ data: { i: String(i) } }), merge) : session.request('GET', path))
      ;(i % 2 ? writes : reads).push(performance.now() - from)
      await sleep(askEvery)
    }
  }
  const calm: Times = { reads: [], writes: [] }
  const end = performance.now() + 10_000
  await ask(calm, () => performance.now() > end)
  const busy: Times = { reads: [], writes: [] }
  let over = false
  const asking = ask(busy, () => over)
  const began = performance.now()
  await session.request('PATCH', `${apps}/app-0`, json({ spec: { template: template('app-0', '2') } }), merge)
  while (!(await rolledOut(session)) || hollow.running !== pods) await sleep(500)
  yield figure(`rolling restart of a Deployment of ${Math.min(replicas, pods)}`, (performance.now() - began) / 1000, 's')
  over = true
  await asking
  for (const kind of ['reads', 'writes'] as const) {
    const at = (p: number) => ({ name: 'at rest', value: quantile(calm[kind], p) })
    yield figure(`${kind} during it, p50`, quantile(busy[kind], 0.5), 'ms', at(0.5))
    yield figure('the same, p99', quantile(busy[kind], 0.99), 'ms', at(0.99))
  }
}

async function rolledOut(session: Session): Promise<boolean> {
  const { items } = JSON.parse((await session.request('GET', apps)).toString()) as {
    items: {
      metadata: { generation: number }
      spec: { replicas: number }
      status: { observedGeneration?: number; updatedReplicas?: number; replicas?: number; availableReplicas?: number }
    }[]
  }
  return items.every(
    ({ metadata, spec, status }) =>
      status.observedGeneration === metadata.generation &&
      status.updatedReplicas === spec.replicas &&
      status.replicas === spec.replicas &&
      status.availableReplicas === spec.replicas,
  )
}
