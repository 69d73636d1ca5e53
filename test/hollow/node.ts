// A node that runs nothing and looks to the API server like one of ours: it has a connection and an
// identity of its own, renews its lease, watches what an agent watches, answers for the status of the pods
// that are bound to it, and lets them go. Hundreds of them fit into one process.

import type { ClientHttp2Stream } from 'node:http2'
import { setTimeout as sleep } from 'node:timers/promises'
import { lines } from '#api/client/lines.ts'
import { microTimestamp, timestamp } from '#api/clock.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { type Credentials, openSession, Refused, type Session } from '../bench/session.ts'

/** Milliseconds between renewals of the lease, as an agent has it. */
const renewEvery = 10_000
/** Milliseconds after a lost connection. */
const comeBack = 1_000
/** What an agent follows besides its pods; of no use here, but the server sends it all the same. */
const followed = [
  '/api/v1/services?watch=true',
  '/api/v1/nodes?watch=true',
  '/apis/discovery.k8s.io/v1/endpointslices?watch=true',
  '/apis/networking.k8s.io/v1/networkpolicies?watch=true',
]
const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases'
const merge = { 'content-type': 'application/merge-patch+json' }

export type HollowOptions = {
  server: string
  credentials: Credentials
  name: string
  /** Of this node among all: its pods' addresses come from there. */
  index: number
  /** Hears of every event of its pods, as it comes. */
  heard?: (type: string, pod: Pod) => void
}

export type HollowNode = {
  /** Pods here that were said to be running. */
  readonly running: number
  [Symbol.asyncDispose](): Promise<void>
}

/** Resolves once the node is registered, Ready, and hears of its pods. */
export async function hollowNode({ server, credentials, name, index, heard }: HollowOptions): Promise<HollowNode> {
  const open = () => openSession(server, credentials)
  const node = new Hollow({ open, session: await open(), name, index, ...(heard && { heard }) })
  await node.join()
  return node
}

class Hollow implements HollowNode {
  readonly #open: () => Promise<Session>
  #session: Session
  readonly #name: string
  readonly #index: number
  readonly #heard: HollowOptions['heard']
  readonly #running = new Set<string>()
  readonly #work = new Set<Promise<unknown>>()
  readonly #stop = new AbortController()
  #addresses = 0

  constructor({
    open,
    session,
    name,
    index,
    heard,
  }: Pick<HollowOptions, 'name' | 'index' | 'heard'> & { open: () => Promise<Session>; session: Session }) {
    this.#open = open
    this.#session = session
    this.#name = name
    this.#index = index
    this.#heard = heard
  }

  get running(): number {
    return this.#running.size
  }

  async join(): Promise<void> {
    const name = this.#name
    await this.#send('POST', '/api/v1/nodes', {
      metadata: { name, labels: { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux' } },
    })
    const capacity = { cpu: '8', memory: '16Gi', pods: '110', 'ephemeral-storage': '100Gi' }
    const now = timestamp(Date.now())
    const ready = { type: 'Ready', status: 'True', reason: 'KubeletReady', lastHeartbeatTime: now, lastTransitionTime: now }
    await this.#send('PATCH', `/api/v1/nodes/${name}/status`, { status: { capacity, allocatable: capacity, conditions: [ready] } }, merge)
    await this.#send('POST', leases, { metadata: { name }, spec: this.#renewal() })
    void this.#track(this.#beat())
    void this.#track(this.#stay(await this.#listen()))
  }

