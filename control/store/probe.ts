// How much may be written where nobody says so: of a quota of the disk (of a user, a project, a subvolume) statfs knows
// nothing. It is tried out, after a write has failed: a file is written until it is refused, and deleted.

import { open, rm } from 'node:fs/promises'

const block = Buffer.alloc(1 << 20, 0xa5)

/** Linux' ENOSPC and EDQUOT, for which Node has no name. */
const full = [-28, -122]

/** The disk, or what one may have of it, is full. */
const isFull = (error: unknown): boolean => full.includes((error as NodeJS.ErrnoException).errno ?? 0)

/** Writes up to `wanted` bytes to `file`, which stays; returns how many the disk took. Throws for any other reason than that it is full. */
export async function fill(file: string, wanted: number): Promise<number> {
  await using handle = await open(file, 'w', 0o600)
  let written = 0
  try {
    while (written < wanted) written += (await handle.write(block, 0, Math.min(block.length, wanted - written))).bytesWritten
    // Some file systems know of a quota only then.
    await handle.datasync()
  } catch (error) {
    if (!isFull(error)) throw error
    return Math.min(written, wanted - 1)
  }
  return written
}

/** How many bytes, at most `wanted`, can be written. */
export async function tryOut(file: string, wanted: number): Promise<number> {
  try {
    return await fill(file, wanted)
  } catch (error) {
    // Not even the file could be made.
    if (isFull(error)) return 0
    throw error
  } finally {
    await rm(file, { force: true })
  }
}
