// Files of a volume that change all at once, as kubelet's AtomicWriter does it: the data is in a folder
// of its own, `..data` points at it, and every visible name is a link through `..data`. A reader sees
// the old set or the new one, never a mixture; a crash at any point leaves one of the two.

import { randomBytes } from 'node:crypto'
import { chmod, chown, mkdir, readdir, readFile, readlink, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { File, Payload } from './payload.ts'

const DATA = '..data'
const NEW = '..data_tmp'

/** Makes `folder` hold exactly `payload`, of the group `gid` if there is one. */
export async function writeAtomically(folder: string, payload: Payload, gid?: number): Promise<void> {
  const before = await readlink(join(folder, DATA)).catch(() => undefined)
  if (before && (await same(join(folder, before), payload, gid))) {
    // Whoever put this in place may not have come to the end.
    await link(folder, payload)
    await sweep(folder, before, payload)
    return
  }

  const next = `..${new Date().toISOString().replace(/\D/g, '_')}${randomBytes(4).toString('hex')}`
  const made = join(folder, next)
  await mkdir(made, { mode: 0o755 })
  for (const [path, content] of payload) {
    const file = join(made, path)
    await mkdir(dirname(file), { recursive: true, mode: 0o755 })
    await writeFile(file, content.data, { mode: 0o600 })
    await chown(file, content.uid ?? 0, gid ?? 0)
    await chmod(file, modeOf(content, gid))
  }
  await rm(join(folder, NEW), { force: true })
  await symlink(next, join(folder, NEW))
  await rename(join(folder, NEW), join(folder, DATA))
  await link(folder, payload)
  await sweep(folder, next, payload)
}

/** The group must be able to read what is given to it (kubelet's SetVolumeOwnership for read-only volumes). */
const modeOf = ({ mode }: File, gid: number | undefined): number => (gid === undefined ? mode : mode | 0o440)

const tops = (payload: Payload): Set<string> => new Set([...payload.keys()].map((path) => path.split('/')[0]!))

async function link(folder: string, payload: Payload): Promise<void> {
  for (const name of tops(payload)) {
    const path = join(folder, name)
    const target = join(DATA, name)
    if ((await readlink(path).catch(() => undefined)) === target) continue
    await rm(path, { force: true, recursive: true })
    await symlink(target, path)
  }
}

/** Removes names that no longer exist and folders of data that nothing points at. */
async function sweep(folder: string, current: string, payload: Payload): Promise<void> {
  const keep = tops(payload)
  for (const name of await readdir(folder)) {
    if (name === DATA || name === current || keep.has(name)) continue
    await rm(join(folder, name), { recursive: true, force: true })
  }
}

async function same(folder: string, payload: Payload, gid: number | undefined): Promise<boolean> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => undefined)
  if (!found || found.filter((entry) => entry.isFile()).length !== payload.size) return false
  for (const [path, content] of payload) {
    const { data, uid = 0 } = content
    const file = join(folder, path)
    const facts = await stat(file).catch(() => undefined)
    if (facts?.size !== data.length || facts.uid !== uid || (facts.mode & 0o7777) !== modeOf(content, gid)) return false
    if (!(await readFile(file)).equals(data)) return false
  }
  return true
}
