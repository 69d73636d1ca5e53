// How much of a volume is used: of a file system of its own what that says, of a folder on the node's the
// sum over its files, beside what the node's file system has left (kubelet's pkg/volume metrics_du.go).

import { lstat, readdir, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { VolumeStats } from './driver.ts'

/** Linux counts st_blocks in this unit, whatever the file system. */
const blockBytes = 512

export async function statsOf(path: string): Promise<VolumeStats> {
  const { bsize, blocks, bavail, bfree, files, ffree } = await statfs(path)
  const whole = { capacityBytes: blocks * bsize, availableBytes: bavail * bsize, inodes: files, inodesFree: ffree }
  const isOwn = (await lstat(path)).dev !== (await lstat(dirname(path))).dev
  if (isOwn) return { ...whole, usedBytes: (blocks - bfree) * bsize, inodesUsed: files - ffree }
  return { ...whole, ...(await sumOf(path)) }
}

/** Each inode once, however many names it has; what vanishes while it is looked at counts nothing. */
async function sumOf(folder: string): Promise<Pick<VolumeStats, 'usedBytes' | 'inodesUsed'>> {
  const seen = new Set<number>()
  let usedBytes = 0
  const folders = [folder]
  const count = async (path: string) => {
    const facts = await lstat(path).catch(() => undefined)
    if (!facts || seen.has(facts.ino)) return
    seen.add(facts.ino)
    usedBytes += facts.blocks * blockBytes
  }
  await count(folder)
  for (let next = folders.pop(); next !== undefined; next = folders.pop()) {
    for (const entry of await readdir(next, { withFileTypes: true }).catch(() => [])) {
      const path = join(next, entry.name)
      await count(path)
      if (entry.isDirectory()) folders.push(path)
    }
  }
  return { usedBytes, inodesUsed: seen.size }
}
