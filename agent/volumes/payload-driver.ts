// Volumes that are a folder of files made of objects: configMap, secret, downwardAPI, projected. What holds
// secrets is a tmpfs.

import { chmod, mkdir, rm } from 'node:fs/promises'
import type { Mounts } from 'nft-js'
import { writeAtomically } from './atomic.ts'
import type { VolumeDriver } from './driver.ts'
import { mountsUnder } from './mount-table.ts'
import type { Objects } from './objects.ts'
import { payloadOf } from './payload.ts'
import { statsOf } from './stats.ts'
import type { Tokens } from './tokens.ts'

export type PayloadDriverDeps = { mounts: Mounts; objects: Objects; tokens: Tokens }

export const payloads = ({ mounts, objects, tokens }: PayloadDriverDeps): VolumeDriver => ({
  types: ['configMap', 'secret', 'downwardAPI', 'projected'],
  async publish({ pod, spec, standing, target, signal }) {
    await mkdir(target, { recursive: true, mode: 0o755 })
    const payload = await payloadOf(pod, spec.volume, { objects, tokens, standing, signal })
    if (payload.secret && !(await mountsUnder(target)).includes(target))
      await mounts.mount({ source: 'tmpfs', target, type: 'tmpfs', flags: ['nosuid', 'nodev'], data: 'mode=0755' })
    // Beyond the umask.
    await chmod(target, 0o755)
    await writeAtomically(target, payload.files, pod.spec.securityContext?.fsGroup)
    return { path: target, refreshAt: payload.refreshAt }
  },
  async unpublish(target, uid) {
    tokens.forget(uid)
    for (const mounted of await mountsUnder(target)) await mounts.unmount(mounted, { detach: true })
    await rm(target, { recursive: true, force: true })
  },
  stats: statsOf,
})
