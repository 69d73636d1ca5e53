// emptyDir volumes: a folder of the pod's own on the node's disk, or a tmpfs.

import { chmod, chown, mkdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Mounts } from 'nft-js'
import { units } from '#api/quantity.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import type { VolumeDriver } from './driver.ts'
import { exists, mountsUnder } from './mount-table.ts'
import { statsOf } from './stats.ts'
import { VolumeError } from './volume-error.ts'

export const emptyDirs = ({ mounts }: { mounts: Mounts }): VolumeDriver => ({
  types: ['emptyDir'],
  async publish({ pod, spec, target }) {
    const { medium, sizeLimit } = spec.volume.emptyDir ?? {}
    if (medium && medium !== 'Memory') throw new VolumeError(`emptyDir medium ${JSON.stringify(medium)} is not supported`)
    const { fsGroup } = pod.spec.securityContext ?? {}
    // With a group, what is made inside belongs to it too.
    const mode = fsGroup === undefined ? 0o777 : 0o2777
    if (medium === 'Memory') {
      await mkdir(target, { recursive: true })
      if ((await mountsUnder(target)).includes(target)) return { path: target }
      const data = [`mode=0${mode.toString(8)}`, `size=${tmpfsBytes(pod, sizeLimit)}`, ...(fsGroup === undefined ? [] : [`gid=${fsGroup}`])]
      await mounts.mount({ source: 'tmpfs', target, type: 'tmpfs', flags: ['nosuid', 'nodev'], data: data.join(',') })
      return { path: target }
    }
    if (await exists(target)) return { path: target }
    // Under another name until it is whole: what has this name is a container's, and stays as that left it.
    const made = join(dirname(target), `.${basename(target)}.new`)
    await mkdir(made, { recursive: true })
    if (fsGroup !== undefined) await chown(made, 0, fsGroup)
    // Beyond the umask.
    await chmod(made, mode)
    await rename(made, target)
    return { path: target }
  },
  async unpublish(target) {
    for (const mounted of await mountsUnder(target)) await mounts.unmount(mounted, { detach: true })
    await rm(target, { recursive: true, force: true })
  },
  stats: statsOf,
})

/** The least of the volume's own limit and what the pod may use at all; `50%` of the memory is the kernel's own default. */
function tmpfsBytes(pod: Pod, sizeLimit: string | undefined): string {
  const limits = pod.spec.containers.map((container) => units(container.resources?.limits?.memory))
  const podLimit = limits.every((limit) => limit > 0) ? limits.reduce((a, b) => a + b, 0) : 0
  const wanted = [units(sizeLimit), podLimit].filter((bytes) => bytes > 0)
  return wanted.length > 0 ? String(Math.min(...wanted)) : '50%'
}
