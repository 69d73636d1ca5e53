// A driver whose volumes are folders that outlive their pods, shared by all pods whose claims are bound to one:
// what a disk does, without a disk. `disks` is where they are kept.

import { mkdir, readdir, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { VolumeDriver, VolumeSpec } from './driver.ts'
import { exists } from './mount-table.ts'

export type FakeDriver = VolumeDriver & {
  /** `stage ID`, `unstage ID`, `recover`, as they were called. */
  readonly calls: string[]
}

const sizeFile = 'size'

export function fakeDriver(disks: string): FakeDriver {
  const calls: string[] = []
  const idOf = ({ persistentVolume }: VolumeSpec) => persistentVolume?.spec.csi?.volumeHandle ?? ''
  const linkTo = async (target: string, at: string) => {
    if ((await readlink(at).catch(() => undefined)) === target) return
    await rm(`${at}.new`, { force: true })
    await symlink(target, `${at}.new`)
    await rename(`${at}.new`, at)
  }
  return {
    calls,
    types: ['csi'],
    idOf,
    async stage(spec, staged) {
      const id = idOf(spec)
      calls.push(`stage ${id}`)
      await mkdir(join(disks, id), { recursive: true })
      await linkTo(join(disks, id), join(staged, 'disk'))
    },
    async unstage(id, staged) {
      calls.push(`unstage ${id}`)
      await rm(join(staged, 'disk'), { force: true })
      await rm(join(staged, 'disk.new'), { force: true })
    },
    async publish({ target, staged = '' }) {
      await linkTo(join(staged, 'disk'), target)
      return { path: target }
    },
    unpublish: (target) => rm(target, { force: true }),
    expand: (_spec, path, bytes) => writeFile(join(path, sizeFile), String(bytes)),
    async stats(path) {
      const names = await readdir(`${path}/`)
      const used = names.length
      return { capacityBytes: 1000, availableBytes: 1000 - used, usedBytes: used, inodes: 100, inodesFree: 100 - used, inodesUsed: used }
    },
    list: async () => ((await exists(disks)) ? await readdir(disks) : []),
    async recover() {
      calls.push('recover')
    },
  }
}
