// A volume that keeps what is in it, given to the group of the pod that uses it: its files belong to that group, and
// whoever is in it may do with them what their owner may (kubelet's pkg/volume/volume_linux.go).

import { chmod, lchown, lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Pod } from '#api/types/core-v1.gen.ts'

const setgid = 0o2000

/** Does nothing for a pod without fsGroup. With `OnRootMismatch` the root of the volume speaks for all of it. */
export async function giveToGroup(root: string, { spec }: Pod): Promise<void> {
  const { fsGroup, fsGroupChangePolicy } = spec.securityContext ?? {}
  if (fsGroup === undefined) return
  if (fsGroupChangePolicy === 'OnRootMismatch' && (await isRight(root, fsGroup))) return
  const folders: string[] = []
  // The root last: as long as it is not right, the rest may not be.
  for (let folder: string | undefined = root; folder !== undefined; folder = folders.pop()) {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) folders.push(path)
      await give(path, fsGroup)
    }
  }
  await give(root, fsGroup)
}

async function isRight(path: string, group: number): Promise<boolean> {
  const { gid, mode } = await lstat(path)
  return gid === group && (mode & (setgid | 0o070)) === (setgid | 0o070)
}

async function give(path: string, group: number): Promise<void> {
  const { uid, gid, mode } = await lstat(path)
  if (gid !== group) await lchown(path, uid, group)
  const kind = mode & 0o170_000
  if (kind === 0o120_000) return
  const more = kind === 0o040_000 ? 0o770 | setgid : 0o660
  // Changing the group takes setuid and setgid away.
  if (gid !== group || (mode & more) !== more) await chmod(path, (mode & 0o7777) | more)
}
