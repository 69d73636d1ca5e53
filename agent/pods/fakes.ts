// Everything around pods, in memory: a runtime whose containers end when told, images that are there or
// not, a network that hands out addresses. For tests.

import type { Namespaces } from 'nft-js'
import { type FakeClient, fakeClient } from '#api/client/fake.ts'
import { type FakeClock, fakeClock } from '#api/clock.fake.ts'
import { timestamp } from '#api/clock.ts'
import type { EventRecorder } from '#api/events/recorder.ts'
import { Pod } from '#api/kinds/index.ts'
import { silent } from '#api/log.ts'
import type { Container } from '#api/types/core-v1.gen.ts'
import { type Image, ImageError } from '../images/images.ts'
import type { ContainerSpec, ContainerState, Runtime } from '../runtime/runtime.ts'
import { openObjects } from '../volumes/objects.ts'
import type { Volumes } from '../volumes/volumes.ts'
import type { PodDeps } from './worker/deps.ts'

export type FakeRuntime = Runtime & {
  readonly states: Map<string, ContainerState>
  /** Starts, stops and removals, in order: `start web#0`, `stop web#0 30`, `remove web#0`. */
  readonly log: string[]
  /** Ends the newest process of a container. */
  exit(name: string, exitCode: number, more?: Partial<ContainerState>): void
  newest(name: string): ContainerState | undefined
  /** What the next start throws. */
  failNext(error: Error): void
  /** Containers that ignore TERM: they end only at their deadline. */
  stubborn: Set<string>
  /** Exit codes of commands, by their first word. */
  readonly commands: Map<string, number>
}

