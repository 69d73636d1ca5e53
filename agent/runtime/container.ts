// One container from its first file to its last. Steps that change it run one after the other; its
// record on disk is always at or before what the kernel has, so that a crash at any point leaves
// something that `adopt` can name: never started (removed), running (kept) or ended (told).

import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Mounts } from 'nft-js'
import { type Clock, sleep } from '#api/clock.ts'
import type { Log } from '#api/log.ts'
import type { Cgroups } from './cgroups.ts'
import { createUnderConmon, type Programs } from './conmon.ts'
import type { Exit, ExitDir } from './exits.ts'
import { type Host, hostDevices } from './host.ts'
import { ociConfig } from './oci.ts'
import { mountLayers } from './overlay.ts'
import { identityOf, runsWith, signalProcess } from './process.ts'
import { type ContainerRecord, filesOf, writeRecord } from './record.ts'
import { deleteContainer, isWaiting, startCreated } from './runc.ts'
import { type ContainerState } from './runtime.ts'
import { RuntimeError } from './runtime-error.ts'
import { readFilter } from './seccomp/profile.ts'
import { resolveUser } from './user.ts'

export type Environment = {
  programs: Programs
  host: Host
  cgroups: Cgroups
  mounts: Mounts
  exits: ExitDir
  clock: Clock
  log: Log
  onExit(state: ContainerState): void
}

/** As a shell counts a process that SIGKILL ended; what is told of one whose end nobody saw. */
const killed = 137

export class Container {
  readonly dir: string
  readonly exited: Promise<void>
  #record: ContainerRecord
  readonly #env: Environment
  #last: Promise<unknown> = Promise.resolve()
  readonly #exitSeen = Promise.withResolvers<void>()
  #settleExited: () => void

  constructor(env: Environment, dir: string, record: ContainerRecord) {
    this.#env = env
    this.dir = dir
    this.#record = record
    const { promise, resolve } = Promise.withResolvers<void>()
    this.exited = promise
    this.#settleExited = resolve
    if (record.phase === 'exited') resolve()
  }

  get state(): ContainerState {
    const { identity: _, ...state } = this.#record
    return state
  }

  get running(): boolean {
    return this.#record.phase === 'running'
  }

  /** Once every step asked for so far is done. */
  settled(): Promise<void> {
    return this.#inTurn(async () => {})
  }

