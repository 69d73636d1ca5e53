// Files that survive a power cut: written beside, synced, renamed into place, and the folder synced.

import { execFile } from 'node:child_process'
import { open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Replaces `file` as one step; `temporary` is on the same file system. */
export async function writeDurably(file: string, content: Uint8Array | string, temporary: string): Promise<void> {
  await writeSynced(temporary, content)
  await moveDurably(temporary, file)
}

/** Nobody else's to read. */
export async function writeSynced(file: string, content: Uint8Array | string): Promise<void> {
  await using handle = await open(file, 'w', 0o600)
  await handle.writeFile(content)
  await handle.sync()
}

/** Renames; what is moved must have been synced. */
export async function moveDurably(from: string, to: string): Promise<void> {
  await rename(from, to)
  await syncPath(dirname(to))
}

/** A folder's entries, or a file's content. */
export async function syncPath(path: string): Promise<void> {
  await using handle = await open(path, 'r')
  await handle.sync()
}

/** Everything below `folder`, by syncfs(2): a sync of each file would be one disk flush each. Node has no call for it; sync(1) has. */
export async function syncTree(folder: string): Promise<void> {
  await run('sync', ['-f', folder])
}
