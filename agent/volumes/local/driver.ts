// The driver `local.coracle.dev` on its node: a volume's image is mounted once for all pods that use it, and each pod
// gets the folder `data` of it, so that nobody meets `lost+found`. Volumes are made and taken away by keeper.ts.

import { chmod, mkdir, readFile, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Mounts } from 'nft-js'
import { localDriver } from '#api/local-volumes.ts'
import type { VolumeDriver, VolumeSpec } from '../driver.ts'
import { giveToGroup } from '../group.ts'
import { mountsUnder } from '../mount-table.ts'
import { statsOf } from '../stats.ts'
import { VolumeError } from '../volume-error.ts'
import { type Disk, type RunProgram, runProgram } from './disk.ts'

const idOf = ({ persistentVolume }: VolumeSpec): string => persistentVolume?.spec.csi?.volumeHandle ?? ''

export type LocalVolumesDeps = { mounts: Mounts; disk: Disk; run?: RunProgram }

export const localVolumes = ({ mounts, disk, run = runProgram }: LocalVolumesDeps): VolumeDriver => ({
  types: [localDriver],
  idOf,
  async stage(spec, staged) {
    const id = idOf(spec)
    if ((await disk.sizeOf(id)) === undefined) throw new VolumeError(`volume ${id} is not on this node`)
    const fs = join(staged, 'fs')
    await mkdir(fs, { recursive: true, mode: 0o700 })
    if (!(await isMounted(fs))) {
      if (await disk.isToGrow(id)) await disk.growUnmounted(id)
      await run('mount', '-t', 'ext4', '-o', 'loop,discard,errors=remount-ro', disk.imageOf(id), fs)
    }
    const data = join(fs, 'data')
    if (await mkdir(data).then(() => true, unlessThere)) await chmod(data, 0o755)
  },
  async unstage(_id, staged) {
    const fs = join(staged, 'fs')
    for (const target of await mountsUnder(fs)) await mounts.unmount(target)
  },
  async publish({ pod, spec, target, staged = '' }) {
    const data = join(staged, 'fs', 'data')
    await mkdir(target, { recursive: true, mode: 0o700 })
    if (!(await isMounted(target))) {
      await giveToGroup(data, pod)
      const readonly = spec.volume.persistentVolumeClaim?.readOnly === true
      await mounts.mount({ source: data, target, flags: readonly ? ['bind', 'readonly'] : ['bind'] })
    }
    return { path: target }
  },
  async unpublish(target) {
    for (const mounted of await mountsUnder(target)) await mounts.unmount(mounted, { detach: true })
    await removeEmpty(target)
  },
  async expand(spec, path, bytes) {
    const id = idOf(spec)
    await disk.enlarge(id, bytes)
    await growMounted(path, disk, id, run)
  },
  stats: statsOf,
  list: () => disk.list(),
})

/** The file system at `path` as large as its image. Needs CAP_SYS_RESOURCE; without it the next mount does it. */
export async function growMounted(path: string, disk: Disk, id: string, run: RunProgram): Promise<void> {
  const device = await deviceOf(path)
  if (!device) throw new VolumeError(`volume ${id} is not mounted`)
  const sectors = Number(await readFile(`/sys/class/block/${device.replace('/dev/', '')}/size`, 'utf8'))
  const bytes = (await disk.sizeOf(id)) ?? 0
  if (sectors * 512 < bytes) await run('losetup', '-c', device)
  await run('resize2fs', device)
  await disk.hasGrown(id)
}

const isMounted = async (path: string): Promise<boolean> => (await mountsUnder(path)).includes(path)

/** What is mounted at the path, e.g. `/dev/loop0`. */
async function deviceOf(path: string): Promise<string | undefined> {
  const table = await readFile('/proc/self/mountinfo', 'utf8')
  const line = table.split('\n').findLast((each) => each.split(' ', 5)[4] === path)
  return line?.split(' - ')[1]?.split(' ')[1]
}

async function removeEmpty(path: string): Promise<void> {
  await rmdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
}

function unlessThere(error: NodeJS.ErrnoException): false {
  if (error.code !== 'EEXIST') throw error
  return false
}
