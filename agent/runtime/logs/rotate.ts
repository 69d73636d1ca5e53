// Log rotation as kubelets do it: `0.log` is renamed to `0.log.<time>`, the monitor begins a new one,
// and only the latest few are kept. Readers that follow notice the new file.

import { readdir, rename, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

export type Rotation = { maxBytes: number /** The current file counted. */; maxFiles: number }

/** `reopen` makes the writer begin a new file; until it has, it goes on in the renamed one. */
export async function rotateLog(path: string, { maxBytes, maxFiles }: Rotation, now: Date, reopen: () => Promise<void>): Promise<boolean> {
  const size = await stat(path).then(
    (info) => info.size,
    () => 0,
  )
  if (size < maxBytes) return false
  const aside = `${path}.${now
    .toISOString()
    .replace(/[-:]|\.\d+Z$/g, '')
    .replace('T', '-')}`
  await rename(path, aside)
  try {
    await reopen()
  } catch (error) {
    // Without its file under the usual name the log would look empty.
    await rename(aside, path).catch(() => {})
    throw error
  }
  const newestFirst = (await rotatedLogs(path)).reverse()
  let bytes = 0
  for (const [index, old] of newestFirst.entries()) {
    bytes += (await stat(old)).size
    // One that grew fast takes the place of several.
    if (index >= maxFiles - 1 || (index > 0 && bytes > maxBytes * maxFiles)) await unlink(old)
  }
  return true
}

/** Oldest first. */
async function rotatedLogs(path: string): Promise<string[]> {
  const prefix = `${basename(path)}.`
  const names = await readdir(dirname(path))
  return names
    .filter((name) => name.startsWith(prefix) && /^\d{8}-\d{6}$/.test(name.slice(prefix.length)))
    .sort()
    .map((name) => join(dirname(path), name))
}
