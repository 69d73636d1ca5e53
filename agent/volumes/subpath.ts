// A part of a volume, mounted by itself. The containers of a pod write to the volume, so any of its
// names may be a link that leads out, or become one while it is looked at: the part is opened first,
// checked by what was really opened, and bound by that very descriptor (CVE-2017-1002101, CVE-2021-25741).

import { constants } from 'node:fs'
import { mkdir, open, readlink, realpath, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Mounts } from 'nft-js'
import { mountsUnder } from './mount-table.ts'
import { VolumeError } from './volume-error.ts'

/** Linux O_PATH (asm-generic/fcntl.h), which Node does not name; the same on amd64 and arm64. */
const O_PATH = 0o10000000

/**
 * Binds `volume`/`subPath` at `target`, making folders of it that do not exist, and returns `target`.
 * `target` must be outside any folder that containers can write to.
 */
export async function bindSubPath(mounts: Mounts, volume: string, subPath: string, target: string): Promise<string> {
  if ((await mountsUnder(target)).includes(target)) return target
  const root = await realpath(volume)
  const path = await settle(root, subPath)
  const handle = await open(path, O_PATH | constants.O_NOFOLLOW)
  try {
    const opened = await readlink(`/proc/self/fd/${handle.fd}`)
    if (!inside(root, opened)) throw escapes(subPath)
    await mkdir(dirname(target), { recursive: true, mode: 0o750 })
    if ((await handle.stat()).isDirectory()) await mkdir(target, { recursive: true, mode: 0o750 })
    else await writeFile(target, '', { flag: 'a' })
    await mounts.mount({ source: `/proc/self/fd/${handle.fd}`, target, flags: ['bind'] })
  } finally {
    await handle.close()
  }
  return target
}

/** The real path of the part, after making what is missing of it. */
async function settle(root: string, subPath: string): Promise<string> {
  const parts = subPath.split('/').filter((part) => part !== '' && part !== '.')
  if (subPath.startsWith('/') || parts.includes('..')) throw escapes(subPath)
  let at = root
  for (const part of parts) {
    const next = join(at, part)
    const made = await mkdir(next, { mode: 0o755 }).then(
      () => true,
      () => false,
    )
    if (made) {
      const { uid, gid, mode } = await stat(at)
      const handle = await open(next, constants.O_DIRECTORY | constants.O_NOFOLLOW)
      try {
        await handle.chown(uid, gid)
        await handle.chmod(mode & 0o7777)
      } finally {
        await handle.close()
      }
    }
    at = await realpath(next)
    if (!inside(root, at)) throw escapes(subPath)
  }
  return at
}

const inside = (root: string, path: string): boolean => path === root || path.startsWith(`${root}/`)

const escapes = (subPath: string): VolumeError => new VolumeError(`subPath ${JSON.stringify(subPath)} leads out of its volume`)
