// A cluster in memory for tests: a fake server, the real controllers and scheduler, and nodes that start
// and end pods at once. Time stands still until the test moves it.

import { parseCidrs } from '#api/cidr.ts'
import { type FakeClient, fakeClient } from '#api/client/fake.ts'
import { type FakeClock, fakeClock, settle } from '#api/clock.fake.ts'
import { microTimestamp, timestamp } from '#api/clock.ts'
import { isStatus } from '#api/errors.ts'
import { informers } from '#api/informer/informers.ts'
import { Lease, Namespace, Node, PersistentVolume, Pod, StorageClass } from '#api/kinds/index.ts'
import { localDriver, localFinalizer, sizeAnnotation } from '#api/local-volumes.ts'
import type { Log } from '#api/log.ts'
import { units } from '#api/quantity.ts'
import type { Certify } from './certificates/certificates.ts'
import { startControllers, startScheduler } from './index.ts'
import { mortal } from './mortal.fake.ts'
import { podRanges } from './node/cidr.ts'

export type Harness = {
  client: FakeClient
  clock: FakeClock
  /** Lets all that can happen now happen. */
  settle(): Promise<void>
  addNode(name: string, options?: { cpu?: string; memory?: string; labels?: Record<string, string> }): Promise<void>
  /** Renews the node's lease, as its agent does. */
  beat(...names: string[]): Promise<void>
  /** While false, pods that are bound stay pending. */
  starting: boolean
  /** Pods that run and never become ready. */
  sick: (pod: Pod) => boolean
  /** Names of nodes that do nothing for their pods. */
  readonly lost: Set<string>
  /** What went wrong enough to be told. */
  complaints: string[]
  /** Kills controllers and scheduler after so many writes more, the last of them `written` or not. */
  dieAt(writes: number, written: boolean): void
  /** Starts others in their place, which know nothing. */
  restart(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** `keepsVolumes`: claims get volumes of a class that is the default one, as in every cluster. */
export async function harness({ certify, keepsVolumes = true }: { certify?: Certify; keepsVolumes?: boolean } = {}): Promise<Harness> {
  const clock = fakeClock()
  const client = fakeClient({ clock })
  const complaints: string[] = []
  const complain = ({ err, ...fields }: { err?: unknown }, message: string) =>
    void complaints.push(`${message} ${JSON.stringify(fields)} ${err instanceof Error ? err.message : ''}`)
  const log: Log = { debug() {}, info() {}, warn: complain, error: complain }
  await client.create(Namespace, { metadata: { name: 'default' } })

  let starting = true
  const address = addresses()
  // The nodes live on while the controllers are killed.
  const nodes = informers({ client, log, clock, random: () => 0.5 })
  const agent = nodes.of(Pod)
  const lost = new Set<string>()
  const tend = (pod: Pod) => {
    if (!pod.spec.nodeName || lost.has(pod.spec.nodeName)) return
    if (pod.metadata.deletionTimestamp) void client.delete(Pod, pod.metadata, { gracePeriodSeconds: 0 }).catch(unlessLate)
    else if (starting && pod.status.phase === 'Pending')
      void client
        .update(Pod, { ...pod, status: started(pod, address(), clock.now(), !made.sick(pod)) }, { subresource: 'status' })
        .catch(unlessLate)
  }
  agent.on({ add: tend, update: tend })
  if (keepsVolumes) {
    await client.create(StorageClass, {
      metadata: { name: 'local', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
      provisioner: localDriver,
      reclaimPolicy: 'Delete',
      volumeBindingMode: 'WaitForFirstConsumer',
    })
    const keep = ({ metadata, spec }: PersistentVolume) => {
      const { name, uid, finalizers = [], annotations } = metadata
      const say = (more: object) => void client.patch(PersistentVolume, { name }, 'merge', { metadata: { uid, ...more } }).catch(unlessLate)
      if (metadata.deletionTimestamp) say({ finalizers: finalizers.filter((each) => each !== localFinalizer) })
      else if (!annotations?.[sizeAnnotation]) say({ annotations: { [sizeAnnotation]: String(units(spec.capacity?.['storage'])) } })
    }
    nodes.of(PersistentVolume).on({ add: keep, update: keep })
  }

  const start = () => {
    const stop = new AbortController()
    const { signal } = stop
    const life = mortal(client, () => stop.abort())
    const own = life.client
    const shared = informers({ client: own, log, clock, random: () => 0.5 })
    const common = { client: own, log, signal, clock, random: () => 0.5, informers: shared }
    const running = [
      startControllers({
        ...common,
        ca: 'CA',
        ...(certify && { certify }),
        podRanges: podRanges(parseCidrs('10.42.0.0/16,fd42::/56')!, { IPv4: 24, IPv6: 64 }),
      }),
      startScheduler(common),
    ]
    const close = async () => {
      life.die()
      await shared.close()
      await Promise.all(running)
    }
    return { life, close }
  }
  let controllers = start()
  const settled = () => settle(40)
  await settled()
  const made: Harness = {
    client,
    clock,
    complaints,
    sick: () => false,
    lost,
    settle: settled,
    get starting() {
      return starting
    },
    set starting(value) {
      starting = value
      if (value) for (const pod of agent.list()) tend(pod)
    },
    async addNode(name, { cpu = '4', memory = '4Gi', labels = {} } = {}) {
      const allocatable = { cpu, memory, pods: '110' }
      client.put(Node, {
        metadata: { name, labels: { 'kubernetes.io/hostname': name, ...labels } },
        spec: {},
        status: {
          allocatable,
          capacity: allocatable,
          conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: timestamp(clock.now()) }],
        },
      })
      await made.beat(name)
    },
    async beat(...names) {
      for (const name of names) {
        client.put(Lease, {
          metadata: { name, namespace: 'kube-node-lease' },
          spec: { holderIdentity: name, renewTime: microTimestamp(clock.now()) },
        })
      }
      await settled()
    },
    dieAt: (writes, written) => controllers.life.dieAt(writes, written),
    async restart() {
      await controllers.close()
      controllers = start()
      await settled()
    },
    async [Symbol.asyncDispose]() {
      await controllers.close()
      await nodes.close()
    },
  }
  return made
}

function started(pod: Pod, podIP: string, now: number, ready: boolean): Pod['status'] {
  const conditions = (['Initialized', 'ContainersReady', 'Ready'] as const).map((type) => ({
    type,
    status: ready || type === 'Initialized' ? ('True' as const) : ('False' as const),
    lastTransitionTime: timestamp(now),
  }))
  return { ...pod.status, phase: 'Running', podIP, podIPs: [{ ip: podIP }], conditions: [...(pod.status.conditions ?? []), ...conditions] }
}

function addresses(): () => string {
  let last = 0
  return () => `10.42.${Math.floor(++last / 250)}.${(last % 250) + 1}`
}

function unlessLate(error: unknown): void {
  if (!isStatus(error, 'NotFound', 'Conflict')) throw error
}
