// Thousands of nodes that run nothing, behind one connection: one watch hears of all their pods, leases are
// renewed no more often than the node controller needs. For benchmarks of what works with many nodes and pods
// (the scheduler, controllers) in which the nodes' own connections and watches are not to be measured; for those
// there is `nodes.ts`.

import type { ClientHttp2Stream } from 'node:http2'
import { setTimeout as sleep } from 'node:timers/promises'
import { lines } from '#api/client/lines.ts'
import type { Node, Pod } from '#api/types/core-v1.gen.ts'
import { type Credentials, openSession, type Session } from '../bench/session.ts'
import {
  body,
  lastDelete,
  leasesPath,
  merge,
  nodesPath,
  podPath,
  readyStatus,
  registration,
  renewal,
  runningStatus,
  strategic,
} from './objects.ts'

/** Milliseconds between renewals of a lease: half of what makes a node count as lost. */
const renewEvery = 20_000
/** Requests under way at a time. */
const atOnce = 32

export type FleetOptions = {
  server: string
  /** Of somebody who may do what every node may. */
  credentials: Credentials
  count: number
  /** Beside the usual ones, e.g. a zone. */
  labels?: (index: number) => Record<string, string>
  spec?: (index: number) => Partial<Node['spec']>
  capacity?: (index: number) => Record<string, string>
  /** False: pods are left as they were bound, so that nothing but binding is measured. Those that are deleted go all the same. */
  starts?: boolean
  /** Hears of every event of pods that are bound, as it comes. */
  heard?: (type: string, pod: Pod) => void
}

export type HollowFleet = {
  readonly names: readonly string[]
  /** Pods that are bound, and those of them that were said to be running. */
  readonly bound: number
  readonly running: number
  [Symbol.asyncDispose](): Promise<void>
}

/** Resolves once every node is registered and Ready. */
export async function hollowFleet(options: FleetOptions): Promise<HollowFleet> {
  const { server, credentials, count, labels, spec, capacity } = options
  const session = await openSession(server, credentials)
  const names = Array.from({ length: count }, (_, i) => `hollow-${i}`)
  const fleet = new Fleet(session, names, options)
  try {
    await abreast(names.entries(), async ([index, name]) => {
      await session.request('POST', nodesPath, body(registration(name, labels?.(index), spec?.(index))))
      await session.request('POST', leasesPath, body({ metadata: { name }, spec: renewal(name) }))
      await session.request('PATCH', `${nodesPath}/${name}/status`, body(readyStatus(name, index, capacity?.(index))), merge)
    })
    await fleet.start()
    return fleet
  } catch (error) {
    await fleet[Symbol.asyncDispose]()
    throw error
  }
}

class Fleet implements HollowFleet {
  readonly names: readonly string[]
  readonly #indices: ReadonlyMap<string, number>
  readonly #session: Session
  readonly #options: FleetOptions
  readonly #bound = new Set<string>()
  readonly #running = new Set<string>()
  readonly #toStart: Pod[] = []
  readonly #toEnd: Pod[] = []
  readonly #stop = new AbortController()
  readonly #work: Promise<void>[] = []
  #underWay = 0
  #serial = 0

  constructor(session: Session, names: readonly string[], options: FleetOptions) {
    this.#session = session
    this.names = names
    this.#indices = new Map(names.map((name, index) => [name, index]))
    this.#options = options
  }

  get bound(): number {
    return this.#bound.size
  }

  get running(): number {
    return this.#running.size
  }

  async start(): Promise<void> {
    const pods = await this.#session.open('/api/v1/pods?watch=true&fieldSelector=spec.nodeName!%3D')
    this.#work.push(
      this.#follow(pods).catch(() => {}),
      this.#beat(),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    this.#session.close()
    await Promise.all(this.#work)
  }

  /** One lease after the other, each once in its time. */
  async #beat(): Promise<void> {
    const { signal } = this.#stop
    const began = performance.now()
    for (let i = 0; !signal.aborted; i += 1) {
      const name = this.names[i % this.names.length] as string
      const due = began + ((i + 1) * renewEvery) / this.names.length
      await sleep(Math.max(due - performance.now(), 0), undefined, { signal }).catch(() => {})
      if (signal.aborted) return
      // Not waited for: where one takes long the others are due all the same.
      void this.#session.request('PATCH', `${leasesPath}/${name}`, body({ spec: renewal(name) }), merge).catch(() => {})
    }
  }

  async #follow(stream: ClientHttp2Stream): Promise<void> {
    for await (const batch of lines(stream)) {
      for (const line of batch) {
        const { type, object } = JSON.parse(line) as { type: string; object: Pod }
        this.#hear(type, object)
      }
    }
  }

  #hear(type: string, pod: Pod): void {
    const { uid, deletionTimestamp } = pod.metadata
    this.#options.heard?.(type, pod)
    if (!this.#indices.has(pod.spec.nodeName ?? '')) return
    if (type === 'DELETED') {
      this.#bound.delete(uid)
      this.#running.delete(uid)
      return
    }
    this.#bound.add(uid)
    if (deletionTimestamp) this.#toEnd.push(pod)
    else if (pod.status?.phase === 'Pending' && this.#options.starts !== false) this.#toStart.push(pod)
    else return
    this.#answer()
  }

  #answer(): void {
    while (this.#underWay < atOnce && !this.#stop.signal.aborted) {
      const pod = this.#toEnd.shift() ?? this.#toStart.shift()
      if (!pod) return
      this.#underWay += 1
      // What the server refuses is over: the pod is gone, or was written meanwhile.
      void this.#settle(pod)
        .catch(() => this.#running.delete(pod.metadata.uid))
        .finally(() => {
          this.#underWay -= 1
          this.#answer()
        })
    }
  }

  async #settle(pod: Pod): Promise<void> {
    const { uid, deletionTimestamp } = pod.metadata
    if (deletionTimestamp) {
      this.#running.delete(uid)
      await this.#session.request('DELETE', podPath(pod), body(lastDelete(pod)))
    } else if (this.#bound.has(uid) && !this.#running.has(uid)) {
      this.#running.add(uid)
      this.#serial += 1
      const status = runningStatus(pod, this.#indices.get(pod.spec.nodeName ?? '') ?? 0, this.#serial)
      await this.#session.request('PATCH', `${podPath(pod)}/status`, body(status), strategic)
    }
  }
}

async function abreast<T>(items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> {
  const queue = Iterator.from(items)
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (const item of queue) await work(item)
    }),
  )
}