function fakeRuntime(clock: FakeClock): FakeRuntime {
  const states = new Map<string, ContainerState>()
  const listeners = new Set<(state: ContainerState) => void>()
  const log: string[] = []
  const failures: Error[] = []
  const commands = new Map<string, number>()
  const stubborn = new Set<string>()
  const label = ({ name, attempt }: ContainerSpec) => `${name}#${attempt}`
  const end = (id: string, exitCode: number, more: Partial<ContainerState> = {}) => {
    const state = states.get(id)
    if (state?.phase !== 'running') return
    const ended: ContainerState = { ...state, phase: 'exited', exitCode, finishedAt: timestamp(clock.now()), ...more }
    states.set(id, ended)
    for (const listener of listeners) listener(ended)
  }
  const newest = (name: string) =>
    [...states.values()].filter(({ spec }) => spec.name === name).sort((a, b) => b.spec.attempt - a.spec.attempt)[0]

  return {
    states,
    log,
    commands,
    stubborn,
    newest,
    exit: (name, exitCode, more) => end(newest(name)!.id, exitCode, more),
    failNext: (error) => void failures.push(error),
    async start(spec) {
      const failure = failures.shift()
      if (failure) throw failure
      log.push(`start ${label(spec)}`)
      const state: ContainerState = { id: spec.id, spec, phase: 'running', pid: 100 + states.size, startedAt: timestamp(clock.now()) }
      states.set(spec.id, state)
      return state
    },
    async stop(id, { graceSeconds }) {
      const state = states.get(id)
      if (!state) return
      log.push(`stop ${label(state.spec)} ${graceSeconds}`)
      if (graceSeconds > 0 && stubborn.has(state.spec.name)) {
        await new Promise<void>((resolve) => {
          const timer = clock.after(graceSeconds * 1000, resolve)
          const ended = (other: ContainerState) => {
            if (other.id !== id) return
            timer.cancel()
            listeners.delete(ended)
            resolve()
          }
          listeners.add(ended)
        })
      }
      end(id, graceSeconds > 0 && !stubborn.has(state.spec.name) ? 0 : 137)
    },
    async remove(id) {
      const state = states.get(id)
      if (state) log.push(`remove ${label(state.spec)}`)
      states.delete(id)
    },
    list: async () => [...states.values()],
    state: async (id) => states.get(id),
    onExit(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async exec(id, { args }) {
      const state = states.get(id)
      log.push(`exec ${state ? label(state.spec) : id} ${args.join(' ')}`)
      return commands.get(args[0]!) ?? 0
    },
    attach: async () => undefined,
    stats: async () => undefined,
    async resize(id, resources) {
      log.push(`resize ${label(states.get(id)!.spec)} ${JSON.stringify(resources)}`)
    },
    close: async () => undefined,
  }
}

export type World = {
  deps: PodDeps
  client: FakeClient
  clock: FakeClock
  runtime: FakeRuntime
  /** Events, as `Normal Started Started container web`. */
  events: string[]
  /** References that are in the store, and those that a registry has. */
  stored: Set<string>
  registry: Set<string>
  /** Uids that have a sandbox or volumes, and what is done to them. */
  grounds: {
    sandboxes: Set<string>
    volumes: Set<string>
    cgroups: Set<string>
    failures: Error[]
    teardownFailures: Error[]
    volumeFailures: Error[]
    limitFailures: Error[]
  }
  held: Set<string>
}

const image = (reference: string): Image => ({
  id: `sha256:${reference}`,
  names: [reference],
  digests: [],
  layers: ['/layers/1'],
  size: 1000,
  config: { entrypoint: [], cmd: ['sh'], env: [], workingDir: '', user: '' },
})

/** `folder` is a temporary one, for the few files that pods write themselves. */
export function world(folder: string): World {
  const clock = fakeClock()
  const client = fakeClient({ clock })
  const runtime = fakeRuntime(clock)
  const events: string[] = []
  const recorder: EventRecorder = {
    event: (_object, type, reason, message) => void events.push(`${type} ${reason} ${message}`),
    flush: async () => undefined,
    close: async () => undefined,
  }
  const stored = new Set(['busybox:1'])
  const registry = new Set<string>()
  const held = new Set<string>()
  const grounds: World['grounds'] = {
    sandboxes: new Set(),
    volumes: new Set(),
    cgroups: new Set(),
    failures: [],
    teardownFailures: [],
    volumeFailures: [],
    limitFailures: [],
  }
  const volumes: Volumes = {
    async mount(pod) {
      const failure = grounds.volumeFailures.shift()
      if (failure) throw failure
      grounds.volumes.add(pod.metadata.uid)
      return { paths: new Map((pod.spec.volumes ?? []).map(({ name }) => [name, `/volumes/${name}`])) }
    },
    recover: async () => undefined,
    subPath: async (_pod, volume, _container, _index, subPath) => `${volume.path}/${subPath}`,
    expand: async () => undefined,
    stats: async () => new Map(),
    unmount: async (uid) => void grounds.volumes.delete(uid),
    list: async () => [...grounds.volumes],
  }
  const namespaces: Namespaces = { create: async () => undefined, unpin: async () => undefined, isPinned: () => false }
  let ids = 0
  let address = 1
  const deps: PodDeps = {
    client,
    runtime,
    images: {
      find: async (reference) => (stored.has(reference) ? image(reference) : undefined),
      async pull(reference) {
        if (!registry.has(reference)) throw new ImageError('ErrImagePull', `${reference}: not found`)
        stored.add(reference)
        return image(reference)
      },
      hold(id) {
        held.add(id)
        return () => held.delete(id)
      },
    },
    network: {
      async setup({ uid }) {
        const failure = grounds.failures.shift()
        if (failure) throw failure
        grounds.sandboxes.add(uid)
        return { ips: [`10.42.0.${++address}`], namespaces: { net: '/ns/net', ipc: '/ns/ipc', uts: '/ns/uts' } }
      },
      async teardown(uid) {
        const failure = grounds.teardownFailures.shift()
        if (failure) throw failure
        grounds.sandboxes.delete(uid)
      },
      list: async () => [...grounds.sandboxes],
    },
    namespaces,
    cgroups: {
      create: async (path) => void grounds.cgroups.add(path),
      limit: async (path, resources) => {
        const failure = grounds.limitFailures.shift()
        if (failure) throw failure
        runtime.log.push(`limit ${path.split('/')[1]} ${JSON.stringify(resources)}`)
      },
      remove: async (path) => void grounds.cgroups.delete(path),
    },
    volumes,
    objects: openObjects({ client, clock, random: () => 0.5, log: silent }),
    events: recorder,
    clock,
    random: () => 0.5,
    newID: () => `c${++ids}`,
    log: silent,
    host: { name: 'pi', ips: ['10.0.0.1'], memoryBytes: 2 ** 30, allocatable: { cpu: '4', memory: '1Gi' }, bootID: 'boot-1' },
    dns: { clusterDNS: ['10.43.0.10'], clusterDomain: 'cluster.local', host: 'nameserver 192.168.0.1\n' },
    services: () => [],
    isolation: { seccompDefault: true, seccompDir: `${folder}/seccomp`, apparmor: false, unsafeSysctls: [] },
    podsDir: `${folder}/pods`,
    logsDir: `${folder}/logs`,
  }
  return { deps, client, clock, runtime, events, stored, registry, grounds, held }
}

export const containerOf = (name: string, more: Partial<Container> = {}): Container => ({
  name,
  image: 'busybox:1',
  imagePullPolicy: 'IfNotPresent',
  resources: {},
  ...more,
})

/** A pod in the API, assigned to the node. */
export const podIn = (client: FakeClient, spec: Partial<Pod['spec']> = {}, name = 'web'): Pod =>
  client.put(Pod, {
    metadata: { name, namespace: 'shop' },
    spec: { nodeName: 'pi', containers: [containerOf('web')], ...spec },
    status: { phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'True' }] },
  })
