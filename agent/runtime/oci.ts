// The OCI runtime configuration (config.json, runtime-spec 1.0) of a container: a pure function of
// its spec and of what this host can do, so that it is tested as text.

import { capabilitiesOf } from './capabilities.ts'
import type { Host, HostDevice } from './host.ts'
import { defaultMounts, mountOf, type OciMount } from './mounts.ts'
import type { ContainerSpec, Resources } from './runtime.ts'
import { defaultFilter, type SeccompFilter } from './seccomp/profile.ts'
import type { User } from './user.ts'

type DeviceRule = { allow: boolean; type?: 'a' | 'c' | 'b'; major?: number; minor?: number; access: string }

/** A runtime-spec `process`. */
export type Process = {
  terminal: boolean
  user: { uid: number; gid: number; additionalGids: number[] }
  args: string[]
  env: string[]
  cwd: string
  capabilities: Record<'bounding' | 'effective' | 'permitted', string[]>
  noNewPrivileges: boolean
  apparmorProfile?: string
  oomScoreAdj: number
}

export type OciConfig = {
  ociVersion: string
  process: Process
  root: { path: string; readonly: boolean }
  mounts: OciMount[]
  annotations?: Record<string, string>
  linux: {
    namespaces: { type: string; path?: string }[]
    cgroupsPath: string
    resources: Record<string, unknown> & { devices: DeviceRule[] }
    devices?: HostDevice[]
    sysctl?: Record<string, string>
    maskedPaths?: string[]
    readonlyPaths?: string[]
    seccomp?: SeccompFilter
  }
}

const defaultPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

const maskedPaths = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
]
const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger']

type Given = {
  user: User
  host: Host
  /** Absolute in the hierarchy. */
  cgroupsPath: string
  /** Those of the host, for a privileged container. */
  devices: HostDevice[]
  /** Read from where `spec.seccomp` says, if that is a file. */
  filter?: SeccompFilter
}

export function ociConfig(spec: ContainerSpec, { user, host, cgroupsPath, devices, filter }: Given): OciConfig {
  const process = processOf(spec, user, host)
  const seccomp = spec.seccomp?.type === 'RuntimeDefault' ? defaultFilter(process.capabilities.bounding) : filter
  return {
    ociVersion: '1.0.2',
    process,
    root: { path: 'rootfs', readonly: spec.readOnlyRoot },
    mounts: [...defaultMounts(spec, host), ...spec.mounts.map(mountOf)],
    annotations: spec.labels,
    linux: {
      namespaces: namespacesOf(spec, host),
      cgroupsPath,
      resources: {
        ...resourcesOf(spec.resources, host),
        devices: [{ allow: spec.privileged, access: 'rwm' }],
        // The kernel takes the whole container, not a random process of it, as other kubelets have it.
        ...(host.cgroupVersion === 2 && { unified: { 'memory.oom.group': '1' } }),
      },
      ...(spec.privileged && { devices }),
      ...(spec.sysctls && { sysctl: spec.sysctls }),
      ...(!spec.privileged && { maskedPaths, readonlyPaths }),
      ...(seccomp && { seccomp }),
    },
  }
}

function processOf(spec: ContainerSpec, user: User, host: Host): Process {
  const capabilities = capabilitiesOf(spec, host.capabilities)
  return {
    terminal: spec.tty,
    // Its own group is among the supplementary ones: a process could drop it to pass a group's denial.
    user: { uid: user.uid, gid: user.gid, additionalGids: [...new Set([user.gid, ...user.groups, ...(spec.groups ?? [])])] },
    args: spec.args,
    env: withDefaults(spec.env, [defaultPath, `HOME=${user.home}`, ...(spec.tty ? ['TERM=xterm'] : [])]),
    cwd: spec.cwd || '/',
    capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
    noNewPrivileges: spec.noNewPrivileges,
    ...(spec.apparmor && { apparmorProfile: spec.apparmor }),
    oomScoreAdj: Math.min(Math.max(spec.oomScoreAdj, host.lowestOomScoreAdj), 1000),
  }
}

const nameOf = (entry: string): string => entry.slice(0, entry.indexOf('='))

function withDefaults(env: string[], defaults: string[]): string[] {
  const given = new Set(env.map(nameOf))
  return [...defaults.filter((entry) => !given.has(nameOf(entry))), ...env]
}

function namespacesOf({ namespaces, privileged }: ContainerSpec, host: Host): { type: string; path?: string }[] {
  const { net, ipc, uts, pid = 'new' } = namespaces
  return [
    { type: 'mount' },
    ...(net ? [{ type: 'network', path: net }] : []),
    ...(ipc ? [{ type: 'ipc', path: ipc }] : []),
    ...(uts ? [{ type: 'uts', path: uts }] : []),
    ...(pid === 'new' ? [{ type: 'pid' }] : []),
    ...(typeof pid === 'number' ? [{ type: 'pid', path: `/proc/${pid}/ns/pid` }] : []),
    ...(host.cgroupVersion === 2 && !privileged ? [{ type: 'cgroup' }] : []),
  ]
}

function resourcesOf(r: Resources, host: Host): Record<string, unknown> {
  const quota = r.cpuQuotaMicros === undefined ? {} : { quota: r.cpuQuotaMicros, period: r.cpuPeriodMicros ?? 100_000 }
  return {
    cpu: { ...(r.cpuShares !== undefined && { shares: r.cpuShares }), ...quota },
    memory: r.memoryBytes === undefined ? {} : { limit: r.memoryBytes, ...(host.limitsSwap && { swap: r.memoryBytes }) },
    ...(r.pids !== undefined && { pids: { limit: r.pids } }),
  }
}
