// The runtime of a node: all containers in one folder, and what happens to them.

import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Mounts } from 'nft-js'
import type { Clock, Timer } from '#api/clock.ts'
import type { Log } from '#api/log.ts'
import { attach } from './attach.ts'
import type { Cgroups } from './cgroups.ts'
import { reopenLog } from './conmon.ts'
import { Container, type Environment } from './container.ts'
import { exec } from './exec.ts'
import { ExitDir } from './exits.ts'
import { readHost } from './host.ts'
import { rotateLog } from './logs/rotate.ts'
import { readRecord } from './record.ts'
import { type ContainerState, type Runtime } from './runtime.ts'
import { RuntimeError } from './runtime-error.ts'
import { signalNumber } from './signals.ts'

export type RuntimeOptions = {
  /** The agent's folder for containers. */
  dir: string
  cgroups: Cgroups
  mounts: Mounts
  clock: Clock
  log: Log
  /** The OCI runtime by its absolute path: conmon takes no other. */
  programs?: { conmon?: string; runtime?: string }
  /** When a log file is set aside, and how many are kept with the current one. */
  logs?: { maxBytes: number; maxFiles: number }
}

const tenMiB = 10 << 20
const lookAroundMs = 10_000
const id = /^[a-z0-9]+$/

/** Finds the containers of an earlier agent; what was half-made is gone when this resolves. */
export async function openRuntime(options: RuntimeOptions): Promise<Runtime> {
  const { dir, cgroups, mounts, clock, log, logs = { maxBytes: tenMiB, maxFiles: 5 } } = options
  const [home, runtimeRoot] = [join(dir, 'by-id'), join(dir, 'runtime')]
  await Promise.all([home, runtimeRoot].map((path) => mkdir(path, { recursive: true, mode: 0o700 })))
  const containers = new Map<string, Container>()
  const listeners = new Set<(state: ContainerState) => void>()
  const exits = new ExitDir(join(dir, 'exits'))
  const closing = new AbortController()
  const env: Environment = {
    programs: {
      conmon: options.programs?.conmon ?? 'conmon',
      runtime: options.programs?.runtime ?? '/usr/sbin/runc',
      runtimeRoot,
      logBytes: logs.maxBytes * logs.maxFiles,
    },
    host: await readHost(cgroups),
    cgroups,
    mounts,
    exits,
    clock,
    log,
    onExit(state) {
      for (const listener of listeners) listener(state)
    },
  }

  const failed = (what: string, id: string) => (err: unknown) => log.error({ err, id }, what)
  const notice = (id: string) => void containers.get(id)?.noticeExit().catch(failed('reading an exit', id))
  exits.watch(notice, (err) => log.error({ err }, 'watching for exits'))

  for (const name of await readdir(home)) {
    const path = join(home, name)
    const container = new Container(env, path, (await readRecord(path)) ?? unknown(name))
    // In the map first: an exit during the adoption must find it.
    containers.set(name, container)
    const keep = await container.adopt().catch((err: unknown) => {
      failed('adopting a container', name)(err)
      return true
    })
    if (!keep) containers.delete(name)
  }
  // Of a container that was removed while its monitor was still writing.
  for (const name of await exits.list()) if (!containers.has(name)) await exits.forget(name)

  const lookAround = async () => {
    for (const name of await exits.list()) notice(name)
    for (const [name, container] of containers) {
      if (!container.running) continue
      await container.checkMonitor().catch(failed('checking a container', name))
      await rotateLog(container.state.spec.logPath, logs, new Date(clock.now()), () => reopenLog(container.dir)).catch(
        failed('rotating a log', name),
      )
    }
  }
  let timer: Timer
  const again = () => {
    timer = clock.after(
      lookAroundMs,
      () =>
        void lookAround()
          .catch(failed('looking after containers', ''))
          .then(() => !closing.signal.aborted && again()),
    )
  }
  again()

  const find = (id: string): Container => {
    const container = containers.get(id)
    if (!container) throw new RuntimeError('StartError', `container ${id} does not exist`)
    return container
  }
  const findRunning = (id: string): Container => {
    const container = find(id)
    if (!container.running) throw new RuntimeError('StartError', `container ${id} is not running`)
    return container
  }

  return {
    async start(spec) {
      if (!id.test(spec.id)) throw new RuntimeError('CreateContainerError', `${JSON.stringify(spec.id)} is not a container id`)
      const existing = containers.get(spec.id)
      const container = existing ?? new Container(env, join(home, spec.id), { id: spec.id, spec, phase: 'created' })
      if (existing) {
        await existing.settled()
        return existing.state
      }
      containers.set(spec.id, container)
      try {
        await container.start()
      } catch (error) {
        containers.delete(spec.id)
        throw error
      }
      return container.state
    },
    async stop(id, { graceSeconds, signal = 'TERM' }) {
      await containers.get(id)?.stop(signalNumber(signal) ?? 15, graceSeconds * 1000)
    },
    async remove(id) {
      await containers.get(id)?.remove()
      containers.delete(id)
    },
    list: async () => [...containers.values()].map((container) => container.state),
    state: async (id) => containers.get(id)?.state,
    onExit(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    exec: (id, options) => exec(env.programs, findRunning(id), { ...options, signal: until(closing.signal, options.signal) }),
    attach: (id, options) => attach(findRunning(id), { ...options, signal: until(closing.signal, options.signal) }),
    async stats(id) {
      const container = containers.get(id)
      return container?.running ? cgroups.stats(container.state.spec.cgroup) : undefined
    },
    async resize(id, resources) {
      const container = find(id)
      const { spec } = container.state
      if (container.running) await cgroups.limit(spec.cgroup, resources)
      await container.update({ spec: { ...spec, resources } })
    },
    async close() {
      closing.abort()
      timer.cancel()
      exits.close()
    },
  }
}

const until = (closing: AbortSignal, signal?: AbortSignal) => (signal ? AbortSignal.any([closing, signal]) : closing)

/** Stands for a folder whose record is unreadable: adopting it removes it. */
const unknown = (id: string): { id: string; phase: 'created'; spec: ContainerState['spec'] } => ({
  id,
  phase: 'created',
  spec: {
    id,
    pod: { namespace: '', name: '', uid: '' },
    name: '',
    attempt: 0,
    layers: [],
    args: [],
    env: [],
    cwd: '/',
    user: '0',
    namespaces: {},
    mounts: [],
    cgroup: `unknown/${id}`,
    resources: {},
    readOnlyRoot: false,
    privileged: false,
    capabilities: { add: [], drop: [] },
    noNewPrivileges: false,
    oomScoreAdj: 0,
    tty: false,
    stdin: false,
    stdinOnce: false,
    logPath: '',
  },
})
