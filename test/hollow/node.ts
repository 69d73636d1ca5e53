// A node that runs nothing and looks to the API server like one of ours: it has a connection and an
// identity of its own, renews its lease, watches what an agent watches, answers for the status of the pods
// that are bound to it, and lets them go. Hundreds of them fit into one process.

import type { ClientHttp2Stream } from 'node:http2'
import { setTimeout as sleep } from 'node:timers/promises'
import { lines } from '#api/client/lines.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { type Credentials, openSession, Refused, type Session } from '../bench/session.ts'
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

/** Milliseconds between renewals of the lease, as an agent has it. */
const renewEvery = 10_000
/** Milliseconds without a renewal after which it tells its status again. */
const lapse = 25_000
/** Milliseconds after a lost connection. */
const comeBack = 1_000
/** What an agent follows besides its pods; of no use here, but the server sends it all the same. */
const followed = [
  '/api/v1/services?watch=true',
  '/api/v1/nodes?watch=true',
  '/apis/discovery.k8s.io/v1/endpointslices?watch=true',
  '/apis/networking.k8s.io/v1/networkpolicies?watch=true',
]

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
  /** Bytes that came over its connection, the present one. */
  readonly received: number
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

  get received(): number {
    return this.#session.received
  }

  async join(): Promise<void> {
    const name = this.#name
    await this.#send('POST', nodesPath, registration(name))
    await this.#send('PATCH', `${nodesPath}/${name}/status`, readyStatus(name, this.#index), merge)
    await this.#send('POST', leasesPath, { metadata: { name }, spec: renewal(name) })
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

  async #beat(): Promise<void> {
    const { signal } = this.#stop
    // Not all at once.
    let wait = (renewEvery * (this.#index % 100)) / 100
    let last = performance.now()
    while (!signal.aborted) {
      await sleep(wait, undefined, { signal }).catch(() => {})
      wait = renewEvery
      if (signal.aborted) return
      // A server that has too much to do lets some wait for the next time.
      try {
        await this.#send('PATCH', `${leasesPath}/${this.#name}`, { spec: renewal(this.#name) }, merge)
        const now = performance.now()
        // As an agent does, which may have been called lost meanwhile.
        if (now - last > lapse) await this.#send('PATCH', `${nodesPath}/${this.#name}/status`, readyStatus(this.#name, this.#index), merge)
        last = now
      } catch {
        // The next time.
      }
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

  async #start(pod: Pod): Promise<void> {
    const { uid } = pod.metadata
    if (this.#running.has(uid)) return
    this.#running.add(uid)
    this.#addresses += 1
    await this.#send('PATCH', `${podPath(pod)}/status`, runningStatus(pod, this.#index, this.#addresses), strategic)
  }

  async #end(pod: Pod): Promise<void> {
    this.#running.delete(pod.metadata.uid)
    await this.#send('DELETE', podPath(pod), lastDelete(pod))
  }

  async #send(method: string, path: string, object: object, headers?: Record<string, string>): Promise<void> {
    await this.#patiently(() => this.#session.request(method, path, body(object), headers))
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
