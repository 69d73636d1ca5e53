// The scheduler within a real server: pods that come as fast as the server takes them, until the last of them is bound.

import { mkdtemp } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadKubeconfig } from '#api/client/kubeconfig.ts'
import { startControlPlane } from '../cluster/control-plane.ts'
import { hollowFleet } from '../hollow/fleet.ts'
import { type Figure, figure, quantile } from './figure.ts'
import { openSession, type Session } from './session.ts'

const state = resolve(import.meta.dirname, '../../.coracle')
const writers = 16
/** Milliseconds between the reads of somebody who has nothing to do with it. */
const askEvery = 20
const zone = 'topology.kubernetes.io/zone'

export async function* boundPods({ nodes, pods }: { nodes: number; pods: number }): AsyncGenerator<Figure> {
  await using plane = await startControlPlane({
    dir: await mkdtemp(join(state, 'bench-scheduler-')),
    slot: 4,
    clusterCIDR: '10.128.0.0/12',
  })
  const target = await loadKubeconfig(plane.plan.kubeconfig)
  const credentials = target.credentials as { ca: string; cert: string; key: string }
  await using fleet = await hollowFleet({
    server: target.server,
    credentials,
    count: nodes,
    labels: (index) => ({ [zone]: `zone-${Math.floor(index / 20)}` }),
    starts: false,
  })
  const session = await openSession(target.server, credentials)
  const bystander = await openSession(target.server, credentials)
  const [left, calm] = await watched(bystander, () => create(session, pods, 'left', { schedulerName: 'nobody' }))
  const chosen = { labelSelector: { matchLabels: { app: 'spread' } }, topologyKey: zone }
  for (const [name, spec] of [
    ['plain', {}],
    ['spread', { topologySpreadConstraints: [{ ...chosen, maxSkew: 1, whenUnsatisfiable: 'DoNotSchedule' }] }],
  ] as const) {
    const before = fleet.bound
    const began = performance.now()
    const [, waits] = await watched(bystander, async () => {
      await create(session, pods, name, spec)
      while (fleet.bound < before + pods) await sleep(5)
    })
    const perSecond = (pods / (performance.now() - began)) * 1000
    yield figure(`${name}, ${nodes} nodes, through a server: created and bound`, perSecond, '/s', { name: 'created only', value: left })
    const reference = { name: 'while pods are created only', value: quantile(calm, 0.99) }
    yield figure('the same: a read by somebody else meanwhile, p99', quantile(waits, 0.99), 'ms', reference)
  }
  session.close()
  bystander.close()
}

/** With what a read waited each time meanwhile, in milliseconds. */
async function watched<T>(session: Session, work: () => Promise<T>): Promise<[T, number[]]> {
  const waits: number[] = []
  const stop = new AbortController()
  const asking = (async () => {
    while (!stop.signal.aborted) {
      const asked = performance.now()
      await session.request('GET', '/api/v1/namespaces/kube-system')
      waits.push(performance.now() - asked)
      await sleep(askEvery)
    }
  })()
  const result = await work()
  stop.abort()
  await asking
  return [result, waits]
}

/** Creations a second. */
async function create(session: Session, pods: number, app: string, spec: object): Promise<number> {
  const indices = Array.from({ length: pods }, (_, i) => i).values()
  const containers = [{ name: 'main', image: 'example.com/app:1', resources: { requests: { cpu: '10m', memory: '16Mi' } } }]
  const began = performance.now()
  const writer = async () => {
    for (const i of indices) {
      const pod = { metadata: { name: `${app}-${i}`, labels: { app } }, spec: { containers, ...spec } }
      await session.request('POST', '/api/v1/namespaces/default/pods', Buffer.from(JSON.stringify(pod)))
    }
  }
  await Promise.all(Array.from({ length: writers }, writer))
  return (pods / (performance.now() - began)) * 1000
}
