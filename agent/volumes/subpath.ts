// A part of a volume, mounted by itself. The containers of a pod write to the volume, so any of its
// names may be a link that leads out, or become one while it is looked at. The kernel looks the part up
// below the volume in one step (openat2), every missing folder is made in one that is held open, and what
// is bound is the very thing that was opened (CVE-2017-1002101, CVE-2021-25741).

import { closeSync, constants, fchmodSync, fchownSync, fstatSync } from 'node:fs'
import { mkdir, open, rmdir, stat, unlink, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isSysError, type Mounts, openBeneath } from 'nft-js'
import { mountsUnder } from './mount-table.ts'
import { VolumeError } from './volume-error.ts'

/** Linux O_PATH (asm-generic/fcntl.h), which Node does not name; the same on amd64 and arm64. */
const O_PATH = 0o10000000
const { O_DIRECTORY, O_NOFOLLOW } = constants

/**
 * Binds `volume`/`subPath` at `target`, making folders of it that do not exist, and returns `target`. What was
 * bound there for an earlier container gives way where the volume has something else by that name now.
 * `target` must be outside any folder that containers can write to.
 */
export async function bindSubPath(mounts: Mounts, volume: string, subPath: string, target: string): Promise<string> {
  const parts = subPath.split('/').filter((part) => part !== '' && part !== '.')
  if (subPath.startsWith('/') || parts.includes('..')) throw escapes(subPath)
  await using root = await open(volume, O_PATH)
  const part = await openPart(root.fd, parts, subPath)
  try {
    if (await clear(mounts, target, part)) return target
    await mkdir(dirname(target), { recursive: true, mode: 0o700 })
    if (fstatSync(part).isDirectory()) await mkdir(target, { mode: 0o700 })
    else await writeFile(target, '', { mode: 0o600 })
    await mounts.mount({ source: `/proc/self/fd/${part}`, target, flags: ['bind'] })
  } finally {
    closeSync(part)
  }
  return target
}

/** A descriptor of the part, after making what is missing of it. */
async function openPart(root: number, parts: readonly string[], subPath: string): Promise<number> {
  const found = await find(root, parts, subPath)
  if (found !== undefined) return found
  for (let depth = 0; depth < parts.length; depth++) {
    const parent = await find(root, parts.slice(0, depth), subPath)
    if (parent === undefined) break
    try {
      await make(parent, parts[depth]!)
    } finally {
      closeSync(parent)
    }
  }
  const made = await find(root, parts, subPath)
  if (made === undefined) throw new VolumeError(`subPath ${JSON.stringify(subPath)} cannot be made: a link in it leads nowhere`)
  return made
}

/** How often a lookup is begun anew that the kernel gave up because names changed under it. */
const LOOKUPS = 100

async function find(root: number, parts: readonly string[], subPath: string): Promise<number | undefined> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await openBeneath(root, parts.join('/') || '.', O_PATH)
    } catch (error) {
      if (isSysError(error, 'ENOENT')) return undefined
      if (isSysError(error, 'EXDEV') || isSysError(error, 'ELOOP')) throw escapes(subPath)
      if (!isSysError(error, 'EAGAIN') || attempt === LOOKUPS) throw error
    }
  }
}

/** Makes a folder that belongs to whom its parent does; one that is there already stays as it is. */
async function make(parent: number, name: string): Promise<void> {
  try {
    // The last name of a path is never followed by mkdir(2), and the one before is the open folder itself.
    await mkdir(`/proc/self/fd/${parent}/${name}`, { mode: 0o755 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return
    throw error
  }
  const { uid, gid, mode } = fstatSync(parent)
  const made = await openBeneath(parent, name, O_DIRECTORY | O_NOFOLLOW)
  try {
    fchownSync(made, uid, gid)
    fchmodSync(made, mode & 0o7777)
  } finally {
    closeSync(made)
  }
}

/** True if the part is bound at `target` already; otherwise nothing is there any more. */
async function clear(mounts: Mounts, target: string, part: number): Promise<boolean> {
  const there = await stat(target).catch(() => undefined)
  if (!there) return false
  if ((await mountsUnder(target)).includes(target)) {
    const wanted = fstatSync(part)
    if (there.dev === wanted.dev && there.ino === wanted.ino) return true
    await mounts.unmount(target, { detach: true })
  }
  // Neither of them takes away a mount point or what is in a folder.
  await unlink(target).catch(() => rmdir(target))
  return false
}

const escapes = (subPath: string): VolumeError => new VolumeError(`subPath ${JSON.stringify(subPath)} leads out of its volume`)
