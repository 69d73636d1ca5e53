// mount(2) takes one kind of change a call. What people ask for in one breath (a bind mount that is
// read-only and private) is a plan of several calls, undone if a later one fails.

import { addon } from './addon.ts'
import type { MountFlag, Mounts } from './types.ts'

// sys/mount.h
const MS = {
  readonly: 0x1,
  nosuid: 0x2,
  nodev: 0x4,
  noexec: 0x8,
  remount: 0x20,
  bind: 0x1000,
  rbind: 0x5000,
  private: 0x40000,
  rprivate: 0x44000,
  slave: 0x80000,
  rslave: 0x84000,
  shared: 0x100000,
  rshared: 0x104000,
} satisfies Record<MountFlag, number>
const propagation = new Set<MountFlag>(['private', 'rprivate', 'slave', 'rslave', 'shared', 'rshared'])

type Call = { flags: number; bare?: boolean }

/** The calls for some flags, in order. A bind mount ignores other flags until it is remounted with them. Exported for its test. */
export const planMount = (flags: readonly MountFlag[], hasType: boolean): Call[] => {
  const calls: Call[] = []
  const changes = flags.filter((flag) => propagation.has(flag))
  const rest = flags.filter((flag) => !propagation.has(flag))
  const bits = rest.reduce((sum, flag) => sum | MS[flag], 0)
  const binds = bits & MS.rbind
  if (binds && !(bits & MS.remount)) {
    calls.push({ flags: binds })
    if (bits & ~binds) calls.push({ flags: (bits & ~MS.rbind) | MS.remount | MS.bind, bare: true })
  } else if (bits || hasType || changes.length === 0) {
    calls.push({ flags: bits })
  }
  for (const change of changes) calls.push({ flags: MS[change], bare: true })
  return calls
}

export const mounts: Mounts = {
  async mount({ source, target, type, flags = [], data, namespace }) {
    let mounted = false
    try {
      for (const call of planMount(flags, type !== undefined)) {
        const [from, kind, more] = call.bare ? (['none', undefined, undefined] as const) : [source, type, data]
        await addon.mount(from, target, kind, call.flags, more, namespace)
        mounted ||= !call.bare && !(call.flags & MS.remount)
      }
    } catch (error) {
      if (mounted) await addon.unmount(target, 1, namespace)
      throw error
    }
  },
  unmount: (target, { detach = false, namespace } = {}) => addon.unmount(target, detach ? 1 : 0, namespace),
}
