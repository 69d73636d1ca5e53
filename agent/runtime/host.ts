// What this host allows us to give to containers, read once at start.

import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { parseMask } from './capabilities.ts'
import type { Cgroups } from './cgroups.ts'

export type HostDevice = { path: string; type: 'c' | 'b'; major: number; minor: number; fileMode: number; uid: number; gid: number }

export type Host = {
  cgroupVersion: 1 | 2
  limitsSwap: boolean
  /** Ours: a container cannot have more. */
  capabilities: ReadonlySet<string>
  /** Without CAP_SYS_RESOURCE a process may not go below its own. */
  lowestOomScoreAdj: number
  /** Changes with every boot; process ids mean nothing in another. */
  bootId: string
}

export async function readHost(cgroups: Cgroups): Promise<Host> {
  const [status, own, bootId] = await Promise.all(
    ['/proc/self/status', '/proc/self/oom_score_adj', '/proc/sys/kernel/random/boot_id'].map((file) => readFile(file, 'utf8')),
  )
  const capabilities = parseMask(/^CapEff:\s*([0-9a-f]+)$/m.exec(status!)![1]!)
  return {
    cgroupVersion: cgroups.version,
    limitsSwap: await cgroups.limitsSwap(),
    capabilities,
    lowestOomScoreAdj: capabilities.has('SYS_RESOURCE') ? -1000 : Number(own),
    bootId: bootId!.trim(),
  }
}

const own = new Set(['pts', 'shm', 'mqueue', 'fd'])

/** The devices below /dev, as a privileged container gets them: without those of its own /dev. */
export async function hostDevices(dir = '/dev'): Promise<HostDevice[]> {
  const devices: HostDevice[] = []
  for (const entry of await readdir(dir, { withFileTypes: true }).catch(() => [])) {
    const path = join(dir, entry.name)
    if (entry.isDirectory() && !own.has(entry.name)) devices.push(...(await hostDevices(path)))
    if (!entry.isCharacterDevice() && !entry.isBlockDevice()) continue
    if (path === '/dev/console' || path === '/dev/ptmx') continue
    const info = await stat(path).catch(() => undefined)
    if (!info) continue
    const type = entry.isBlockDevice() ? 'b' : 'c'
    devices.push({ path, type, ...numbers(info.rdev), fileMode: info.mode & 0o777, uid: info.uid, gid: info.gid })
  }
  return devices
}

/** dev_t as Linux's stat(2) packs it: 12 bits of major and 20 of minor, in the low 32. */
const numbers = (rdev: number) => ({ major: (rdev >>> 8) & 0xfff, minor: (rdev & 0xff) | ((rdev >>> 12) & 0xfff00) })
