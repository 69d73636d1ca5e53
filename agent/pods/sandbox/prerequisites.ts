// What a pod's containers stand on: its namespaces and addresses, its cgroup, its volumes, its own /etc files.
// Made side by side, found again after a restart, and given back as a whole.

import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { RuntimeClass } from '#api/kinds/index.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import type { Standing } from '../../volumes/downward.ts'
import type { Mounted } from '../../volumes/volumes.ts'
import { cgroupOf, podResources } from '../resources/qos.ts'
import { fullName } from '../status/status.ts'
import type { PodDeps } from '../worker/deps.ts'
import { hostsFile, kernelHostname, resolvConf } from './files.ts'

export type Sandbox = { ips: string[]; namespaces: { net?: string; ipc?: string; uts?: string } }

/** A prerequisite could not be made; its event is posted. Nothing can start before `retryAt` (monotonic ms). */
export class PrerequisiteError extends Error {
  readonly retryAt: number
  constructor(retryAt: number, options: ErrorOptions) {
    super('the pod has nothing to stand on', options)
    this.name = 'PrerequisiteError'
    this.retryAt = retryAt
  }
}

/** Pauses between attempts, doubled: the kubelet's for volumes, shorter at the long end. */
const RETRY_MIN_MS = 500
const RETRY_MAX_MS = 60_000
const pauseAfter = (failures: number): number => Math.min(RETRY_MIN_MS * 2 ** failures, RETRY_MAX_MS)

type Part<T> = { making?: Promise<T>; made?: T; failures: number; retryAt: number }

export class PodPrerequisites {
  readonly #deps: PodDeps
  readonly #dir: string
  readonly #ipc: string
  #pod: Pod
  readonly #sandbox: Part<Sandbox> = { failures: 0, retryAt: 0 }
  readonly #volumes: Part<Mounted> = { failures: 0, retryAt: 0 }
  #files: Promise<Record<string, string>> | undefined
  /** All that the pod's containers are in; an earlier agent may have put them elsewhere. */
  readonly cgroups: Set<string>

  constructor(pod: Pod, deps: PodDeps) {
    this.#pod = pod
    this.#deps = deps
    this.#dir = join(deps.podsDir, pod.metadata.uid)
    this.#ipc = join(this.#dir, 'ipc')
    this.cgroups = new Set([cgroupOf(pod)])
  }

  set pod(pod: Pod) {
    this.#pod = pod
  }

  get ips(): string[] {
    if (!this.#sandbox.made) return []
    // Kubernetes leaves a pod of the host's network at its first addresses; here the host may move, and its pods with it.
    return this.#pod.spec.hostNetwork ? [...this.#deps.host.ips] : this.#sandbox.made.ips
  }

  get hostname(): string {
    return this.#pod.spec.hostNetwork ? this.#deps.host.name : kernelHostname(this.#pod, this.#deps.dns.clusterDomain)
  }

  /** When (monotonic ms) the volumes must be refreshed. */
  get refreshAt(): number | undefined {
    return this.#volumes.made?.refreshAt
  }

  get standing(): Standing {
    const { name, ips, allocatable } = this.#deps.host
    return { nodeName: name, hostIPs: [...ips], podIPs: this.ips, allocatable }
  }

  /** Something failed last time: worth knowing before anything else is done for a start. */
  get shaky(): boolean {
    return this.#sandbox.failures + this.#volumes.failures > 0
  }

  /** Throws PrerequisiteError. */
  sandbox(): Promise<Sandbox> {
    return this.#once(this.#sandbox, 'FailedCreatePodSandBox', 'Failed to create pod sandbox: ', undefined, () => this.#makeSandbox())
  }

  /** Throws PrerequisiteError. Volumes may show the pod's address, so the sandbox comes first where they do. */
  volumes(signal: AbortSignal): Promise<Mounted> {
    return this.#once(this.#volumes, 'FailedMount', '', signal, async () => {
      if (showsAddress(this.#pod)) await this.sandbox()
      return this.#deps.volumes.mount(this.#pod, this.standing, signal)
    })
  }

  /** Brings mounted volumes up to date; what cannot be now is tried again. */
  async refresh(signal: AbortSignal): Promise<void> {
    // What is being made may have looked before the change that this is about.
    await this.#volumes.making?.catch(() => undefined)
    if (!this.#volumes.made) return void (this.#volumes.retryAt = 0)
    try {
      this.#volumes.made = await this.#deps.volumes.mount(this.#pod, this.standing, signal)
      this.#volumes.failures = 0
    } catch (error) {
      if (signal.aborted) return
      this.#warn('FailedMount', '', error)
      this.#volumes.made = { ...this.#volumes.made, refreshAt: this.#deps.clock.monotonic() + pauseAfter(this.#volumes.failures++) }
    }
  }

  /** /etc/hosts, resolv.conf and hostname: where the container sees them → where they are. */
  files(): Promise<Record<string, string>> {
    this.#files ??= this.#writeFiles().catch((error: unknown) => {
      this.#files = undefined
      throw error
    })
    return this.#files
  }

