// What the node runs short of, by thresholds near the kubelet's defaults for eviction.

import { readFile, statfs } from 'node:fs/promises'
import { readSupply, type Supply } from '../hardware/raspberry-pi.ts'

export type Pressure = { memory: boolean; disk: boolean; pids: boolean }
/** `supply`: of a Raspberry Pi. */
export type Measured = { memoryAvailable: number; diskAvailable: number; diskTotal: number; pids: number; pidsMax: number; supply?: Supply }

const MiB = 2 ** 20
const MEMORY_MIN_BYTES = 100 * MiB
/** A tenth of a small card, a gigabyte of a large disk. */
const DISK_MIN_SHARE = 0.1
const DISK_MIN_BYTES = 1024 * MiB
const PIDS_MAX_SHARE = 0.9

export const pressureOf = ({ memoryAvailable, diskAvailable, diskTotal, pids, pidsMax }: Measured): Pressure => ({
  memory: memoryAvailable < MEMORY_MIN_BYTES,
  disk: diskAvailable < Math.min(diskTotal * DISK_MIN_SHARE, DISK_MIN_BYTES),
  pids: pids > pidsMax * PIDS_MAX_SHARE,
})

export async function measure(dataDir: string): Promise<Measured> {
  const [meminfo, loadavg, pidMax, disk, supply] = await Promise.all([
    readFile('/proc/meminfo', 'utf8'),
    readFile('/proc/loadavg', 'utf8'),
    readFile('/proc/sys/kernel/pid_max', 'utf8'),
    statfs(dataDir),
    readSupply(),
  ])
  return {
    memoryAvailable: Number(/^MemAvailable:\s+(\d+) kB/m.exec(meminfo)?.[1] ?? Number.POSITIVE_INFINITY) * 1024,
    diskAvailable: disk.bavail * disk.bsize,
    diskTotal: disk.blocks * disk.bsize,
    // proc(5): the fourth field is running/existing scheduling entities.
    pids: Number(loadavg.split(' ')[3]?.split('/')[1] ?? 0),
    pidsMax: Number(pidMax),
    ...(supply && { supply }),
  }
}
