// What this machine is made of: what systeminformation says of it, and what the kernel's own files say better.
// Pure; `gather.ts` asks.

import type { Disk } from './disks.ts'
import { boardOfRevision } from './raspberry-pi.ts'

export type Inventory = {
  /** Of the boot that it was gathered in: nothing of it changes before the next, but what `coracle node info` asks anew. */
  bootID: string
  board: { manufacturer: string; model: string; revision: string; memoryMB?: number }
  cpu: { vendor: string; model: string; family: string; modelId: string; cores: number; threads: number; flags: string[] }
  memoryBytes: number
  os: { id: string; version: string; kernel: string }
  disks: Disk[]
  /** Degrees Celsius by sensor, as the kernel names them; empty where there is none. */
  temperatures: Record<string, number>
  links: { name: string; mac: string; type: string; mbits: number | undefined }[]
  /** What it runs in ("kvm", "docker", ...); '' on bare metal. */
  virtualization: string
}

/** What systeminformation says, cut down to what is read of it. */
export type Said = {
  system: {
    manufacturer: string
    model: string
    version: string
    virtual?: boolean
    virtualHost?: string
    raspberry?: object
  }
  cpu: { vendor: string; brand: string; family: string; model: string; physicalCores: number; cores: number; flags: string }
  mem: { total: number }
  osInfo: { kernel: string }
  networkInterfaces: { iface: string; mac: string; type: string; speed: number | null; internal: boolean; virtual: boolean }[]
}

/** What is read from files beside it. */
export type Read = {
  bootID: string
  /** /etc/os-release */
  os: Record<string, string | undefined>
  /** /proc/device-tree/model: '' on machines without a device tree. */
  deviceTreeModel: string
  disks: Disk[]
  temperatures: Record<string, number>
}

export function inventoryOf({ system, cpu, mem, osInfo, networkInterfaces }: Said, read: Read): Inventory {
  // The library's types have none of what it says of a Raspberry Pi.
  const { revisionCode = '' } = (system.raspberry ?? {}) as { revisionCode?: string }
  const pi = boardOfRevision(revisionCode)
  return {
    bootID: read.bootID,
    board: {
      manufacturer: system.manufacturer || pi?.manufacturer || '',
      model: read.deviceTreeModel || system.model,
      revision: revisionCode || system.version,
      ...(pi && { memoryMB: pi.memoryMB }),
    },
    cpu: {
      vendor: cpu.vendor,
      model: cpu.brand,
      family: cpu.family,
      modelId: cpu.model,
      cores: cpu.physicalCores,
      threads: cpu.cores,
      flags: cpu.flags.split(' ').filter(Boolean),
    },
    memoryBytes: mem.total,
    os: { id: read.os['ID'] ?? '', version: read.os['VERSION_ID'] ?? '', kernel: osInfo.kernel },
    disks: read.disks,
    temperatures: read.temperatures,
    links: networkInterfaces
      .filter(({ internal, virtual }) => !internal && !virtual)
      .map(({ iface, mac, type, speed }) => ({ name: iface, mac, type, mbits: speed !== null && speed > 0 ? speed : undefined })),
    virtualization: system.virtual ? system.virtualHost || 'unknown' : '',
  }
}
