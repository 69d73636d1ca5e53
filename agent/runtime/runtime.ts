// Containers, by runc under conmon: the contract that pods and the agent's HTTP server use.
// The folder of a container is the record of it: after an agent restart `list` finds what runs, and
// nothing is restarted. Every call names the container by id; all are idempotent.

import type { Readable, Writable } from 'node:stream'
import type { SeccompChoice } from './seccomp/profile.ts'

export type Mount = { source: string; target: string; readOnly?: boolean; type?: 'bind' | 'tmpfs' | 'proc'; options?: string[] }

/** Cgroup limits in the kernel's own units; absent means unlimited. */
export type Resources = { cpuShares?: number; cpuQuotaMicros?: number; cpuPeriodMicros?: number; memoryBytes?: number; pids?: number }

export type ContainerSpec = {
  /** Unique on the node; `[a-z0-9]+`. */
  id: string
  pod: { namespace: string; name: string; uid: string }
  name: string
  /** Restart count of this container in its pod; part of the log's file name. */
  attempt: number
  /** Layers for overlayfs, lowest first. */
  layers: string[]
  args: string[]
  env: string[]
  cwd: string
  user: { uid: number; gid: number; groups: number[] } | string
  /** Supplementary groups beside those that a `user` string resolves to. */
  groups?: number[]
  /** Pinned namespaces to join; an absent one means the host's. `pid` joins a running process's. */
  namespaces: { net?: string; ipc?: string; uts?: string; pid?: 'new' | 'host' | number }
  mounts: Mount[]
  /** Cgroup path under the agent's parent, e.g. `kubepods/burstable/pod<uid>/<id>`. */
  cgroup: string
  resources: Resources
  readOnlyRoot: boolean
  privileged: boolean
  capabilities: { add: string[]; drop: string[] }
  noNewPrivileges: boolean
  /** Absent: any system call. */
  seccomp?: SeccompChoice
  /** Name of a profile that the kernel has; absent: what the runtime leaves to a process. */
  apparmor?: string
  oomScoreAdj: number
  tty: boolean
  stdin: boolean
  stdinOnce: boolean
  /** Absolute path of the CRI log file. */
  logPath: string
  sysctls?: Record<string, string>
  labels?: Record<string, string>
}

export type ContainerState = {
  id: string
  spec: ContainerSpec
  phase: 'created' | 'running' | 'exited'
  pid?: number
  /** RFC 3339. */
  startedAt?: string
  finishedAt?: string
  exitCode?: number
  oomKilled?: boolean
}

export type ExecOptions = {
  args: string[]
  tty: boolean
  stdin?: Readable
  stdout?: Writable
  stderr?: Writable
  /** Terminal sizes as they change. */
  resize?: AsyncIterable<{ width: number; height: number }>
  signal?: AbortSignal
}

export interface Runtime {
  /** Unpacks nothing: mounts the layers, writes the bundle, creates and starts the process under conmon. Throws RuntimeError, leaving nothing half-made. */
  start(spec: ContainerSpec): Promise<ContainerState>
  /** The signal (default TERM), then KILL after `graceSeconds`; resolves once the process is gone. */
  stop(id: string, options: { graceSeconds: number; signal?: string }): Promise<void>
  /** Unmounts and deletes everything of an exited container except its log. */
  remove(id: string): Promise<void>
  list(): Promise<ContainerState[]>
  state(id: string): Promise<ContainerState | undefined>
  /** Calls back whenever a container exits, with its final state. Returns the unsubscribe. */
  onExit(listener: (state: ContainerState) => void): () => void
  /** Runs a process in the container; resolves with its exit code. */
  exec(id: string, options: ExecOptions): Promise<number>
  /** Joins the container's own streams until it exits or the signal aborts. */
  attach(id: string, options: Omit<ExecOptions, 'args'>): Promise<void>
  /** Bytes and CPU nanoseconds from the cgroup. */
  stats(id: string): Promise<{ cpuNanos: number; memoryWorkingSetBytes: number; memoryUsageBytes: number } | undefined>
  resize(id: string, resources: Resources): Promise<void>
  close(): Promise<void>
}
