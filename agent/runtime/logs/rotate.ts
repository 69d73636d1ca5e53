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
  const aside = await nextName(path, now)
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

/** Names tell the order: also when the clock was set back, and for two within a second, the newest is the last. */
async function nextName(path: string, now: Date): Promise<string> {
  const last = (await rotatedLogs(path)).at(-1)?.slice(path.length + 1)
  const [, year, month, day, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)$/.exec(last ?? '')?.map(Number) ?? []
  const least = last ? Date.UTC(year!, month! - 1, day, hour, minute, second! + 1) : 0
  const time = new Date(Math.max(now.getTime(), least)).toISOString()
  return `${path}.${time.replace(/[-:]|\.\d+Z$/g, '').replace('T', '-')}`
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
