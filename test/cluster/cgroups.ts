import { readdir, rmdir } from 'node:fs/promises'
import { join } from 'node:path'

const root = '/sys/fs/cgroup'

/** Removes an empty cgroup from every hierarchy of this machine: v2 at the root, v1 and hybrid in folders below it. Idempotent. */
export async function removeCgroup(path: string): Promise<void> {
  const hierarchies = (await readdir(root, { withFileTypes: true }))
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(root, entry.name))
  for (const hierarchy of [root, ...hierarchies]) {
    await rmdir(join(hierarchy, path)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
    })
  }
}
