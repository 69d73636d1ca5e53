// The volumes of this node's pods, each a folder (or file) that containers get bind-mounted. All of a
// pod's are under `<pods>/<uid>/volumes/<type>/<name>`; what holds secrets is a tmpfs. Everything is
// idempotent, and nothing is remembered but what the file system and the mount table show, so a
// restarted agent finds it all again.

import { chmod, chown, mkdir, readdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Mounts } from 'nft-js'
import { units } from '#api/quantity.ts'
import type { Pod, Volume } from '#api/types/core-v1.gen.ts'
import { writeAtomically } from './atomic.ts'
import type { Standing } from './downward.ts'
import { hostPath } from './host-path.ts'
import { mountsUnder } from './mount-table.ts'
import type { Objects } from './objects.ts'
import { payloadOf } from './payload.ts'
import { bindSubPath } from './subpath.ts'
import type { Tokens } from './tokens.ts'
import { VolumeError } from './volume-error.ts'

/** Every volume of a pod, by name, and when (ms) to call `mount` again because a token runs out. */
export type Mounted = { paths: ReadonlyMap<string, string>; refreshAt?: number }

export interface Volumes {
  /**
   * Makes every volume ready, or brings one that is up to date with its objects. Throws VolumeError
   * (its `cause` a StatusError where the server could not be asked), with what was made left for the next call.
   */
  mount(pod: Pod, standing: Standing, signal?: AbortSignal): Promise<Mounted>
  /** One part of a volume for the `index`th mount of a container, safe against links that lead out. */
  subPath(pod: Pod, volume: { name: string; path: string }, container: string, index: number, subPath: string): Promise<string>
  /** Unmounts everything of the pod and deletes its folder. Idempotent. */
  unmount(uid: string): Promise<void>
  /** Uids of the pods that have a folder here. */
  list(): Promise<string[]>
}

export type VolumesDeps = { mounts: Mounts; objects: Objects; tokens: Tokens /** Absolute; a folder per pod uid. */; podsDir: string }

export function openVolumes({ mounts, objects, tokens, podsDir }: VolumesDeps): Volumes {
  const folderOf = (pod: Pod, type: string, name: string) => join(podsDir, pod.metadata.uid, 'volumes', type, name)

  async function ready(pod: Pod, volume: Volume, standing: Standing, signal?: AbortSignal): Promise<{ path: string; refreshAt?: number }> {
    if (volume.hostPath) return { path: await hostPath(volume.hostPath) }
    if (volume.emptyDir) return { path: await emptyDir(pod, volume) }
    const payload = await payloadOf(pod, volume, { objects, tokens, standing, signal })
    if (!payload) throw new VolumeError(`volumes of type ${typeOf(volume)} are not supported`)
    const folder = folderOf(pod, typeOf(volume), volume.name)
    await mkdir(dirname(folder), { recursive: true, mode: 0o700 })
    await mkdir(folder, { recursive: true, mode: 0o755 })
    if (payload.secret) await tmpfs(folder, 'mode=0755')
    const changed = await writeAtomically(folder, payload.files, pod.spec.securityContext?.fsGroup)
    if (changed) await chmod(folder, 0o755)
    return { path: folder, refreshAt: payload.refreshAt }
  }

  async function emptyDir(pod: Pod, volume: Volume): Promise<string> {
    const folder = folderOf(pod, 'emptyDir', volume.name)
    await mkdir(dirname(folder), { recursive: true, mode: 0o700 })
    const made = await mkdir(folder, { recursive: true })
    const { medium, sizeLimit } = volume.emptyDir!
    const fresh = medium === 'Memory' ? await tmpfs(folder, `mode=0777,size=${tmpfsBytes(pod, sizeLimit)}`) : made !== undefined
    if (medium && medium !== 'Memory') throw new VolumeError(`emptyDir medium ${JSON.stringify(medium)} is not supported`)
    if (!fresh) return folder
    const { fsGroup } = pod.spec.securityContext ?? {}
    if (fsGroup !== undefined) await chown(folder, 0, fsGroup)
    // Beyond the umask; with a group, what is made inside belongs to it too.
    await chmod(folder, fsGroup === undefined ? 0o777 : 0o2777)
    return folder
  }

  /** Whether it was mounted just now. */
  async function tmpfs(folder: string, data: string): Promise<boolean> {
    if ((await mountsUnder(folder)).includes(folder)) return false
    await mounts.mount({ source: 'tmpfs', target: folder, type: 'tmpfs', flags: ['nosuid', 'nodev'], data })
    return true
  }

  return {
    async mount(pod, standing, signal) {
      const paths = new Map<string, string>()
      let refreshAt: number | undefined
      await Promise.all(
        (pod.spec.volumes ?? []).map(async (volume) => {
          try {
            const one = await ready(pod, volume, standing, signal)
            paths.set(volume.name, one.path)
            if (one.refreshAt !== undefined) refreshAt = Math.min(refreshAt ?? Number.POSITIVE_INFINITY, one.refreshAt)
          } catch (error) {
            signal?.throwIfAborted()
            const why = error instanceof Error ? error.message : String(error)
            throw new VolumeError(`MountVolume.SetUp failed for volume ${JSON.stringify(volume.name)} : ${why}`, { cause: error })
          }
        }),
      )
      return { paths, refreshAt }
    },
    subPath(pod, volume, container, index, subPath) {
      const target = join(podsDir, pod.metadata.uid, 'subpaths', volume.name, container, String(index))
      return bindSubPath(mounts, volume.path, subPath, target)
    },
    async unmount(uid) {
      const folder = join(podsDir, uid)
      for (const target of await mountsUnder(folder)) await mounts.unmount(target, { detach: true })
      tokens.forget(uid)
      // Deleting must never reach through a mount into what is not the pod's own.
      const left = await mountsUnder(folder)
      if (left.length > 0) throw new VolumeError(`still mounted: ${left.join(', ')}`)
      await rm(folder, { recursive: true, force: true })
    },
    async list() {
      return readdir(podsDir).catch(() => [])
    },
  }
}

/** The volume's own field, e.g. `configMap`. */
const typeOf = (volume: Volume): string => Object.keys(volume).find((key) => key !== 'name' && volume[key as keyof Volume]) ?? 'emptyDir'

/** The least of the volume's own limit and what the pod may use at all; `50%` of the memory is the kernel's own default. */
function tmpfsBytes(pod: Pod, sizeLimit: string | undefined): string {
  const limits = pod.spec.containers.map((container) => units(container.resources?.limits?.memory))
  const podLimit = limits.every((limit) => limit > 0) ? limits.reduce((a, b) => a + b, 0) : 0
  const wanted = [units(sizeLimit), podLimit].filter((bytes) => bytes > 0)
  return wanted.length > 0 ? String(Math.min(...wanted)) : '50%'
}
