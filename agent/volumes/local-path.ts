// `local` persistent volumes: a folder of the node that an administrator has made, e.g. where a disk is mounted.

import { mkdir, rm, stat } from 'node:fs/promises'
import type { VolumeDriver } from './driver.ts'
import { giveToGroup } from './group.ts'
import { exists } from './mount-table.ts'
import { VolumeError } from './volume-error.ts'

/** What is there stays: nothing is made or taken away. */
export const localPaths: VolumeDriver = {
  types: ['local'],
  async publish({ pod, spec, target }) {
    const path = spec.persistentVolume?.spec.local?.path ?? ''
    const found = await stat(path).catch((cause: unknown) => {
      throw new VolumeError(`path ${JSON.stringify(path)} does not exist`, { cause })
    })
    if (!found.isDirectory()) throw new VolumeError(`path ${JSON.stringify(path)} is not a directory`)
    // A folder beside the pod's other volumes says that it was given to the group already.
    if (!(await exists(target))) {
      await giveToGroup(path, pod)
      await mkdir(target)
    }
    return { path }
  },
  unpublish: (target) => rm(target, { recursive: true, force: true }),
  stats: async () => undefined,
}
