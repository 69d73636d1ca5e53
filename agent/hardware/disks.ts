// The disks of this machine and what they are, from /sys/block: a flash card wears out, and whoever places data on a node
// should know (kernel Documentation/ABI/testing/sysfs-block; for MMC Documentation/driver-api/mmc/mmc-dev-attrs.rst).

import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

export type Medium = 'sd' | 'emmc' | 'nvme' | 'usb' | 'ssd' | 'hdd' | 'virtual'

export type Disk = {
  name: string
  medium: Medium
  model: string
  bytes: number
  /** Of an eMMC's rated life, the tenth that it is in, as a percentage; of others unknown. */
  wornPercent?: number
  /** What the device says of itself: 'normal', or a warning. */
  health?: string
}

const sectorBytes = 512

/** `root`: /sys, but for tests. Memory, loop and RAM disks are none. */
export async function readDisks(root = '/sys'): Promise<Disk[]> {
  const names = await readdir(join(root, 'block')).catch(() => [])
  const disks = await Promise.all(
    names.filter((name) => !/^(loop|ram|zram|dm-|md|sr|nbd|fd)/.test(name)).map((name) => readDisk(root, name)),
  )
  return disks.filter((disk) => disk.bytes > 0).toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

/** The name of the disk that a folder is on; undefined where that is no disk (a tmpfs, an overlay). */
export async function diskOf(dir: string, root = '/sys'): Promise<string | undefined> {
  const { dev } = await stat(dir)
  // Huge device numbers apart, as glibc's makedev(3) puts them together.
  const [major, minor] = [(dev >>> 8) & 0xfff, (dev & 0xff) | ((dev >>> 12) & 0xfff00)]
  const place = await realpath(join(root, 'dev/block', `${major}:${minor}`)).catch(() => undefined)
  if (place === undefined) return undefined
  // A partition lies in the folder of its disk.
  const isPartition = await stat(join(place, 'partition')).then(
    () => true,
    () => false,
  )
  return basename(isPartition ? dirname(place) : place)
}

async function readDisk(root: string, name: string): Promise<Disk> {
  const dir = join(root, 'block', name)
  const say = async (path: string) => (await readFile(join(dir, path), 'utf8').catch(() => '')).trim()
  const [size, rotational, type, model, mmcName, lifeTime, endOfLife, place] = await Promise.all([
    say('size'),
    say('queue/rotational'),
    say('device/type'),
    say('device/model'),
    say('device/name'),
    say('device/life_time'),
    say('device/pre_eol_info'),
    realpath(dir).catch(() => dir),
  ])
  const wornPercent = wornOf(lifeTime)
  const health = healths[endOfLife.toLowerCase()]
  return {
    name,
    medium: mediumOf({ name, type, rotational, place }),
    model: model || mmcName,
    bytes: Number(size) * sectorBytes || 0,
    ...(wornPercent !== undefined && { wornPercent }),
    ...(health && { health }),
  }
}

function mediumOf({ name, type, rotational, place }: { name: string; type: string; rotational: string; place: string }): Medium {
  if (name.startsWith('mmcblk')) return type === 'MMC' ? 'emmc' : 'sd'
  if (name.startsWith('nvme')) return 'nvme'
  if (/^(vd|xvd)/.test(name)) return 'virtual'
  if (/\/usb\d+\//.test(place)) return 'usb'
  return rotational === '1' ? 'hdd' : 'ssd'
}

/** JEDEC eMMC 5.0, DEVICE_LIFE_TIME_EST: two estimates, each 1 (up to a tenth) to 11 (past its rated life); the worse counts. */
function wornOf(lifeTime: string): number | undefined {
  const steps = lifeTime.split(/\s+/).map((step) => Number.parseInt(step, 16))
  const worst = Math.max(...steps)
  return worst >= 1 && worst <= 11 ? worst * 10 : undefined
}

/** JEDEC eMMC 5.0, PRE_EOL_INFO. */
const healths: Record<string, string> = { '0x01': 'normal', '0x02': 'warning', '0x03': 'urgent' }