  /** Resolves with the events of this node's pods. */
  async #listen(): Promise<ClientHttp2Stream> {
    for (const path of followed) {
      const stream = await this.#patiently(() => this.#session.open(path))
      stream.on('error', () => {}).resume()
    }
    return await this.#patiently(() => this.#session.open(`/api/v1/pods?watch=true&fieldSelector=spec.nodeName%3D${this.#name}`))
  }

  /** Comes back when its watch or its connection ends, as an agent does. */
  async #stay(first: ClientHttp2Stream): Promise<void> {
    const { signal } = this.#stop
    let pods: ClientHttp2Stream | undefined = first
    while (!signal.aborted) {
      if (pods) await this.#follow(pods).catch(() => {})
      pods = undefined
      if (signal.aborted) return
      this.#session.close()
      await sleep(comeBack, undefined, { signal }).catch(() => {})
      try {
        this.#session = await this.#open()
        pods = await this.#listen()
      } catch {
        // Once more.
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    this.#session.close()
    await Promise.all(this.#work)
  }

  #renewal = () => ({ holderIdentity: this.#name, leaseDurationSeconds: 40, renewTime: microTimestamp(Date.now()) })

  async #beat(): Promise<void> {
    const { signal } = this.#stop
    // Not all at once.
    let wait = (renewEvery * (this.#index % 100)) / 100
    while (!signal.aborted) {
      await sleep(wait, undefined, { signal }).catch(() => {})
      wait = renewEvery
      if (signal.aborted) return
      // A server that has too much to do lets some wait for the next time.
      await this.#send('PATCH', `${leases}/${this.#name}`, { spec: this.#renewal() }, merge).catch(() => {})
    }
  }

  async #follow(stream: ClientHttp2Stream): Promise<void> {
    for await (const batch of lines(stream)) {
      for (const line of batch) {
        const { type, object } = JSON.parse(line) as { type: string; object: Pod }
        this.#heard?.(type, object)
        if (type === 'DELETED') this.#running.delete(object.metadata.uid)
        else if (object.metadata.deletionTimestamp) void this.#track(this.#end(object))
        else if (object.status?.phase === 'Pending') void this.#track(this.#start(object))
      }
    }
  }

  async #start({ metadata, spec }: Pod): Promise<void> {
    if (this.#running.has(metadata.uid)) return
    this.#running.add(metadata.uid)
    this.#addresses += 1
    const podIP = `10.${100 + (this.#index >> 8)}.${this.#index & 255}.${this.#addresses % 250}`
    const now = timestamp(Date.now())
    const conditions = ['Initialized', 'ContainersReady', 'Ready'].map((type) => ({ type, status: 'True', lastTransitionTime: now }))
    const containerStatuses = spec.containers.map(({ name, image }) => ({
      name,
      image,
      imageID: 'sha256:0',
      containerID: `hollow://${metadata.uid}`,
      ready: true,
      started: true,
      restartCount: 0,
      state: { running: { startedAt: now } },
    }))
    const status = { phase: 'Running', podIP, podIPs: [{ ip: podIP }], startTime: now, conditions, containerStatuses }
    // The list of conditions is merged by type: that the pod was scheduled stays.
    const strategic = { 'content-type': 'application/strategic-merge-patch+json' }
    await this.#send('PATCH', `/api/v1/namespaces/${metadata.namespace}/pods/${metadata.name}/status`, { status }, strategic)
  }

  async #end({ metadata: { namespace, name, uid } }: Pod): Promise<void> {
    this.#running.delete(uid)
    await this.#send('DELETE', `/api/v1/namespaces/${namespace}/pods/${name}`, { gracePeriodSeconds: 0, preconditions: { uid } })
  }

  async #send(method: string, path: string, body: object, headers?: Record<string, string>): Promise<void> {
    await this.#patiently(() => this.#session.request(method, path, Buffer.from(JSON.stringify(body)), headers))
  }

  /** A server with too much to do says so (429), and is asked again, as an agent does. */
  async #patiently<T>(ask: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await ask()
      } catch (error) {
        if (!(error instanceof Refused) || error.status !== 429 || this.#stop.signal.aborted) throw error
        await sleep(comeBack, undefined, { signal: this.#stop.signal })
      }
    }
  }

  /** What the server refuses is somebody else's turn: the pod is gone, or was written meanwhile. */
  #track(work: Promise<void>): Promise<void> {
    const tracked = work.catch(() => {}).finally(() => this.#work.delete(tracked))
    this.#work.add(tracked)
    return tracked
  }
}
