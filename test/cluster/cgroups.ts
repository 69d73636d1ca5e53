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

/** Removes a cgroup without processes with all that are below it, likewise. */
export async function removeCgroupTree(path: string): Promise<void> {
  const hierarchies = (await readdir(root, { withFileTypes: true }))
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => join(root, name))
  for (const hierarchy of [root, ...hierarchies]) await removeTree(join(hierarchy, path))
}

async function removeTree(folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  for (const entry of entries) if (entry.isDirectory()) await removeTree(join(folder, entry.name))
  await rmdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
}
