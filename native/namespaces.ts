// Pinned namespaces: kept alive by a bind mount at a path, not by a process (namespaces(7)).

import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { addon } from './addon.ts'
import type { Namespaces } from './types.ts'

export const namespaces: Namespaces = {
  async create({ net, ipc, uts, mnt, hostname, sysctls = {} }) {
    for (const path of [net, ipc, uts, mnt]) if (path !== undefined) await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    await addon.createNamespaces(net, ipc, uts, mnt, hostname, Object.entries(sysctls).flat())
  },
  unpin: (path) => addon.unpinNamespace(path),
  isPinned: (path) => addon.isPinned(path),
}

/** Reads a sysctl as the namespace at `netns` (absent: the process's own) has it; `name` as sysctl(8) takes it, slashes allowed. */
export const readSysctl = (name: string, netns?: string): Promise<string> => addon.sysctl(netns, name)

export const writeSysctl = (name: string, value: string, netns?: string): Promise<void> => addon.sysctl(netns, name, value)