  /** Idempotent, and complete even if nothing was ever made. */
  async release(): Promise<void> {
    const { network, namespaces, volumes, cgroups } = this.#deps
    const { uid } = this.#pod.metadata
    await Promise.allSettled([this.#sandbox.making, this.#volumes.making, this.#files])
    const steps = await Promise.allSettled([
      network.teardown(uid),
      namespaces.unpin(this.#ipc).then(() => volumes.unmount(uid)),
      ...[...this.cgroups].map((cgroup) => cgroups.remove(cgroup)),
    ])
    const failures = steps.filter((step) => step.status === 'rejected').map(({ reason }) => reason as unknown)
    if (failures.length > 0) {
      this.#warn('FailedKillPod', 'error killing pod: ', failures.map(textOf).join('; '))
      throw new AggregateError(failures, `pod ${uid} could not be torn down`)
    }
    this.#sandbox.made = undefined
    this.#volumes.made = undefined
    this.#files = undefined
  }

  async #makeSandbox(): Promise<Sandbox> {
    // The kubelet's words. Nothing is made: it would be the host's own root that runs in it.
    if (this.#pod.spec.hostUsers === false) throw new Error("can't set `spec.hostUsers: false`, runtime does not support user namespaces")
    await this.#checkRuntime()
    const pids = this.#deps.isolation.pidsLimit
    const limits = { ...podResources(this.#pod), ...(pids !== undefined && { pids }) }
    const [sandbox] = await Promise.all([this.#join(), this.#deps.cgroups.create(cgroupOf(this.#pod), limits)])
    return sandbox
  }

  /** Every container here is runc's. A pod that asks for the sandbox of another runtime must not run without it. */
  async #checkRuntime(): Promise<void> {
    const name = this.#pod.spec.runtimeClassName
    if (!name) return
    const found = await this.#deps.objects.find(RuntimeClass, { namespace: '', name })
    if (!found) throw new Error(`failed to get sandbox runtime: runtimeclasses.node.k8s.io ${JSON.stringify(name)} not found`)
    const { handler } = found
    if (handler !== 'runc') throw new Error(`failed to get sandbox runtime: no runtime for ${JSON.stringify(handler)} is configured`)
  }

  async #join(): Promise<Sandbox> {
    const { network, namespaces, host } = this.#deps
    const { spec, metadata } = this.#pod
    if (spec.hostNetwork) {
      if (!spec.hostIPC) await namespaces.create({ ipc: this.#ipc })
      return { ips: [...host.ips], namespaces: spec.hostIPC ? {} : { ipc: this.#ipc } }
    }
    const { uid, name, namespace = '' } = metadata
    const made = await network.setup({ uid, namespace, name, hostname: this.hostname })
    const { ipc, ...others } = made.namespaces
    return { ips: made.ips, namespaces: spec.hostIPC ? others : { ...others, ipc } }
  }

  async #writeFiles(): Promise<Record<string, string>> {
    const { ips } = await this.sandbox()
    const { clusterDomain } = this.#deps.dns
    const ofHost = this.#pod.spec.hostNetwork ? await readFile('/etc/hosts', 'utf8').catch(() => '') : ''
    await mkdir(this.#dir, { recursive: true, mode: 0o700 })
    const texts = {
      '/etc/hosts': hostsFile(this.#pod, ips, clusterDomain, ofHost),
      '/etc/resolv.conf': resolvConf(this.#pod, this.#deps.dns),
      '/etc/hostname': `${this.hostname}\n`,
    }
    const entries = Object.entries(texts).map(async ([target, text]) => {
      const source = join(this.#dir, target.replace('/etc/', 'etc-'))
      await writeFile(source, text, { mode: 0o644 })
      return [target, source] as const
    })
    return Object.fromEntries(await Promise.all(entries))
  }

  /** One attempt at a time, shared by all who wait; one event for each that fails. */
  async #once<T>(part: Part<T>, reason: string, prefix: string, signal: AbortSignal | undefined, make: () => Promise<T>): Promise<T> {
    if (part.made) return part.made
    const { clock } = this.#deps
    if (!part.making) {
      if (part.retryAt > clock.monotonic()) throw new PrerequisiteError(part.retryAt, {})
      part.making = this.#attempt(part, reason, prefix, signal, make).finally(() => (part.making = undefined))
    }
    return part.making
  }

  async #attempt<T>(part: Part<T>, reason: string, prefix: string, signal: AbortSignal | undefined, make: () => Promise<T>): Promise<T> {
    try {
      part.made = await make()
      part.failures = 0
      return part.made
    } catch (error) {
      if (error instanceof PrerequisiteError || signal?.aborted) throw error
      part.retryAt = this.#deps.clock.monotonic() + pauseAfter(part.failures++)
      this.#warn(reason, prefix, error)
      throw new PrerequisiteError(part.retryAt, { cause: error })
    }
  }

  #warn(reason: string, prefix: string, error: unknown): void {
    const message = prefix + textOf(error)
    this.#deps.events.event(this.#pod, 'Warning', reason, message)
    this.#deps.log.warn({ pod: fullName(this.#pod), reason }, message)
  }
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

function showsAddress(pod: Pod): boolean {
  const items = (pod.spec.volumes ?? []).flatMap(({ downwardAPI, projected }) => [
    ...(downwardAPI?.items ?? []),
    ...(projected?.sources ?? []).flatMap((source) => source.downwardAPI?.items ?? []),
  ])
  return items.some(({ fieldRef }) => fieldRef?.fieldPath.startsWith('status.podIP'))
}