  start(): Promise<void> {
    return this.#inTurn(async () => {
      try {
        await this.#create()
      } catch (error) {
        await this.#destroy().catch((cause: unknown) =>
          this.#env.log.error({ err: cause, id: this.#record.id }, 'leftovers of a failed container'),
        )
        if (error instanceof RuntimeError) throw error
        throw new RuntimeError('CreateContainerError', (error as Error).message, { cause: error })
      }
    })
  }

  async #create(): Promise<void> {
    const { programs, host, cgroups, mounts, exits, clock } = this.#env
    const { spec } = this.#record
    const files = filesOf(this.dir)
    await mkdir(this.dir, { mode: 0o700 })
    await writeRecord(this.dir, this.#record)
    const [devices, filter] = await Promise.all([
      spec.privileged ? hostDevices() : [],
      spec.seccomp?.type === 'Localhost' ? readFilter(spec.seccomp.path) : undefined,
      mountLayers(mounts, this.dir, spec.layers),
      mkdir(dirname(spec.logPath), { recursive: true, mode: 0o700 }),
    ])
    const found = await resolveUser(files.rootfs, spec.user)
    const user = { ...found, groups: [...new Set([...found.groups, ...(spec.groups ?? [])])] }
    const config = ociConfig(spec, { user, host, devices, filter, cgroupsPath: cgroups.path(spec.cgroup) })
    await writeFile(files.config, JSON.stringify(config), { mode: 0o600 })
    const pid = await createUnderConmon(programs, this.dir, exits.path, spec)
    await this.#write({ pid, identity: identityOf(pid, host.bootId) })
    const startedAt = new Date(clock.now()).toISOString()
    await startCreated(programs, spec.id, this.#exitSeen.promise)
    await this.#write({ phase: 'running', startedAt })
  }

  /** After a restart of the agent: true if there is a container to keep. */
  adopt(): Promise<boolean> {
    return this.#inTurn(async () => {
      const { host, programs, clock } = this.#env
      const { phase, pid, identity } = this.#record
      if (phase === 'exited') return true
      if (phase === 'created') {
        if (!pid || isWaiting(programs, this.#record.id)) {
          await this.#destroy()
          return false
        }
        // We died between starting it and noting so.
        await this.#write({ phase: 'running', startedAt: new Date(clock.now()).toISOString() })
      }
      const exit = await this.#env.exits.read(this.#record.id)
      if (exit) await this.#end(exit)
      else if (!pid || identityOf(pid, host.bootId) !== identity) await this.#endUnseen()
      return true
    })
  }

  /** The exit file is there, or may be: no harm if it is not. */
  noticeExit(): Promise<void> {
    // It may have ended before it was started, as when memory runs out: `start` waits for one or the other.
    this.#exitSeen.resolve()
    return this.#inTurn(async () => {
      if (this.#record.phase !== 'running') return
      const exit = await this.#env.exits.read(this.#record.id)
      if (exit) await this.#end(exit)
    })
  }

  /** For once in a while: a container whose monitor died has no log and no one to tell its end. */
  checkMonitor(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#record.phase !== 'running' || (await this.#monitor())) return
      const exit = await this.#env.exits.read(this.#record.id)
      if (exit) return this.#end(exit)
      this.#env.log.warn({ id: this.#record.id }, 'the monitor of a container died; ending the container')
      await this.#killAll()
      await this.#endUnseen()
    })
  }

  signal(signal: NodeJS.Signals | number): boolean {
    const { pid, identity, phase } = this.#record
    return phase === 'running' && signalProcess(pid!, signal, () => identityOf(pid!, this.#env.host.bootId) === identity)
  }

  async stop(signal: number, graceMs: number): Promise<void> {
    if (!this.running) return
    if (graceMs > 0) {
      this.signal(signal)
      const timer = new AbortController()
      await Promise.race([this.exited, sleep(this.#env.clock, graceMs, timer.signal)])
      timer.abort()
    }
    if (!this.running) return
    this.signal('SIGKILL')
    await this.exited
  }

  async update(change: Partial<ContainerState>): Promise<void> {
    await this.#inTurn(() => this.#write(change))
  }

  remove(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#record.phase === 'running') throw new Error(`container ${this.#record.id} still runs`)
      await this.#destroy()
    })
  }

  async #end(exit: Pick<Exit, 'code' | 'at'>): Promise<void> {
    const { cgroups, exits, log } = this.#env
    const { spec, id } = this.#record
    // conmon notes what it saw; the counter also knows of what happened while conmon was not looking.
    const oom = exit.code !== 0 && ((await cgroups.oomKills(spec.cgroup)) > 0 || existsSync(filesOf(this.dir).oom))
    await this.#write({ phase: 'exited', exitCode: exit.code, finishedAt: exit.at.toISOString(), oomKilled: oom })
    await exits.forget(id)
    this.#settleExited()
    log.debug({ id, name: spec.name, pod: spec.pod, code: exit.code, oom }, 'container exited')
    this.#env.onExit(this.state)
  }

  #endUnseen(): Promise<void> {
    return this.#end({ code: killed, at: new Date(this.#env.clock.now()) })
  }

  /** The pid of the container's conmon, if that runs. */
  async #monitor(): Promise<number | undefined> {
    const pid = Number(await readFile(filesOf(this.dir).conmonPid, 'utf8').catch(() => '0'))
    return pid > 1 && runsWith(pid, this.#record.id) ? pid : undefined
  }

  async #killAll(): Promise<void> {
    this.signal('SIGKILL')
    for (const pid of await this.#env.cgroups.processes(this.#record.spec.cgroup)) signalProcess(pid, 'SIGKILL', () => true)
  }

  /** Every step even if one fails: what is left behind is tried again by the next call. */
  async #destroy(): Promise<void> {
    const { programs, cgroups, mounts, exits } = this.#env
    const { id, spec } = this.#record
    const errors: unknown[] = []
    const attempt = async (step: () => Promise<unknown>) => {
      try {
        await step()
      } catch (error) {
        errors.push(error)
      }
    }
    await attempt(async () => {
      const monitor = await this.#monitor()
      if (monitor && this.#record.phase === 'created') signalProcess(monitor, 'SIGKILL', () => runsWith(monitor, id))
    })
    await attempt(() => this.#killAll())
    if (existsSync(`${programs.runtimeRoot}/${id}`)) await attempt(() => deleteContainer(programs, id))
    await attempt(() => cgroups.remove(spec.cgroup))
    await attempt(() => mounts.unmount(filesOf(this.dir).rootfs, { detach: true }))
    if (errors.length === 0) await attempt(() => rm(this.dir, { recursive: true, force: true }))
    await attempt(() => exits.forget(id))
    this.#settleExited()
    if (errors.length > 0) throw new AggregateError(errors, `removing container ${id}`)
  }

  async #write(change: Partial<ContainerRecord>): Promise<void> {
    const next = { ...this.#record, ...change }
    await writeRecord(this.dir, next)
    this.#record = next
  }

  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const result = this.#last.then(step, step)
    this.#last = result.catch(() => {})
    return result
  }
}
