// Folders that nobody but their owner may look into: they hold keys, tokens and every Secret.

import { chmod, lchown, lstat, mkdir, readdir } from 'node:fs/promises'
import { join, relative } from 'node:path'
import type { Log } from '#api/log.ts'

const modes = { folder: 0o700, file: 0o600 }

/**
 * Makes the folder, or closes one that somebody else made, with all that is in it; what this process makes from now on
 * is closed from the beginning. Throws where something in it belongs to another user and cannot be taken over.
 */
export async function keepPrivate(dir: string, log: Log): Promise<void> {
  process.umask(0o077)
  await closeFolder(dir, log)
}

/** The same of what is there now, but for the parts (paths below the folder) that are somebody else's to open or close. */
export async function closeFolder(dir: string, log: Log, isForeign: (path: string) => boolean = () => false): Promise<void> {
  await mkdir(dir, { recursive: true, mode: modes.folder })
  const opened = await close(dir, (path) => isForeign(relative(dir, path)))
  if (opened.length > 0) log.warn({ dir, count: opened.length, first: opened[0] }, 'others could read the folder: its modes were mended')
}

/** Resolves with what was open. Links stay as they are: what they point to is not ours to judge. */
async function close(path: string, isForeign: (path: string) => boolean): Promise<string[]> {
  if (isForeign(path)) return []
  const found = await lstat(path)
  if (found.isSymbolicLink()) return []
  const opened: string[] = []
  const uid = process.geteuid?.() ?? found.uid
  if (found.uid !== uid) {
    await lchown(path, uid, process.getegid?.() ?? found.gid)
    opened.push(path)
  }
  const mode = found.isDirectory() ? modes.folder : modes.file
  if ((found.mode & 0o7777) !== mode) {
    await chmod(path, mode)
    opened.push(path)
  }
  if (found.isDirectory()) for (const name of await readdir(path)) opened.push(...(await close(join(path, name), isForeign)))
  return opened
}
